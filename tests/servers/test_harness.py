# SPDX-License-Identifier: BSD-2-Clause
#
# The harness itself: a server that exits, a condition that never holds and a skip nobody wrote down
# must be failures, and nothing it started may live on.

import os
import socket
import subprocess
import sys
import unittest

import harness
from apps import PythonCase
from harness import Client, Server, ServerCase, free_port, wait_for

ECHO = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    while data := connection.recv(4096):
        connection.sendall(data)
    connection.close()
"""

CHILD = """
import os, socket, sys, time
if os.fork() == 0:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    time.sleep(600)
time.sleep(600)
"""


def bare(code, port, **options):
    return Server([sys.executable, "-c", code, "{port}"], port, shim=False, **options)


class Harness(unittest.TestCase):
    def test_a_server_that_exits_before_it_listens_fails_with_its_status_and_log(self):
        server = bare("import sys; print('no such option'); sys.exit(7)", free_port())
        self.addCleanup(server.stop)
        with self.assertRaises(AssertionError) as raised:
            server.start()
        self.assertIn("status 7", str(raised.exception))
        self.assertIn("no such option", str(raised.exception))

    def test_waiting_for_a_server_opens_no_connection(self):
        port = free_port()
        code = ECHO.replace("while True:", "print('accepting', flush=True)\nwhile True:").replace(
            "    while data", "    print('accepted', flush=True)\n    while data")
        with bare(code, port) as server:
            with Client(port) as client:
                client.send(b"x")
                client.recv_exactly(1)
            self.assertEqual(server.log_text().count("accepted"), 1)

    def test_a_listener_of_a_child_counts_and_is_gone_afterwards(self):
        port = free_port()
        with bare(CHILD, port):
            pass
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))

    def test_somebody_elses_listener_does_not_count(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.assertTrue(harness.is_listening(os.getpid(), port))
            with subprocess.Popen(["sleep", "60"]) as sleeper:
                self.assertFalse(harness.is_listening(sleeper.pid, port))
                sleeper.kill()

    def test_a_condition_that_never_holds_fails(self):
        with self.assertRaisesRegex(AssertionError, "pigs to fly"):
            wait_for(lambda: False, "pigs to fly", timeout=0.05)

    def test_a_silent_server_ends_in_a_timeout(self):
        with bare(ECHO, port := free_port()):
            with Client(port, timeout=0.1) as client, self.assertRaises(TimeoutError):
                client.recv_head()

    def test_a_skip_without_a_row_is_a_failure(self):
        with self.assertRaisesRegex(AssertionError, "without a row"):
            harness.skip("no-such-row")

    def test_a_skip_with_a_row_gives_its_reason(self):
        with self.assertRaisesRegex(unittest.SkipTest, "^websockets-sdist: "):
            harness.skip("websockets-sdist")

    def test_two_exchanges_of_one_path_are_ambiguous(self):
        rep = {"processes": [{"exchanges": [{"path": "/a", "role": "server"}] * 2}]}
        with self.assertRaises(AssertionError):
            harness.attempt(rep, "/a")

    def test_a_failed_test_keeps_the_servers_log(self):
        class Inner(ServerCase):
            def test_fails(self):
                self.server = self.serve([sys.executable, "-c", ECHO, "{port}"], free_port(),
                                         shim=False)
                raise AssertionError("on purpose")

        result = unittest.TestResult()
        Inner("test_fails").run(result)
        self.assertEqual(len(result.failures), 1)
        server = Inner.servers[0]
        self.assertTrue(server.failed)
        server.failed = False
        server.stop()
        self.assertFalse(os.path.exists(server.dir))

    def test_frames_and_handshakes_follow_the_rfc(self):
        self.assertEqual(harness.accept_of(harness.SAMPLE_KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(harness.frame_bytes(1, b"Hello", mask=False), b"\x81\x05Hello")
        for n, head in ((125, b"\x82\x7d"), (126, b"\x82\x7e\x00\x7e"),
                        (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0")):
            self.assertTrue(harness.frame_bytes(2, b"x" * n, mask=False).startswith(head))


class Assertions(PythonCase):
    """What the tests of servers rely on fails when it should."""

    app = "ws.py"

    def test_another_primary_finding_than_the_expected_fails_and_is_described(self):
        with self.server.client() as client:
            client.ws_handshake("/page")
        with self.assertRaisesRegex(AssertionError, "/page: expected .*upgrade-ignored-2xx"):
            harness.assert_primary(self.server.trace, "/page", "never-answered", timeout=0.5)

    def test_a_spoiled_upgrade_is_not_healthy(self):
        with self.server.client() as client:
            client.ws_open("/full")
        with self.assertRaisesRegex(AssertionError, "should be healthy.*closed-right-after-101"):
            harness.assert_primary(self.server.trace, "/full", "closed-right-after-101")
            harness.assert_healthy(self.server.trace, "/full")

    def test_an_attempt_that_was_not_seen_is_not_healthy(self):
        with self.assertRaisesRegex(AssertionError, "no such exchange"):
            harness.assert_healthy(self.server.trace, "/never-asked-for", timeout=0.5)


if __name__ == "__main__":
    unittest.main()
