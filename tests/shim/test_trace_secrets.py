# SPDX-License-Identifier: BSD-2-Clause
"""Secrets never reach the disk: no byte of a trace file tells them, wherever the client put them."""

import glob
import os
import shutil
import socket
import tempfile
import unittest

import counter
from harness import LIB, SAMPLE_KEY, preload_env, report
from tracefile import Trace

# (what the client sends, the secret in it)
TARGETS = [
    ("/ws?access_token=S3cr3tA1&x=1", "S3cr3tA1"),
    ("/ws?x=1&ApiKey=S3cr3tA2", "S3cr3tA2"),
    ("/ws/eyJhbGciOiJS3cr3tA3.abc/x", "S3cr3tA3"),
    ("/ws;jsessionid=S3cr3tA4?x=1", "S3cr3tA4"),
    ("/ws/S3cr3tA5", "S3cr3tA5"),
    ("/ws?S3cr3tA6", "S3cr3tA6"),
    ("/ws/user:s3cr3ta7", "s3cr3ta7"),
    ("/ws/a8b7c6d5-e4f3-4a2b-9c1d-0e9f8a7b6c5d", "a8b7c6d5"),
] + [("/ws?%s=S3cr3t-%s" % (name, name), "S3cr3t-" + name) for name in (
    "ticket", "sid", "pw", "pwd", "otp", "hash", "hmac", "state", "nonce", "t", "k", "s", "jwt",
    "assertion", "credential", "unheard_of")] + [
]
FIELDS = [
    ("Authorization: Bearer S3cr3tB1", "S3cr3tB1"),
    ("Authorization: S3cr3tB2", "S3cr3tB2"),
    ("Proxy-Authorization: Basic S3cr3tB3", "S3cr3tB3"),
    ("Cookie: a=S3cr3tB4; b=\"x;S3cr3tB5\"", "S3cr3tB5"),
    ("X-Api-Key: S3cr3tB6", "S3cr3tB6"),
    ("X-Auth-User: S3cr3tB7", "S3cr3tB7"),
    ("Referer: https://u:S3cr3tB8@example.com/?token=S3cr3tB9", "S3cr3tB"),
    ("X-Custom: password=S3cr3tBA", "S3cr3tBA"),
    ("Cookie: S3cr3tBC", "S3cr3tBC"),
    ("DPoP: S3cr3tBD", "S3cr3tBD"),
    ("X-Forwarded-Client-Cert: S3cr3tBE", "S3cr3tBE"),
    ("X-Csrf-Token: S3cr3tBF", "S3cr3tBF"),
    ("Referer: https://example.com/S3cr3tBG/?ticket=S3cr3tBH", "S3cr3tB"),
    ("Sec-WebSocket-Protocol: chat, S3cr3tBI", "S3cr3tBI"),
    ("Sec-WebSocket-Protocol: 8f14e45fceea167a5a36dedd4bea2543", "8f14e45f"),
    ("Sec-WebSocket-Protocol: bearer, S3cr3tBB", "S3cr3tBB"),
]


class Secrets(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-secrets-")
        self.addCleanup(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        self.trace = os.path.join(self.dir, "server.trace")
        self.env = preload_env(self.trace)
        self.env["LD_PRELOAD"] = shutil.copy(LIB, self.dir)
        self.env["SHAKEDOWN_MAX_TRACE"] = "8M"  # every byte of it is looked at

    def request(self, port, target, fields, upgrade, step):
        """Sent in pieces of step bytes; the answer is awaited."""
        lines = ["GET %s HTTP/1.1" % target, "Host: visible.example", *fields]
        if upgrade:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                      "Sec-WebSocket-Key: " + SAMPLE_KEY]
        data = "".join(line + "\r\n" for line in lines + [""]).encode()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(data), step):
                s.sendall(data[at:at + step])
            while s.recv(4096):
                pass

    def disk(self, requests, upgrade, step=1 << 20, **settings):
        """Every byte on the disk after these requests, and those of each direction in one piece."""
        self.env.update(settings)
        server, port = counter.start(self.env)
        try:
            for target, fields in requests:
                self.request(port, target, fields, upgrade, step)
        finally:
            counter.stop(server)
        path, = glob.glob(os.path.join(self.trace, "*.trace"))
        streams = {}
        for r in Trace(path).records:
            if r.kind == "data":
                key = r.conn, r.dir
                streams[key] = streams.get(key, b"") + r.bytes
        with open(path, "rb") as file:
            return b"\n".join([file.read(), *streams.values()])

    def requests(self):
        return [(target, []) for target, _ in TARGETS] + [("/ws", [field]) for field, _ in FIELDS]

    def assert_secret(self, data):
        found = [secret for _, secret in TARGETS + FIELDS if secret.encode() in data]
        self.assertEqual(found, [])

    def test_attempts_keep_their_secrets(self):
        data = self.disk(self.requests(), upgrade=True)
        self.assertTrue(b"visible.example" in data)
        self.assertTrue(SAMPLE_KEY.encode() in data)
        self.assert_secret(data)

    def test_a_token_among_the_subprotocols_that_the_server_chose_is_no_finding(self):
        self.disk([("/ws", ["Sec-WebSocket-Protocol: chat, bearer, S3cr3tBB"])], upgrade=True)
        process, = report(self.trace)["processes"]
        found = [f["id"] for x in process["exchanges"] for f in x["findings"]]
        self.assertNotIn("subprotocol-not-offered", found)

    def test_attempts_keep_their_secrets_when_they_arrive_in_small_pieces(self):
        for step in (1, 7):
            with self.subTest(step=step):
                data = self.disk(self.requests(), upgrade=True, step=step)
                self.assertTrue(b"visible.example" in data)
                self.assert_secret(data)
                shutil.rmtree(self.trace)

    def test_plain_exchanges_that_are_recorded_keep_their_secrets(self):
        data = self.disk(self.requests(), upgrade=False, SHAKEDOWN_ALL="on")
        self.assertTrue(b"visible.example" in data)
        self.assert_secret(data)

    def test_plain_exchanges_that_are_counted_keep_their_secrets(self):
        data = self.disk(self.requests(), upgrade=False)
        self.assertFalse(b"visible.example" in data)
        self.assert_secret(data)

    def test_secrets_are_recorded_when_that_is_asked_for(self):
        data = self.disk(self.requests(), upgrade=True, SHAKEDOWN_NO_REDACT="on")
        for _, secret in TARGETS + FIELDS:
            self.assertTrue(secret.encode() in data)


if __name__ == "__main__":
    unittest.main()
