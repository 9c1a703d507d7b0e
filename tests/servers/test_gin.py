# SPDX-License-Identifier: BSD-2-Clause
#
# Gin: middleware that reads the body, answers early, refuses, or hides Hijack; each route beside the
# healthy one, with the current gin and with Debian's 1.8, dynamic and static and stripped.

import unittest

import golang
from harness import ServerCase, assert_healthy, assert_primary, free_port, handshake_bytes

SOON = ("--never-answered", "300ms", "--close-wait", "300ms")


class GinCase:
    """The tests of one build; subclasses say which."""

    which, shape = "newest", "static"

    @classmethod
    def setUpClass(cls):
        app = golang.build("gin", "gin", cls.which, cls.shape)
        cls.server = cls.serve([app, "127.0.0.1:{port}"], free_port(), shim=golang.door(cls.shape))

    def assert_blamed(self, exchange, finding, function):
        found = next(f for f in exchange["findings"] if f["id"] == finding)
        blame = found["blame"] or {}
        self.assertEqual(blame.get("function"), "main." + function, found)
        self.assertTrue(blame["file"].endswith("/main.go"), blame)
        self.assertGreater(blame["line"], 0)

    def spoiled(self, path, finding, function, *headers, **options):
        with self.server.client() as client:
            client.send(handshake_bytes(path, headers))
            client.recv_head()
            exchange = assert_primary(self.server.trace, path, finding, **options)
        self.assert_blamed(exchange, finding, function)
        return exchange

    def test_an_echo_server_is_healthy(self):
        with self.server.client() as client:
            client.ws_open("/ws")
            client.echo(b"over")
            client.ws_close()
        assert_healthy(self.server.trace, "/ws")

    def test_a_request_without_a_body_may_be_read_to_its_end(self):
        with self.server.client() as client:
            client.ws_open("/body/none/ws")
            client.echo(b"over")
            client.ws_close()
        assert_healthy(self.server.trace, "/body/none/ws")

    def test_middleware_that_waits_for_a_body_is_named(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/body/late/ws", [("Content-Length", "5")]))
            exchange = assert_primary(self.server.trace, "/body/late/ws", "premature-body-read",
                                      *SOON)
            self.assertIn("never-answered", [f["id"] for f in exchange["findings"]])
        self.assert_blamed(exchange, "premature-body-read", "logBody")

    def test_middleware_that_waits_for_the_end_of_a_chunked_body_is_named(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/body/chunked/ws", [("Transfer-Encoding", "chunked")])
                        + b"5\r\nhello\r\n")
            exchange = assert_primary(self.server.trace, "/body/chunked/ws",
                                      "premature-body-read", *SOON)
        self.assert_blamed(exchange, "premature-body-read", "logBody")

    def test_who_took_a_body_that_came_with_the_head_is_named(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/body/with/ws", [("Content-Length", "5")]) + b"hello")
            self.assertEqual(client.recv_head().status, 101)
            exchange = assert_primary(self.server.trace, "/body/with/ws",
                                      ("premature-body-read", "body-on-upgrade"))
        witnesses = [e for e in exchange["events"] if e.get("kind") == "witness"]
        self.assertTrue(any("(*body).Read" in e.get("function", "") for e in witnesses), witnesses)

    def test_an_answer_in_json_before_the_upgrade(self):
        self.spoiled("/json/ws", self.early, "greetEarly")

    def test_an_answer_in_text_before_the_upgrade(self):
        self.spoiled("/string/ws", self.early, "sayEarly")

    def test_a_flush_before_the_upgrade(self):
        self.spoiled("/flush/ws", "response-before-101", "flushEarly")

    def test_a_refusal_with_a_status_alone(self):
        self.spoiled("/token/ws", "upgrade-rejected", "requireToken", status=401)

    def test_a_refusal_in_json(self):
        self.spoiled("/member/ws", "upgrade-rejected", "requireMember", status=403)

    def test_a_writer_that_hides_hijack(self):
        self.spoiled("/hidden/ws", "upgrade-failed-5xx", "upgradeHidden", status=500)

    def test_a_field_lost_on_the_way_to_the_handler(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/lost/ws"))
            client.recv_head()
            assert_primary(self.server.trace, "/lost/ws", "field-lost-in-process", status=400)

    def test_a_missing_field_is_explained(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/ws/nokey", without=("Sec-WebSocket-Key",)))
            client.recv_head()
            assert_primary(self.server.trace, "/ws/nokey", "req-malformed", status=400)

    def test_a_wrong_version_is_explained(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/ws/version", version="12"))
            client.recv_head()
            exchange = assert_primary(self.server.trace, "/ws/version", "upgrade-rejected",
                                      status=400)
        self.assertIn("the client asked for version 12, the server speaks 13",
                      exchange["findings"][0]["message"])

    def test_http_written_on_an_upgraded_connection(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/after/ws"))
            client.recv_until_close()
            exchange = assert_primary(self.server.trace, "/after/ws", "http-after-101")
        self.assert_blamed(exchange, "http-after-101", "answerAfterwards")

    def forget(self, client, case):
        path = "/forget/ws/" + case
        client.ws_open(path)
        exchange = assert_primary(self.server.trace, path, "handler-left-open", *SOON)
        self.assert_blamed(exchange, "handler-left-open", "upgradeAndForget")

    def test_a_handler_that_forgets_to_close(self):
        with self.server.client() as client:
            self.forget(client, "stays")
            client.finish()
            self.server.wait_finding("close-wait-held", *SOON)

    def test_a_connection_that_somebody_else_waits_for_is_not_forgotten(self):
        for path in ("/handed/ws", "/polled/ws"):
            with self.server.client() as client, self.server.client() as later:
                client.ws_open(path)
                # Whoever is forgotten later is found: there was time enough to find this one.
                self.forget(later, "later" + path.replace("/", "-"))
                assert_healthy(self.server.trace, path, *SOON)
                client.ws_close()

    def test_a_head_slower_than_the_server_allows(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/ws/slow-head")[:-2])
            self.assertEqual(client.recv_until_close(), b"")
            exchange = assert_primary(self.server.trace, "/ws/slow-head", "head-never-complete")
        found = exchange["findings"][0]
        self.assertEqual((found["sub"], found["blame"]), ("timeout", None))
        self.assertIn("ReadHeaderTimeout", found["fix"])

    def test_a_body_slower_than_the_server_gives_heads_is_waited_for(self):
        path = "/body/slow/ws"
        with self.server.client() as client:
            client.send(handshake_bytes(path, [("Content-Length", "2")]) + b"o")
            assert_primary(self.server.trace, path, "premature-body-read",
                           "--never-answered", "1200ms")  # heads get one second
            client.send(b"k")
            self.assertEqual(client.recv_head().status, 101)
            exchange = assert_primary(self.server.trace, path, "premature-body-read", status=101)
        self.assert_blamed(exchange, "premature-body-read", "logBody")

    def test_a_peer_of_whom_nothing_is_heard_is_noted_and_nobody_blamed(self):
        with self.server.client() as client:
            client.ws_open("/ws/stalled")
            exchange = assert_primary(self.server.trace, "/ws/stalled", "silent-after-101",
                                      "--silent", "300ms", *SOON)
        found = exchange["findings"]
        self.assertEqual([(f["severity"], f["blame"]) for f in found], [("info", None)])


class GinCurrentCgo(GinCase, ServerCase):
    shape, early = "cgo", "upgrade-ignored-2xx"


class GinCurrentStripped(GinCase, ServerCase):
    shape, early = "stripped", "upgrade-ignored-2xx"


class GinDebianCgo(GinCase, ServerCase):
    which, shape, early = "debian", "cgo", "response-before-101"


class GinDebianStripped(GinCase, ServerCase):
    which, shape, early = "debian", "stripped", "response-before-101"


if __name__ == "__main__":
    unittest.main()
