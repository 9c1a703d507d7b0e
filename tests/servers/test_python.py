# SPDX-License-Identifier: BSD-2-Clause
#
# CPython: websockets, aiohttp, uvicorn with Starlette, http.server, and a server written by hand on
# asyncio streams.

import os
import ssl
import unittest

from apps import HERE, PYTHON, PythonCase, python_command
from harness import (Client, assert_healthy, assert_primary, at_least, exchanges, free_port,
                     handshake_bytes, request_bytes, wait_for)


class Websockets(PythonCase):
    app = "ws.py"

    def test_an_echo_is_healthy(self):
        self.healthy_echo()

    def test_a_subprotocol_that_was_offered_is_healthy(self):
        self.healthy_echo("/chat", headers=[("Sec-WebSocket-Protocol", "news, chat")])

    def test_no_common_subprotocol_is_a_warning(self):
        self.accepted("/soap", "subprotocol-omitted", headers=[("Sec-WebSocket-Protocol", "soap")])

    def test_a_hook_that_answers_401_is_a_rejection(self):
        self.refused("/private", 401, "upgrade-rejected")

    def test_a_hook_that_answers_200_ignores_the_upgrade(self):
        self.refused("/page", 200, "upgrade-ignored-2xx")

    def test_a_hook_that_raises_is_a_failure(self):
        self.refused("/hook-fails", 500, "upgrade-failed-5xx")

    def test_a_room_that_is_full_after_the_101_is_a_refusal_too_late(self):
        self.accepted("/full", "closed-right-after-101")

    def test_a_handler_that_raises_after_the_101_closes_right_after_it(self):
        self.accepted("/fails", "closed-right-after-101")

    def test_a_client_without_key_is_malformed(self):
        self.refused("/nokey", 400, "req-malformed", without=["Sec-WebSocket-Key"])

    def test_a_request_that_asks_to_close_is_healthy_when_the_socket_stays(self):
        self.healthy_echo("/closing", without=["Connection"],
                          headers=[("Connection", "close, Upgrade")])

    def test_a_version_refused_without_the_list_of_versions_is_found(self):
        self.refused("/v12", 400, "version-negotiation", version="12")

    def test_a_request_that_lost_its_upgrade_field_is_the_proxys_fault(self):
        exchange = self.refused("/stripped", 426, "req-upgrade-stripped", without=["Upgrade"])
        self.assertEqual(exchange["outcome"], "refused")

    def test_a_connection_header_of_firefox_is_healthy(self):
        self.healthy_echo("/firefox", without=["Connection"],
                          headers=[("Connection", "keep-alive, Upgrade")])

    def test_a_handshake_that_arrives_in_pieces_is_healthy(self):
        data = handshake_bytes("/pieces", [("Cookie", "a=" + "b" * 600)])
        with self.server.client() as client:
            for i in range(0, len(data), 100):
                client.send(data[i:i + 100])
            self.assertEqual(client.recv_head().status, 101)
            client.echo()
            client.ws_close()
        assert_healthy(self.server.trace, "/pieces")


class Aiohttp(PythonCase):
    app = "aio.py"

    def test_an_echo_is_healthy(self):
        self.healthy_echo()

    def test_a_page_answered_to_a_handshake_ignores_the_upgrade(self):
        self.refused("/page", 200, "upgrade-ignored-2xx")

    def test_middleware_that_answers_401_is_a_rejection(self):
        self.refused("/private", 401, "upgrade-rejected")

    def test_an_upgrade_on_the_connection_that_was_refused_before_is_healthy(self):
        with self.server.client() as client:
            client.ws_handshake("/private/first")
            client.recv_exactly(len("who are you?"))
            client.ws_open("/echo?second")
            client.echo()
            client.ws_close()
            first = assert_primary(self.server.trace, "/private/first", "upgrade-rejected")
        self.assertEqual(first["status"], 401)
        second = [x for x in exchanges(self.server.report()) if x["path"] == "/echo?second"]
        self.assertEqual([(x["connection"], x["outcome"], x["findings"]) for x in second],
                         [(first["connection"], "upgraded", [])])

    def test_middleware_that_answers_503_is_a_failure(self):
        self.refused("/busy", 503, "upgrade-failed-5xx")

    def test_a_handler_that_raises_is_a_failure(self):
        self.refused("/fails", 500, "upgrade-failed-5xx")

    def test_a_slash_appended_by_middleware_is_a_redirect_no_browser_follows(self):
        exchange = self.refused("/slash", 308, "upgrade-redirected")
        self.assertIn("/slash/", exchange["findings"][0]["message"])

    def test_a_method_the_route_does_not_have_is_a_rejection(self):
        self.refused("/post", 405, "upgrade-rejected")

    def test_a_json_answer_returned_after_the_upgrade_is_written_into_the_websocket(self):
        with self.server.client() as client:
            client.ws_open("/after")
            client.send_frame(1, b"hi")
            self.assertIn(b"HTTP/1.1 200 OK", client.recv_exactly(20))
            assert_primary(self.server.trace, "/after", "http-after-101")

    def test_a_101_made_as_a_plain_response_leaves_the_http_parser_in_place(self):
        with self.server.client() as client:
            client.ws_open("/by-hand")
            client.send_frame(1, b"hi")
            self.assertIn(b"400 Bad Request", client.recv_until_close())
        assert_primary(self.server.trace, "/by-hand", "http-parse-after-101")

    def test_a_close_frame_as_the_first_frame_is_a_refusal_too_late(self):
        self.accepted("/goodbye", "closed-right-after-101")


class AiohttpVersion(PythonCase):
    app = "aio.py"

    def test_a_version_refused_without_the_list_of_versions_is_found(self):
        self.refused("/echo", 400, "version-negotiation", version="12")


class AiohttpKey(PythonCase):
    app = "aio.py"

    def test_a_client_without_key_is_malformed(self):
        self.refused("/echo", 400, "req-malformed", without=["Sec-WebSocket-Key"])


class Uvicorn:
    """What uvicorn does with both of its WebSocket implementations."""

    def test_an_echo_is_healthy(self):
        self.healthy_echo()

    def test_middleware_that_asserts_an_http_scope_is_a_failure(self):
        exchange = self.refused("/sessions/echo", 500, "upgrade-failed-5xx")
        self.assertIn('assert scope["type"] == "http"', self.server.log_text())
        self.assertIn("AssertionError", exchange["findings"][0]["message"])

    def test_the_same_middleware_lets_an_ordinary_request_pass(self):
        with self.server.client() as client:
            client.send(request_bytes("/sessions/page"))
            self.assertEqual(client.recv_response()[1], b"a page")

    def test_an_application_that_refuses_is_a_rejection(self):
        self.refused("/refuse", 403, "upgrade-rejected")

    def test_an_unknown_path_is_a_rejection(self):
        self.refused("/nowhere", 403, "upgrade-rejected")

    def test_an_application_that_returns_without_a_word_is_a_failure(self):
        self.refused("/returns", 500, "upgrade-failed-5xx")

    def test_an_application_that_raises_is_a_failure(self):
        self.refused("/fails", 500, "upgrade-failed-5xx")

    def test_an_accepted_socket_closed_at_once_is_a_refusal_too_late(self):
        self.accepted("/goodbye", "closed-right-after-101")


class UvicornWebsockets(Uvicorn, PythonCase):
    app, args = "asgi.py", ("websockets",)


class UvicornWsproto(Uvicorn, PythonCase):
    app, args = "asgi.py", ("wsproto",)

    def test_a_426_without_an_upgrade_field_is_found(self):
        self.refused("/v12", 426, "version-negotiation", version="12")


class UvicornWithoutWebsockets(PythonCase):
    """No WebSocket package installed: the same path works for polling and fails for sockets."""

    app, args = "asgi.py", ("none",)

    def test_a_server_without_websocket_support_refuses_every_upgrade(self):
        self.refused("/echo", 400, "upgrade-rejected")


class HttpServer(PythonCase):
    """http.server reads the first frame as the next request line."""

    app = "stdlib.py"

    def test_a_page_answered_to_a_handshake_ignores_the_upgrade(self):
        self.refused("/page", 200, "upgrade-ignored-2xx")

    def test_a_frame_read_as_a_request_is_answered_with_an_http_error(self):
        with self.server.client() as client:
            client.ws_open("/half")
            # A mask of zeros, so that the frame holds a line of three words.
            client.send(b"\x81\x91\0\0\0\0a b HTTP/1.1\r\n\r\n")
            self.assertIn(b"HTTP/1.1 501", client.recv_until_close())
        assert_primary(self.server.trace, "/half", "http-parse-after-101")

    def test_a_frame_read_as_http_0_9_is_answered_with_html(self):
        with self.server.client() as client:
            client.ws_open("/half?0.9")
            client.send(b"\x81\x8b\0\0\0\0hi there\nyo")
            self.assertTrue(client.recv_until_close().startswith(b"<!DOCTYPE HTML>"))


class Encrypted(PythonCase):
    """wss: the bytes are TLS records, which is said and not guessed about."""

    app, args = "ws.py", ("/usr/lib/python3.11/test/keycert.pem",)

    def test_an_encrypted_websocket_is_partial_and_has_no_findings(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.server.client() as client:
            client.sock = context.wrap_socket(client.sock)
            client.ws_open("/secret")
            client.echo()
        rep = self.server.report()
        self.assertEqual([(p["coverage"], p["exchanges"]) for p in rep["processes"]],
                         [("partial", [])])
        self.assertIn("encrypted", rep["processes"][0]["coverage_reason"])


class Workers(PythonCase):
    """uvicorn with two worker processes, which inherit the listening socket."""

    @classmethod
    def command(cls):
        return [PYTHON, "-m", "uvicorn", "--app-dir", os.path.join(HERE, "python"),
                "--workers", "2", "--port", "{port}", "asgi:app"]

    def test_each_connection_is_reported_by_the_worker_that_served_it(self):
        for _ in range(6):
            with self.server.client() as client:
                client.ws_open("/echo")
                client.echo()
                client.ws_close()
            with self.server.client() as client:
                self.assertEqual(client.ws_handshake("/fails").status, 500)
        processes = wait_for(self.all_answered, "twelve exchanges")
        self.assertNotIn(self.server.pid, [p["pid"] for p in processes])
        self.assertEqual({p["coverage"] for p in processes}, {"full"})
        self.assertEqual(sorted((x["path"], len(at_least(x, "warning")))
                                for p in processes for x in p["exchanges"]),
                         [("/echo", 0)] * 6 + [("/fails", 1)] * 6)

    def all_answered(self):
        processes = [p for p in self.server.report()["processes"] if p["exchanges"]]
        outcomes = sorted(x["outcome"] for p in processes for x in p["exchanges"])
        return processes if outcomes == ["failed"] * 6 + ["upgraded"] * 6 else None


class HandWritten(PythonCase):
    """asyncio streams and nothing else."""

    app = "raw.py"

    @classmethod
    def setUpClass(cls):
        cls.eager, cls.small = free_port(), free_port()
        cls.server = cls.serve(python_command("raw.py", "{port}", str(cls.eager), str(cls.small)),
                               free_port(), ports=(cls.eager, cls.small))

    def test_an_echo_is_healthy(self):
        self.healthy_echo()

    def test_a_head_larger_than_the_buffer_is_never_answered(self):
        with Client(self.small) as client:
            client.send(handshake_bytes("/large", [("Cookie", "a=" + "b" * 600)]))
            exchange = assert_primary(self.server.trace, "/large", "head-never-complete",
                                      "--never-answered", "300ms")
        self.assertIn("512", exchange["findings"][0]["message"])

    def test_the_same_server_answers_a_head_that_fits(self):
        with Client(self.small) as client:
            client.ws_open("/fits")
            client.send_frame(8)
            self.assertEqual(client.recv_frame().opcode, 8)
        assert_healthy(self.server.trace, "/fits")

    def test_a_frame_sent_before_the_101_makes_an_impatient_server_hang_up(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/impatient") + b"\x81\x82\0\0\0\0hi")
            self.assertEqual(client.recv_until_close(), b"")
        exchange = assert_primary(self.server.trace, "/impatient",
                                ("early-client-data", "closed-without-response"))
        ids = [f["id"] for f in exchange["findings"]]
        self.assertIn("early-client-data", ids)
        self.assertIn("closed-without-response", ids)

    def test_a_server_that_reads_the_frame_as_http_is_found(self):
        with self.server.client() as client:
            client.ws_open("/http-mode")
            client.send_frame(1, b"hi")
            self.assertIn(b"HTTP/1.1 400", client.recv_until_close())
        assert_primary(self.server.trace, "/http-mode", "http-parse-after-101")

    def test_a_timer_that_writes_503_into_the_websocket_is_found(self):
        with self.server.client() as client:
            client.ws_open("/timer")
            self.assertEqual(client.recv_data(), b"hi")
            client.finish()
            self.assertIn(b"HTTP/1.1 503", client.recv_until_close())
        assert_primary(self.server.trace, "/timer", "http-after-101")

    def test_a_compressed_frame_nobody_agreed_on_is_found(self):
        self.accepted("/compressed", "extension-not-offered")

    def test_html_behind_the_101_is_stray(self):
        self.accepted("/html", "stray-bytes-after-101")

    def test_the_end_of_a_chunked_body_behind_the_101_is_stray(self):
        self.accepted("/chunk-end", "stray-bytes-after-101")

    def test_a_chunked_101_is_found(self):
        self.accepted("/chunked-101", "body-header-on-101")

    def test_an_empty_subprotocol_field_is_illegal(self):
        self.accepted("/cors", "subprotocol-not-offered")

    def test_an_accept_over_no_key_is_bad(self):
        exchange = self.accepted("/accept-of-nothing", "bad-accept")
        self.assertIn("empty key", exchange["findings"][0]["message"])

    def test_a_refusal_shorter_than_it_says_is_found(self):
        with self.server.client() as client:
            self.assertEqual(client.ws_handshake("/short").status, 403)
            self.assertEqual(client.recv_until_close(), b"sorry")
        exchange = assert_primary(self.server.trace, "/short", "upgrade-rejected")
        self.assertIn("reject-framing", [f["id"] for f in exchange["findings"]])

    def test_a_server_that_speaks_first_is_found(self):
        with Client(self.eager) as client:
            client.send(handshake_bytes("/eager"))
            self.assertEqual(client.recv_exactly(7), b"\x81\x05hello")
            self.assertEqual(client.recv_head().status, 101)
            assert_primary(self.server.trace, "/eager", "frame-before-101")


if __name__ == "__main__":
    unittest.main()
