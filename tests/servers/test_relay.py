# SPDX-License-Identifier: BSD-2-Clause
#
# A reverse proxy in Node: http-proxy, and relays written by hand with one known mistake each.  Both
# legs are in one process, so the report can compare them.

import unittest

from apps import node_command, node_env
from harness import (ServerCase, assert_healthy, assert_primary, free_port, handshake_bytes,
                     request_bytes)

SOON = ("--never-answered", "300ms", "--relay", "300ms", "--orphan", "300ms")


class Relay(ServerCase):
    @classmethod
    def setUpClass(cls):
        app, env = free_port(), node_env()
        cls.app = cls.serve(node_command("upgrade.js", "{port}"), app, env=env)
        cls.proxy = cls.serve(node_command("proxy.js", "{port}", str(app)), free_port(),
                              env={**env, "SHAKEDOWN_ALL": "on"})

    def test_http_proxy_relays_a_healthy_upgrade(self):
        with self.proxy.client() as client:
            client.ws_open("/sound/echo")
            client.echo()
            client.ws_close()
        assert_healthy(self.proxy.trace, "/sound/echo")
        assert_healthy(self.proxy.trace, "/echo", role="client")
        assert_healthy(self.app.trace, "/echo")

    def test_http_proxy_forwards_a_refusal(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/sound/refuse").status, 401)
        assert_primary(self.proxy.trace, "/sound/refuse", "upgrade-rejected")

    def test_a_refusal_the_relay_does_not_listen_for_is_never_answered(self):
        with self.proxy.client() as client:
            client.send(handshake_bytes("/deaf/nowhere"))
            exchange = assert_primary(self.proxy.trace, "/deaf/nowhere", "never-answered", *SOON)
        self.assertEqual(exchange["outcome"], "unanswered")

    def test_a_relay_that_waits_for_the_end_of_the_request_never_answers(self):
        with self.proxy.client() as client:
            client.send(handshake_bytes("/buffering/never"))
            assert_primary(self.proxy.trace, "/buffering/never", "never-answered", *SOON)

    def test_a_101_kept_until_its_body_ends_is_not_forwarded(self):
        with self.proxy.client() as client:
            client.send(handshake_bytes("/patient/half-open"))
            assert_primary(self.proxy.trace, "/patient/half-open", "relay-101-not-forwarded",
                           *SOON)

    def test_a_subprotocol_lost_on_the_way_back_is_a_dropped_header(self):
        with self.proxy.client() as client:
            head = client.ws_handshake("/forgetful/chosen",
                                       headers=[("Sec-WebSocket-Protocol", "chat, news")])
            self.assertEqual(head.status, 101)
            self.assertIsNone(head.get("Sec-WebSocket-Protocol"))
            assert_primary(self.proxy.trace, "/forgetful/chosen", "relay-header-dropped")

    def test_a_101_sent_before_the_backend_answered_is_too_early(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/eager/slow").status, 101)
            client.recv_frame()
            assert_primary(self.proxy.trace, "/eager/slow", "relay-101-too-early")

    def test_a_tunnel_opened_after_a_refusal_is_found(self):
        with self.proxy.client() as client:
            self.assertEqual(client.ws_handshake("/careless/kept-open").status, 403)
            client.send(request_bytes("/internal"))
            assert_primary(self.proxy.trace, "/careless/kept-open", "tunnel-after-refusal")

    def test_a_leg_left_open_after_the_other_closed_is_an_orphan(self):
        with self.proxy.client() as client:
            client.ws_open("/orphan/quiet")
        self.proxy.wait_finding("relay-orphan", *SOON)


if __name__ == "__main__":
    unittest.main()
