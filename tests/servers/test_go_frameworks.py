# SPDX-License-Identifier: BSD-2-Clause
#
# Go's other frameworks and WebSocket libraries: a healthy upgrade and one that a middleware spoils.

import unittest

import golang
from harness import ServerCase, assert_healthy, assert_primary, free_port, handshake_bytes


class FrameworkCase:
    """One program of tests/servers/go/frameworks, static; subclasses say what its middleware does."""

    app, finding, culprit = "", "upgrade-rejected", ""

    @classmethod
    def setUpClass(cls):
        app = golang.build("frameworks/" + cls.app, cls.app)
        cls.server = cls.serve([app, "127.0.0.1:{port}"], free_port(), shim="run")

    def test_an_echo_server_is_healthy(self):
        with self.server.client() as client:
            client.ws_open("/ws")
            client.echo(b"over")
            client.ws_close()
        assert_healthy(self.server.trace, "/ws")

    def test_the_middleware_that_answered_is_named(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/spoiled/ws"))
            client.recv_head()
            exchange = assert_primary(self.server.trace, "/spoiled/ws", self.finding)
        blame = next(f for f in exchange["findings"] if f["primary"])["blame"] or {}
        # A closure of a function that was inlined into main is main's: main.main.NAME.func1.
        self.assertIn(blame.get("function"), ("main." + self.culprit, "main.main." + self.culprit),
                      exchange["findings"])
        self.assertTrue(blame["file"].endswith("/%s/main.go" % self.app), blame)


class Plain(FrameworkCase, ServerCase):
    """net/http and gorilla/websocket."""

    app, culprit = "plain", "requireToken.func1"


class Echo(FrameworkCase, ServerCase):
    app, culprit = "echo", "requireToken.func1"


class Chi(FrameworkCase, ServerCase):
    app, culprit, finding = "chi", "greetEarly.func1", "response-before-101"


class Fiber(FrameworkCase, ServerCase):
    """fasthttp writes the answer after the handlers returned, and has functions of its own."""

    app, culprit = "fiber", "requireToken"


class Coder(FrameworkCase, ServerCase):
    app, culprit, finding = "coder", "closedForToday.func1", "upgrade-failed-5xx"


class Gobwas(FrameworkCase, ServerCase):
    app, culprit = "gobwas", "forbidStrangers.func1"


if __name__ == "__main__":
    unittest.main()
