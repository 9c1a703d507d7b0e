# SPDX-License-Identifier: BSD-2-Clause
#
# apps: where the servers under test come from, and what every test of one server does with it.
#
# npm packages are pinned in tests/npm and installed once, whichever test file comes first; everything
# else is a Debian package.  One server serves all tests of a class; each test has a path of its own,
# by which it finds its exchange in the report.

import fcntl
import os
import shutil
import subprocess

import harness
from harness import assert_healthy, assert_primary

HERE = os.path.dirname(os.path.abspath(__file__))
NPM = os.path.join(harness.ROOT, "tests", "npm")
MODULES = os.path.join(NPM, "node_modules")
PYTHON = "/usr/bin/python3"


def npm_modules():
    """Install the pinned npm packages unless they are there; returns the folder for NODE_PATH."""
    stamp = os.path.join(MODULES, ".package-lock.json")
    lock_file = os.path.join(NPM, "package-lock.json")
    with open(lock_file, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(stamp) or os.path.getmtime(stamp) < os.path.getmtime(lock_file):
            subprocess.run(["npm", "ci", "--no-progress"], cwd=NPM, check=True, timeout=300,
                           stdin=subprocess.DEVNULL)
    return MODULES


def node_command(app, *args):
    """The command line of an app in tests/servers/node."""
    return [shutil.which("node") or "/usr/bin/node", os.path.join(HERE, "node", app), *args]


def node_env():
    return {"NODE_PATH": npm_modules(), "NODE_ENV": "production"}


def python_command(app, *args):
    """The command line of an app in tests/servers/python."""
    return [PYTHON, os.path.join(HERE, "python", app), *args]


class UpgradeCase(harness.ServerCase):
    """Tests of one server: cls.server, started by command()."""

    app, args, env = None, (), None

    @classmethod
    def command(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve(cls.command(), harness.free_port(), env=cls.env)

    def refused(self, path, status, finding, sent=None, **options):
        """A handshake that is answered with a status, and the finding that follows from it.

        sent is the request target when it has more than the path, such as a query.
        """
        with self.server.client() as client:
            self.assertEqual(client.ws_handshake(sent or path, **options).status, status)
            return assert_primary(self.server.trace, path, finding, status=status)

    def accepted(self, path, finding, **options):
        """A handshake that is answered with a 101, and the finding all the same."""
        with self.server.client() as client:
            self.assertEqual(client.ws_handshake(path, **options).status, 101)
            return assert_primary(self.server.trace, path, finding)

    def cut_off(self, path, finding, **options):
        """A handshake after which the server closes the connection without a single byte."""
        with self.server.client() as client:
            client.send(harness.handshake_bytes(path, **options))
            self.assertEqual(client.recv_until_close(), b"")
        return assert_primary(self.server.trace, path, finding)

    def healthy_echo(self, path="/echo", **options):
        with self.server.client() as client:
            client.ws_open(path, **options)
            client.echo()
            client.ws_close()
        return assert_healthy(self.server.trace, path.partition("?")[0])


class NodeCase(UpgradeCase):
    @classmethod
    def command(cls):
        return node_command(cls.app, "{port}", *cls.args)

    @classmethod
    def setUpClass(cls):
        cls.env = {**node_env(), **(cls.env or {})}
        super().setUpClass()


class PythonCase(UpgradeCase):
    @classmethod
    def command(cls):
        return python_command(cls.app, "{port}", *cls.args)
