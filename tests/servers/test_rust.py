# SPDX-License-Identifier: BSD-2-Clause
#
# Rust: tokio and tokio-tungstenite, with glibc through the libc door, and as one static file with
# musl through the injected door.

import unittest

import rustlang
from harness import ServerCase, assert_healthy, assert_primary, free_port, handshake_bytes, wait_for

CONNECTIONS = 200


class RustCase:
    """One target; subclasses say which, and how the program is started."""

    target, shim, door, reason = None, True, None, None

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve([rustlang.build(cls.target), "{port}"], free_port(), shim=cls.shim)

    def test_an_echo_is_healthy(self):
        with self.server.client() as client:
            client.ws_open("/echo")
            client.echo(b"over")
            client.ws_close()
        assert_healthy(self.server.trace, "/echo")

    def test_many_connections_on_all_threads_are_healthy(self):
        clients = [self.server.client() for _ in range(CONNECTIONS)]
        for n, client in enumerate(clients):
            client.ws_open("/many/%d" % n)
        for client in clients:
            client.echo(b"all of us")
        for client in clients:
            client.ws_close()

        def ended():
            found = [x for p in self.server.report("--path", "/many/*")["processes"]
                     for x in p["exchanges"]]
            return len(found) == CONNECTIONS and all(
                x["outcome"] == "upgraded" and x["phases"][-1]["phase"] == "closing"
                for x in found) and found

        for exchange in wait_for(ended, "the end of %d exchanges" % CONNECTIONS):
            self.assertEqual(exchange["findings"], [])

    def test_a_403_of_the_callback_is_a_rejection_and_neither_runtime_nor_library_is_blamed(self):
        with self.server.client() as client:
            client.send(handshake_bytes("/refused"))
            self.assertEqual(client.recv_head().status, 403)
            client.recv_until_close()
        exchange = assert_primary(self.server.trace, "/refused", "upgrade-rejected", status=403)
        finding = next(f for f in exchange["findings"] if f["primary"])
        # The library sends what the callback returned, after it has returned.
        self.assertIsNone(finding["blame"])
        self.assertRegex(finding["blame_reason"], self.reason)

    def test_a_connection_dropped_after_the_101_is_found(self):
        with self.server.client() as client:
            client.ws_open("/dropped")
            client.recv_until_close()
        assert_primary(self.server.trace, "/dropped", "closed-right-after-101")

    def test_the_door_is_the_one_for_its_kind(self):
        process = wait_for(lambda: self.server.report()["processes"])[0]
        self.assertEqual(process["doors"], [self.door])
        self.assertNotEqual(process["coverage"], "blind")


class Glibc(RustCase, ServerCase):
    target, shim, door = rustlang.GLIBC, True, "libc"
    reason = r"done by echo itself; your code on the stack only runs it: .*main\.rs:\d+"


class Musl(RustCase, ServerCase):
    target, shim, door = rustlang.MUSL, "run", "injected"
    # Its send() comes without the tables that lead out of it.
    reason = "could not be followed"


if __name__ == "__main__":
    unittest.main()
