# SPDX-License-Identifier: BSD-2-Clause
#
# Node: http without an 'upgrade' listener, listeners with the classic mistakes, ws, two ws
# servers on one http.Server, express-ws, engine.io.

import unittest

from apps import NodeCase
from harness import assert_healthy, assert_primary, at_least, handshake_bytes, wait_for

SOON = ("--never-answered", "300ms", "--close-wait", "300ms")


class PlainHttp(NodeCase):
    """http.createServer and nothing else."""

    app = "plain.js"

    def test_a_page_answered_to_a_handshake_is_an_ignored_upgrade(self):
        self.refused("/page", 200, "upgrade-ignored-2xx")

    def test_a_redirect_answered_to_a_handshake_is_found(self):
        exchange = self.refused("/moved", 301, "upgrade-redirected")
        self.assertIn("/page", exchange["findings"][0]["message"])

    def test_an_unknown_path_is_a_rejection(self):
        self.refused("/nowhere", 404, "upgrade-rejected")

    def test_a_500_is_a_failure(self):
        self.refused("/throws", 500, "upgrade-failed-5xx")

    def test_a_101_whose_response_is_ended_is_cut_by_the_keep_alive_timer(self):
        with self.server.client() as client:
            client.ws_open("/ended")
            self.assertEqual(client.recv_until_close(), b"")
        # Node 18 waits five seconds, Node 20 six, which is no timeout anybody configures.
        assert_primary(self.server.trace, "/ended", ("abrupt-close", "idle-timeout-close"))

    def test_a_handler_that_forgets_the_request_never_answers(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/forgotten"))
            exchange = assert_primary(self.server.trace, "/forgotten", "never-answered",
                                      *SOON)
        self.assertEqual(exchange["outcome"], "unanswered")

    def test_ordinary_requests_are_no_attempts(self):
        with self.server.client() as client:
            for _ in range(3):
                client.send(b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(client.recv_response()[0].status, 404)
        rep = self.server.report()
        self.assertEqual([x for p in rep["processes"] for x in p["exchanges"]
                          if x["path"] == "/plain"], [])


class UpgradeListener(NodeCase):
    """One 'upgrade' listener with ws (noServer) behind it."""

    app = "upgrade.js"

    def test_an_echo_server_is_healthy(self):
        self.healthy_echo()

    def test_a_refusal_that_ends_the_socket_is_a_rejection_and_nothing_worse(self):
        exchange = self.refused("/refuse", 401, "upgrade-rejected")
        self.assertEqual([f["severity"] for f in exchange["findings"]], ["warning"])

    def test_a_raw_stream_needs_no_websocket_fields(self):
        with self.server.client() as client:
            client.send(b"POST /raw HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n"
                        b"Content-Length: 0\r\n\r\n")
            self.assertEqual(client.recv_head().status, 101)
            client.send(b"HTTP/1.1 is not special here")
            client.recv_exactly(28)
        assert_healthy(self.server.trace, "/raw")

    def test_a_listener_that_returns_silently_never_answers(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/silent"))
            assert_primary(self.server.trace, "/silent", "never-answered", *SOON)

    def test_a_destroyed_socket_is_a_close_without_response(self):
        self.cut_off("/destroy", "closed-without-response")

    def test_a_socket_destroyed_by_a_timer_is_a_close_without_response(self):
        self.cut_off("/late-destroy", "closed-without-response")

    def test_a_refusal_without_length_on_an_open_socket_does_not_end(self):
        self.refused("/unframed", 403, "upgrade-rejected")

    def test_a_refusal_cut_off_inside_its_head_is_found(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/half-head"))
            self.assertNotIn(b"\r\n\r\n", client.recv_until_close())
        assert_primary(self.server.trace, "/half-head", "reject-truncated")

    def test_an_upgrade_field_deleted_inside_the_process_is_not_the_clients_fault(self):
        self.refused("/filtered", 400, "field-lost-in-process")

    def test_an_accept_over_the_decoded_key_is_bad(self):
        exchange = self.accepted("/accept-of-decoded-key", "bad-accept")
        self.assertIn("decoded", exchange["findings"][0]["message"])

    def test_an_accept_in_hex_is_bad(self):
        exchange = self.accepted("/accept-in-hex", "bad-accept")
        self.assertIn("hex", exchange["findings"][0]["message"])

    def test_a_101_without_connection_lacks_a_field(self):
        self.accepted("/no-connection", "handshake-header-missing")

    def test_an_upgrade_field_pushed_twice_is_a_duplicate(self):
        self.accepted("/twice", "handshake-header-duplicate")

    def test_an_empty_subprotocol_is_not_offered(self):
        self.accepted("/empty-protocol", "subprotocol-not-offered")

    def test_a_subprotocol_of_the_servers_own_is_not_offered(self):
        self.accepted("/soap", "subprotocol-not-offered",
                      headers=[("Sec-WebSocket-Protocol", "chat, superchat")])

    def test_no_subprotocol_though_a_browser_offered_some_is_a_warning(self):
        exchange = self.accepted("/no-protocol", "subprotocol-omitted",
                                 headers=[("Sec-WebSocket-Protocol", "chat, superchat"),
                                          ("Origin", "http://localhost")])
        self.assertEqual(exchange["findings"][0]["severity"], "warning")

    def test_a_compression_nobody_offered_is_found(self):
        self.accepted("/deflate", "extension-not-offered")

    def test_a_content_length_in_the_101_is_found(self):
        self.accepted("/length", "body-header-on-101")

    def test_a_protocol_nobody_asked_for_is_found(self):
        self.accepted("/h9", "protocol-not-offered")

    def test_an_accepted_socket_closed_at_once_is_a_refusal_too_late(self):
        self.accepted("/goodbye", "closed-right-after-101")

    def test_an_accepted_socket_dropped_at_once_is_found(self):
        self.accepted("/hangup", "closed-right-after-101")

    def test_the_routes_answer_behind_the_close_frame_is_found(self):
        with self.server.client() as client:
            client.ws_open("/response-after-close")
            client.send_frame(1, b"done?")
            self.assertIn(b"HTTP/1.1 204", client.recv_exactly(4 + 27))
            assert_primary(self.server.trace, "/response-after-close", "http-after-101")

    def test_json_behind_the_101_is_stray(self):
        self.accepted("/json-after-upgrade", "stray-bytes-after-101")

    def test_a_second_101_is_found(self):
        self.accepted("/twice-101", "double-101")

    def test_a_masked_server_frame_is_a_frame_error(self):
        self.accepted("/masked", "frame-error")

    def test_a_frame_in_front_of_the_101_is_found(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/early-frame"))
            client.recv_exactly(4)
            self.assertEqual(client.recv_head().status, 101)
            assert_primary(self.server.trace, "/early-frame", "frame-before-101")

    def test_an_answer_in_front_of_the_101_is_found(self):
        with self.server.client() as client:
            self.assertEqual(client.ws_handshake("/ok-then-101").status, 200)
            self.assertEqual(client.recv_head().status, 101)
            assert_primary(self.server.trace, "/ok-then-101", "response-before-101")

    def test_a_raw_stream_after_a_200_is_an_ignored_upgrade(self):
        with self.server.client() as client:
            client.send(b"POST /raw-200 HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\n"
                        b"Connection: Upgrade\r\nContent-Length: 0\r\n\r\n")
            self.assertEqual(client.recv_head().status, 200)
            client.send(b"raw bytes")
            client.recv_exactly(9)
        assert_primary(self.server.trace, "/raw-200", "upgrade-ignored-2xx")


class WsServer(NodeCase):
    """What ws itself answers to bad clients."""

    app, args = "two.js", ("sound",)

    def test_one_dispatcher_for_two_paths_is_healthy(self):
        for path in ("/chat", "/news"):
            with self.server.client() as client:
                client.ws_open(path)
                self.assertEqual(client.recv_data(), b"welcome")
                client.echo()
                client.ws_close()
            assert_healthy(self.server.trace, path)


class WsServerRefuses(NodeCase):
    app, args = "two.js", ("sound",)

    def test_a_client_without_key_is_malformed(self):
        self.refused("/chat", 400, "req-malformed", without=["Sec-WebSocket-Key"])

    def test_a_version_refused_with_the_list_of_versions_is_not_a_negotiation_failure(self):
        with self.server.client() as client:
            head = client.ws_handshake("/news", version="12")
            self.assertEqual(head.status, 400)
            self.assertEqual(head.get("Sec-WebSocket-Version"), "13, 8")
        exchange = assert_primary(self.server.trace, "/news", "upgrade-rejected")
        self.assertEqual(at_least(exchange, "warning"), [])


class TwoWsServers(NodeCase):
    """Two WebSocketServers with different paths on one http.Server."""

    app, args = "two.js", ("spoiled",)

    def test_the_other_server_writes_its_400_into_the_accepted_socket(self):
        with self.server.client() as client:
            client.ws_open("/chat")
            self.assertIn(b"HTTP/1.1 400", client.recv_until_close())
        assert_primary(self.server.trace, "/chat", "http-after-101")

    def test_registered_the_other_way_round_only_the_400_is_seen(self):
        self.refused("/news", 400, "upgrade-rejected")


class ExpressWs(NodeCase):
    app = "express.js"

    def test_a_route_of_express_ws_is_healthy(self):
        self.healthy_echo()

    def test_middleware_that_answers_401_closes_the_socket_it_was_given(self):
        with self.server.client() as client:
            client.ws_open("/private")
            self.assertEqual(client.recv_frame().opcode, 8)
            assert_primary(self.server.trace, "/private", "closed-right-after-101")

    def test_a_path_without_route_is_accepted_and_closed(self):
        with self.server.client() as client:
            client.ws_open("/nowhere")
            self.assertEqual(client.recv_frame().opcode, 8)
            assert_primary(self.server.trace, "/nowhere", "closed-right-after-101")


class EngineIo(NodeCase):
    app = "engine.js"

    def test_a_websocket_transport_is_healthy(self):
        with self.server.client() as client:
            client.ws_open("/live/?EIO=4&transport=websocket")
            self.assertEqual(client.recv_data()[:1], b"0")
            client.send_frame(1, b"4hello")
            self.assertEqual(client.recv_data(), b"4hello")
            client.ws_close()
        assert_healthy(self.server.trace, "/live/")

    def test_an_upgrade_for_another_path_is_destroyed_by_a_timer(self):
        self.cut_off("/elsewhere", "closed-without-response")


class EngineIoRefuses(NodeCase):
    app = "engine.js"

    def test_an_unknown_session_is_a_rejection(self):
        self.refused("/live/", 400, "upgrade-rejected",
                     sent="/live/?EIO=4&transport=websocket&sid=gone")


class Cluster(NodeCase):
    """The first process accepts and passes the connections to its workers over a unix socket."""

    app = "cluster.js"

    def test_a_connection_is_followed_into_the_worker_that_was_given_it(self):
        for _ in range(4):
            with self.server.client() as client:
                client.ws_open("/echo")
                client.echo()
                client.ws_close()
            with self.server.client() as client:
                self.assertEqual(client.ws_handshake("/twice").status, 101)
        found = wait_for(lambda: self.eight_exchanges(), "eight exchanges")
        self.assertEqual(sorted((x["path"], len(at_least(x, "warning"))) for x in found),
                         [("/echo", 0)] * 4 + [("/twice", 1)] * 4)

    def eight_exchanges(self):
        rep = self.server.report()
        found = [x for p in rep["processes"] if p["pid"] != self.server.pid for x in p["exchanges"]]
        return found if [x["outcome"] for x in found] == ["upgraded"] * 8 else None


class HttpUpgradeOffers(NodeCase):
    """`Upgrade: h2c` from clients that would be content with HTTP/1.1."""

    app, args, env = "two.js", ("sound",), {"SHAKEDOWN_ALL": "on"}
    offer = [("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"),
             ("HTTP2-Settings", "AAMAAABkAAQAAP__")]

    def test_an_offer_punished_by_the_websocket_listener_is_a_rejection(self):
        with self.server.client() as client:
            self.assertEqual(client.request("/chat", self.offer).status, 400)
            exchange = assert_primary(self.server.trace, "/chat", "upgrade-rejected")
        self.assertEqual(exchange["protocol"], "h2c")


class HttpUpgradeOffersIgnored(HttpUpgradeOffers):
    app, args = "plain.js", ()

    def test_an_offer_punished_by_the_websocket_listener_is_a_rejection(self):
        """Without a listener the offer is ignored, as it should be."""
        with self.server.client() as client:
            self.assertEqual(client.request("/page", self.offer).status, 200)
        self.assertNotIn("upgrade-ignored-2xx", str(self.server.report()))


class CrashOnEarlyData(NodeCase):
    app = "upgrade.js"

    def test_a_byte_behind_the_handshake_that_ends_the_process_closes_without_response(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/strict") + b"\x81")
            self.assertEqual(client.recv_until_close(), b"")
        self.server.process.wait(20)
        exchange = assert_primary(self.server.trace, "/strict",
                                  ("early-client-data", "closed-without-response"))
        self.assertEqual({f["id"] for f in exchange["findings"]},
                         {"early-client-data", "closed-without-response"})


class UpgradedTwice(NodeCase):
    """ws refuses to upgrade one socket twice by throwing, which ends the process."""

    app = "upgrade.js"

    def test_a_second_upgrade_of_the_same_socket_takes_the_process_and_the_connection_down(self):
        with self.server.client() as client:
            client.ws_open("/upgraded-twice")
            client.recv_until_close()
        self.server.process.wait(20)
        self.assertIn("handleUpgrade() was called more than once", self.server.log_text())
        assert_primary(self.server.trace, "/upgraded-twice", "abrupt-close")


class HeldDescriptors(NodeCase):
    """Sockets nobody closes after the peer has gone."""

    app = "upgrade.js"

    def test_a_refused_socket_that_is_never_closed_is_held(self):
        with self.server.client() as client:
            self.assertEqual(client.ws_handshake("/kept-open").status, 403)
        self.server.wait_finding("close-wait-held", *SOON)


class HeldUpgraded(NodeCase):
    app = "upgrade.js"

    def test_an_upgraded_socket_that_is_never_ended_is_held(self):
        with self.server.client() as client:
            client.ws_open("/half-open")
        self.server.wait_finding("close-wait-held", *SOON)


if __name__ == "__main__":
    unittest.main()
