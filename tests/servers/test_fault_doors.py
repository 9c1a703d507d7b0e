# SPDX-License-Identifier: BSD-2-Clause
#
# The same rules through every door: event loops with edges and levels, Go dynamic and static, a static
# program of calls that block.  Each server is given the rules it answers under for its whole life; by
# the path of a request the rule is found.

import glob
import os
import sys
import time
import unittest

import golang
import harness
from apps import node_command, npm_modules, python_command
from harness import ServerCase, free_port, handshake_bytes, request_bytes
from test_nginx import nginx_command, nginx_files

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "shim"))
import programs  # noqa: E402  pylint: disable=wrong-import-position
import tracefile  # noqa: E402  pylint: disable=wrong-import-position

RULES = ";".join((
    "bytes=rx@request-head:slice=1:path=%(bytes)s",
    "late=tx@response-head:delay=200ms:path=%(late)s",
    "part=tx@response-head:slice=20,gap=2ms:path=%(part)s",
    "gone=tx@response-head+17:reset:path=%(gone)s",
    "cut=tx@response-head+30:close:path=%(cut)s",
))
NAMES = ("bytes", "late", "part", "gone", "cut")


class Door:
    """What holds for every server; subclasses say how it is started, and which paths it answers."""

    paths = {name: "/%s*" % name for name in (*NAMES, "other")}

    @classmethod
    def start(cls, words, shim=True, **options):
        options.setdefault("env", {})["SHAKEDOWN_RULES"] = RULES % cls.paths
        cls.server = cls.serve(words, free_port(), shim=shim, **options)

    def path(self, name):
        return self.paths[name].replace("*", "")

    def ask(self, name):
        with self.server.client() as c:
            c.send(request_bytes(self.path(name), [("Connection", "close")]))
            return c.recv_until_close()

    def acted(self, rule):
        return harness.wait_for(lambda: [
            r for path in glob.glob(os.path.join(self.server.trace, "*.trace"))
            for r in tracefile.Trace(path).records if r.kind == "fault" and r.rule == rule
            and r.what in (tracefile.ACTED, tracefile.BEGAN)], "a record of %s" % rule)

    def test_a_head_that_arrives_byte_by_byte_is_answered(self):
        self.assertEqual(self.ask("bytes")[:9], b"HTTP/1.1 ")
        self.assertEqual(self.acted("bytes")[0].phase, "request-head")

    def test_an_answer_waits_and_comes_whole(self):
        before = time.monotonic()
        self.assertEqual(self.ask("late")[:9], b"HTTP/1.1 ")
        self.assertGreaterEqual(time.monotonic() - before, 0.2)
        self.acted("late")

    def test_an_answer_in_pieces_is_the_same_answer(self):
        whole, parts = self.ask("other"), self.ask("part")
        self.assertEqual(parts.split(b"\r\n")[0], whole.split(b"\r\n")[0])
        self.assertEqual(parts.split(b"\r\n\r\n")[1:], whole.split(b"\r\n\r\n")[1:])
        self.acted("part")

    def test_the_connection_breaks_behind_the_byte_that_is_named(self):
        with self.server.client() as c:
            c.send(request_bytes(self.path("gone")))
            with self.assertRaises(ConnectionResetError):
                while c.sock.recv(17):
                    pass
        self.assertEqual(self.acted("gone")[0].off, 17)

    def test_the_answer_ends_behind_the_byte_that_is_named(self):
        self.assertEqual(len(self.ask("cut")), 30)
        self.assertEqual(self.acted("cut")[0].off, 30)

    def test_the_server_is_well_afterwards(self):
        self.ask("cut")
        self.assertEqual(self.ask("other")[:9], b"HTTP/1.1 ")


class Static(Door, ServerCase):
    """Static, threads, calls that block."""

    @classmethod
    def setUpClass(cls):
        cls.start([programs.build("fault_server.c", "-pthread", "-static", name="fault_static"), 4,
                   "{port}"], shim="run")

    def ask(self, name):
        with self.server.client() as c:
            c.send(request_bytes(self.path(name) + "/100"))
            if name == "cut":
                return c.recv_until_close()
            head, body = c.recv_response()
            return head.raw + body


class Vectors(Static):
    @classmethod
    def setUpClass(cls):
        cls.start([programs.build("fault_server.c", "-pthread"), "-v", 4, "{port}"])


class Nginx(Door, ServerCase):
    @classmethod
    def setUpClass(cls):
        if not harness.have_program("nginx"):
            harness.skip("nginx")
        cls.start(nginx_command(), files=nginx_files())


class Node(Door, ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.start(node_command("plain.js", "{port}"), env={"NODE_PATH": npm_modules()})


class Asyncio(Door, ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.start(python_command("aio.py", "{port}"))


class GoDynamic(Door, ServerCase):
    shape = "cgo"

    @classmethod
    def setUpClass(cls):
        app = golang.build("gin", "gin", "newest", cls.shape)
        cls.start([app, "127.0.0.1:{port}"], shim=golang.door(cls.shape))


class GoStatic(GoDynamic):
    shape = "static"


if __name__ == "__main__":
    unittest.main()
