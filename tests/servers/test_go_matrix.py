# SPDX-License-Identifier: BSD-2-Clause
#
# Go, every toolchain times every way to link: the same server under the collector, the profiler and
# the execution tracer at their busiest, starting programs, echoing on a thousand connections, ending
# in order and ending in a panic.  Watching must change nothing of it and see all of it.

import os
import sys
import unittest

import golang
from harness import (ROOT, Server, ServerCase, assert_healthy, assert_primary, free_port,
                     handshake_bytes, request_bytes, wait_for)

sys.path.insert(0, os.path.join(ROOT, "tests", "shim"))
import tracefile  # noqa: E402

CONNECTIONS = 1000
STARTS = 40


class MatrixCase:
    """One toolchain and one shape; subclasses say which."""

    which, shape = "newest", "static"

    @classmethod
    def setUpClass(cls):
        cls.app = golang.build("plain", "plain", cls.which, cls.shape)
        cls.server = cls.serve([cls.app, "127.0.0.1:{port}"], free_port(),
                               shim=golang.door(cls.shape),
                               env={"GOGC": "1", "PROFILE": "{dir}/cpu", "TRACE": "{dir}/trace"})

    def test_an_upgrade_is_seen_from_head_to_close(self):
        with self.server.client() as client:
            client.ws_open("/ws/one")
            client.echo(b"over")
            client.ws_close()
        assert_healthy(self.server.trace, "/ws/one")

    def test_a_refusal_names_the_function_that_refused(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/refused/ws"))
            self.assertEqual(client.recv_response()[0].status, 401)
        exchange = assert_primary(self.server.trace, "/refused/ws", "upgrade-rejected", status=401)
        self.assertEqual((exchange["findings"][0]["blame"] or {}).get("function"), "main.refuse",
                         exchange["findings"])

    def test_a_thousand_connections_echo_at_once(self):
        clients = []
        try:
            for _ in range(CONNECTIONS):
                clients.append(self.server.client())
                clients[-1].ws_open("/ws/many")
            for client in clients:
                client.echo(b"all of us")
        finally:
            for client in clients:
                client.close()
        self.assertTrue(self.server.is_running(), self.server.log_text())

    def test_programs_can_be_started_in_a_loop(self):
        with self.server.client() as client:
            client.send(request_bytes("/start?times=%d" % STARTS))
            self.assertEqual(client.recv_response()[1], b"." * STARTS)
        # What the children did to their copies of the descriptors is not our connections' business.
        with self.server.client() as client:
            client.ws_open("/ws/later")
            client.echo(b"still here")
            client.ws_close()
        assert_healthy(self.server.trace, "/ws/later")

    def test_sigterm_ends_it_in_order_with_its_profiles_written(self):
        with Server([self.app, "127.0.0.1:{port}"], free_port(), shim=golang.door(self.shape),
                    env={"GOGC": "1", "PROFILE": "{dir}/cpu", "TRACE": "{dir}/trace"}) as server:
            with server.client() as client:
                client.ws_open("/ws/ended")
                client.echo(b"over")
                client.ws_close()
            self.assertEqual(server.terminate(), 0, server.log_text())
            self.assertIn("ended in order", server.log_text())
            self.assert_end(server, 0)
            with open(os.path.join(server.dir, "cpu"), "rb") as profile:
                self.assertEqual(profile.read(2), b"\x1f\x8b")
            with open(os.path.join(server.dir, "trace"), "rb") as trace:
                self.assertTrue(trace.read(8).startswith(b"go 1."))

    def assert_end(self, server, status):
        headers = [t.header for t in tracefile.load(server.trace)]
        self.assertIn((1, status), [(h.ended, h.exit_code) for h in headers])

    def test_a_panic_ends_it_with_gos_own_dump_and_status(self):
        with Server([self.app, "127.0.0.1:{port}"], free_port(),
                    shim=golang.door(self.shape)) as server:
            with server.client() as client:
                client.send(request_bytes("/crash"))
                wait_for(lambda: not server.is_running(), "the end of the server")
            self.assertEqual(server.returncode, 2)
            self.assertIn("panic: a goroutine that panics", server.log_text())
            self.assertIn("main.crash.func1", server.log_text())
            self.assert_end(server, 2)


def cases():
    """One class for each cell; the toolchains between are built only in the two commonest shapes."""
    cells = [(which, shape) for which in ("debian", "newest") for shape in golang.SHAPES
             if (which, shape) != ("debian", "race")]
    cells += [(which, shape) for which in golang.BETWEEN for shape in ("static", "cgo")]
    for which, shape in cells:
        name = "Matrix_%s_%s" % (which.replace(".", "_"), shape)
        yield name, type(name, (MatrixCase, ServerCase), {"which": which, "shape": shape,
                                                          "__module__": __name__})


globals().update(cases())

if __name__ == "__main__":
    unittest.main()
