# SPDX-License-Identifier: BSD-2-Clause
#
# libwebsockets: a native server, built here, that refuses by closing the connection.

import os
import shutil
import subprocess
import tempfile
import unittest

from apps import HERE, UpgradeCase
from harness import assert_healthy, assert_primary


class Libwebsockets(UpgradeCase):
    @classmethod
    def command(cls):
        folder = tempfile.mkdtemp(prefix="shakedown-lws-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libwebsockets"], check=True,
                               stdout=subprocess.PIPE, text=True, timeout=30).stdout.split()
        program = os.path.join(folder, "server")
        subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-g", "-o", program,
                        os.path.join(HERE, "lws", "server.c"), *flags], check=True, timeout=120)
        return [program, "{port}"]

    def test_an_echo_is_healthy(self):
        self.healthy_echo()

    def test_a_subprotocol_that_was_offered_is_healthy(self):
        self.healthy_echo("/chat", headers=[("Sec-WebSocket-Protocol", "news, echo")])

    def test_an_extension_that_is_declined_is_healthy(self):
        self.healthy_echo("/plain", headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])

    def test_a_handshake_denied_by_the_callback_is_closed_without_response(self):
        self.cut_off("/dropped", "closed-without-response")

    def test_an_unknown_subprotocol_is_closed_without_response(self):
        self.cut_off("/unknown", "closed-without-response",
                     headers=[("Sec-WebSocket-Protocol", "soap")])

    def test_a_403_of_the_callback_is_a_rejection(self):
        self.refused("/forbidden", 403, "upgrade-rejected")

    def test_a_close_frame_as_the_first_frame_is_a_refusal_too_late(self):
        self.accepted("/full", "closed-right-after-101")

    def test_a_connection_dropped_after_the_101_is_found(self):
        self.accepted("/hangup", "closed-right-after-101")

    def test_a_conversation_that_ends_without_a_close_frame_is_abrupt(self):
        with self.server.client() as client:
            client.ws_open("/ends-later")
            client.echo()
            client.send_frame(1, b"once more")
            self.assertEqual(client.recv_until_close(), b"")
        assert_primary(self.server.trace, "/ends-later", "abrupt-close")

    def test_a_request_that_lost_its_upgrade_field_is_the_proxys_fault(self):
        self.refused("/stripped", 404, "req-upgrade-stripped", without=["Upgrade"])

    def test_a_client_without_key_is_malformed(self):
        self.cut_off("/nokey", "req-malformed", without=["Sec-WebSocket-Key"])

    def test_an_echo_between_the_spoiled_ones_is_still_healthy(self):
        with self.server.client() as client:
            client.ws_open("/between")
            with self.server.client() as other:
                other.ws_handshake("/forbidden-not")
            client.echo(b"x" * 200)
            client.ws_close()
        assert_healthy(self.server.trace, "/between")


if __name__ == "__main__":
    unittest.main()
