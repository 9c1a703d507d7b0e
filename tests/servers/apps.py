# SPDX-License-Identifier: BSD-2-Clause
#
# apps: where the servers under test come from, and what every test of one server does with it.
#
# npm packages are pinned in tests/npm and installed once, whichever test file comes first;
# everything else is a Debian package.  One server serves all tests of a class; each test has a
# path of its own, by which it finds its exchange in the report.

import fcntl
import functools
import os
import re
import shutil
import subprocess

import harness
from harness import assert_healthy, assert_primary

HERE = os.path.dirname(os.path.abspath(__file__))
NPM = os.path.join(harness.ROOT, "tests", "npm")
MODULES = os.path.join(NPM, "node_modules")
PYTHON = "/usr/bin/python3"


# What npm prints when there is no way to its registry; everything else it fails with is a failure.
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|"
                         r"ETIMEDOUT|ERR_SOCKET_TIMEOUT|SELF_SIGNED_CERT_IN_CHAIN|"
                         r"UNABLE_TO_GET_ISSUER_CERT_LOCALLY)\b")


@functools.lru_cache(None)
def npm_ci():
    """Install the pinned npm packages unless they are there; returns what npm said when it failed."""
    stamp = os.path.join(MODULES, ".package-lock.json")
    lock_file = os.path.join(NPM, "package-lock.json")
    with open(lock_file, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(stamp) and os.path.getmtime(stamp) >= os.path.getmtime(lock_file):
            return None
        npm = subprocess.run(["npm", "ci", "--no-progress", "--fetch-retry-maxtimeout=4000",
                              "--fetch-retry-mintimeout=1000"], cwd=NPM,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.STDOUT, check=False, timeout=300)
        return npm.stdout + "\nnpm failed" if npm.returncode else None


def npm_modules():
    """The folder for NODE_PATH; skips aloud where the registry cannot be reached."""
    failure = npm_ci()
    if failure:
        unreachable = UNREACHABLE.search(failure)
        if unreachable:
            harness.skip("npm-registry", unreachable[0])
        raise AssertionError(failure)
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
