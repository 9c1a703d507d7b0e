# SPDX-License-Identifier: BSD-2-Clause
"""Faults reach Go programs as they reach others, linked statically and dynamically."""

import os
import socket
import unittest

import golang
import harness
from harness import SAMPLE_KEY, SHAKEDOWN, Server, free_port, request_bytes

HANDSHAKE = request_bytes("/ws/a", (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                    ("Sec-WebSocket-Version", "13"),
                                    ("Sec-WebSocket-Key", SAMPLE_KEY)))
HELLO = b"\x81\x85\1\2\3\4" + bytes(b ^ (1, 2, 3, 4)[i % 4] for i, b in enumerate(b"hello"))


class GoFaults(unittest.TestCase):
    def each_shape(self, rules):
        for shape in ("static", "cgo"):
            app = golang.build("plain", "plain", "newest", shape)
            env = {"SHAKEDOWN_RULES": rules, "SHAKEDOWN_SEED": "1"}
            cmd = [app, "127.0.0.1:{port}"]
            if golang.door(shape) == "run":
                cmd = [SHAKEDOWN, "run", "-o", "{dir}/server.trace", "--rule", rules, "--", *cmd]
                env = {}
            server = Server(cmd, free_port(), shim=golang.door(shape) is True, env=env)
            self.addCleanup(server.stop)
            self.server = server.start()
            yield server
            server.stop()

    def ask(self, request=request_bytes("/ping")):
        c = socket.create_connection(("127.0.0.1", self.server.port), timeout=harness.IO_TIMEOUT)
        self.addCleanup(c.close)
        c.sendall(request)
        return c

    def until(self, c, last):
        """Bytes up to these."""
        data = b""
        while not data.endswith(last):
            piece = c.recv(65536)
            self.assertTrue(piece, "the connection ended behind %r" % data)
            data += piece
        return data

    def everything(self, c):
        data = b""
        try:
            while piece := c.recv(65536):
                data += piece
        except ConnectionResetError:
            return data, "reset"
        return data, "end"

    def works(self):
        self.until(self.ask(), b"pong")

    def test_a_reset_in_the_middle_of_the_101(self):
        for _ in self.each_shape("tx@response-head+17:reset:conn=1"):
            data, how = self.everything(self.ask(HANDSHAKE))
            self.assertEqual((len(data), how), (17, "reset"))
            self.works()

    def test_eagain_is_waited_out(self):
        for _ in self.each_shape("rx@request-head:eagain=3;tx@response-head:eagain=2"):
            self.works()

    def test_a_close_before_the_request_was_read(self):
        for _ in self.each_shape("rx@request-head+5:close:conn=1"):
            self.assertEqual(self.everything(self.ask())[1], "end")
            self.works()

    def test_bytes_are_inserted_and_corrupted(self):
        rules = "rx@request-head+5:insert=xx:conn=1;tx@response-body:corrupt=1,fill=zero:conn=2"
        for _ in self.each_shape(rules):
            self.assertIn(b" 404 ", self.until(self.ask(), b"\n"))
            self.assertTrue(self.until(self.ask(), b"ong").endswith(b"\0ong"))

    def test_frames_are_put_in_and_split(self):
        rules = "rx@frames:frame,op=1,len=3:times=1;tx@frames:frame,split=2:frame=2"
        for _ in self.each_shape(rules):
            c = self.ask(HANDSHAKE)
            self.until(c, b"\r\n\r\n")
            c.sendall(HELLO)
            self.assertEqual(self.until(c, b"\x80\x01o"),
                             b"\x81\x03abc\x01\x02he\x00\x02ll\x80\x01o")

    def test_accept_fails_and_the_client_is_served_later(self):
        for _ in self.each_shape("accept:error=EMFILE:when=1..2"):
            self.works()

    def test_a_pause_ends(self):
        for _ in self.each_shape("tx@response-head:pause=20ms:conn=1"):
            self.works()


if __name__ == "__main__":
    unittest.main()
