# SPDX-License-Identifier: BSD-2-Clause
#
# What make bench claims rests on its load generator and on a few lines of arithmetic: that it counts what
# the server answered, leaves a server alone that is not its turn, notices wrong answers instead of
# counting them, and calls nothing met that this machine cannot resolve.

import collections
import math
import os
import random
import socketserver
import struct
import sys
import tempfile
import threading
import unittest

from harness import ROOT, accept_of

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import pairs  # noqa: E402

PONG = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong"


class Victim(socketserver.ThreadingTCPServer):
    """Answers every request with `answer`, upgrades /echo, and counts."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer=PONG):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.answer, self.lock = answer, threading.Lock()
        self.requests = self.connections = 0
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def count(self, connections=0, requests=0):
        with self.lock:
            self.connections += connections
            self.requests += requests


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.count(connections=1)
        while True:
            head = [line.strip() for line in iter(self.rfile.readline, b"\r\n") if line]
            if not head:
                return
            fields = dict(line.split(b": ", 1) for line in head[1:])
            if b"Sec-WebSocket-Key" in fields:
                self.echo(fields[b"Sec-WebSocket-Key"].decode())
                return
            self.server.count(requests=1)
            # In two pieces, cut at another place every time.
            cut = self.server.requests % len(self.server.answer)
            self.wfile.write(self.server.answer[:cut])
            self.wfile.write(self.server.answer[cut:])
            if fields.get(b"Connection") == b"close":
                return

    def echo(self, key):
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                         % accept_of(key).encode())
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            mask = self.rfile.read(4)
            payload = self.rfile.read(head[1] & 127)
            self.server.count(requests=1)
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
            self.wfile.write(struct.pack("!BB", 0x81, len(text)) + text)


class LoadGenerator(unittest.TestCase):
    def setUp(self):
        self.load = pairs.Load()
        self.addCleanup(self.load.__exit__)

    def victim(self, *args):
        server = Victim(*args)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def open(self, name, mode, server, connections=4):
        self.assertEqual(self.load.say("open %s %s %d %d /echo" % (name, mode, server.port,
                                                                   connections)), [["ok"]])

    def run_load(self, name, ms=30, skip_ms=5):
        """(requests counted, all requests)"""
        words = self.load.say("run %s %d %d" % (name, ms, skip_ms))[0]
        self.assertEqual(words[::2], ["requests", "ns", "all"])
        self.assertGreater(int(words[3]), 0)
        return int(words[1]), int(words[5])

    def refused(self, *commands):
        with self.assertRaises(RuntimeError) as caught:
            self.load.say(*commands)
        return str(caught.exception)

    def test_every_counted_request_was_answered_and_every_answer_counted(self):
        for mode in ("keep-alive", "close", "websocket"):
            with self.subTest(mode):
                server = self.victim()
                self.open(mode, mode, server)
                counted, everything = self.run_load(mode)
                self.assertEqual(everything, server.requests)
                self.assertTrue(0 < counted <= everything, (counted, everything))
                self.assertEqual(server.connections, everything if mode == "close" else 4)
                self.load.say("shut " + mode)

    def test_a_server_whose_turn_it_is_not_gets_no_request(self):
        one, other = self.victim(), self.victim()
        self.open("one", "keep-alive", one)
        self.open("other", "keep-alive", other)
        of_one = of_other = 0
        for _ in range(3):
            of_one += self.run_load("one", 10, 1)[1]
            self.assertEqual((one.requests, other.requests), (of_one, of_other))
            of_other += self.run_load("other", 10, 1)[1]
            self.assertEqual((one.requests, other.requests), (of_one, of_other))

    def test_a_wrong_answer_ends_the_measurement_and_is_named(self):
        for answer, text in ((b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500"),
                             (b"HTTP/1.1 200 OK\r\n\r\n", "without Content-Length"),
                             (PONG + b"more", "more bytes"),
                             (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000, "longer than")):
            with self.subTest(text):
                self.load = pairs.Load()
                self.addCleanup(self.load.__exit__)
                self.open("bad", "close" if answer.startswith(PONG) else "keep-alive",
                          self.victim(answer), 1)
                self.assertIn(text, self.refused("run bad 100 0"))

    def test_a_server_that_closes_in_the_middle_of_an_answer_ends_the_measurement(self):
        server = self.victim(PONG[:-1])
        self.open("short", "close", server)
        self.assertIn("closed within an answer", self.refused("run short 100 0"))

    def test_a_command_it_does_not_know_is_answered_by_name(self):
        self.assertIn("no mode telnet", self.refused("open a telnet 80 1 /"))


LISTENER = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(60)
"""

WATCHER = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGINT])
print(sys.argv[1])
"""


class Watchers(unittest.TestCase):
    """What is attached to a server that runs already."""

    def run_beside(self, script, *words):
        pids = []

        def attach(pid):
            pids.append(pid)
            return [sys.executable, "-c", script, *words]

        row = pairs.Row("row", "python3", lambda port, work: [sys.executable, "-c", LISTENER, str(port)],
                        "keep-alive")
        with tempfile.TemporaryDirectory() as work:
            server = pairs.Running(row, pairs.Variant("watched", attach=attach), work)
            try:
                server.wait_ready()
                self.assertEqual(pids, [server.process.pid])
                self.assertGreater(server.cpu_ns(), pairs.cpu_ns(server.process.pid),
                                   "the watcher's own processor time is part of the price")
                server.detach()
            finally:
                server.ask_to_stop()
                server.wait_stopped()
        self.assertIsNotNone(server.watcher.returncode)

    def test_one_that_saw_something_counts(self):
        self.run_beside(WATCHER, "17")

    def test_one_that_saw_nothing_is_no_measurement(self):
        with self.assertRaisesRegex(RuntimeError, "watched saw nothing"):
            self.run_beside(WATCHER, "0")

    def test_one_that_cannot_attach_is_no_measurement(self):
        with self.assertRaisesRegex(RuntimeError, "watched does not attach"):
            self.run_beside("raise SystemExit(1)")


class Arithmetic(unittest.TestCase):
    def test_students_quantiles_are_those_of_the_tables(self):
        for df, t in ((1, 12.706), (2, 4.303), (4, 2.776), (5, 2.571), (9, 2.262), (29, 2.045), (1000, 1.962)):
            self.assertAlmostEqual(pairs.student(df), t, delta=0.004)

    def test_ratios_are_of_the_same_round_so_drift_between_rounds_does_not_widen_them(self):
        base = [pairs.Sample(rate, 1e9 / rate) for rate in (100.0, 50.0, 200.0)]
        half = [pairs.Sample(s.rate / 2, s.cpu_ns * 2) for s in base]
        for ratio in (pairs.throughput(base, half), pairs.cpu(base, half)):
            self.assertEqual((ratio.point, ratio.half), (0.5, 0.0))

    def test_a_bar_is_met_only_where_the_machine_resolves_it(self):
        fine = pairs.Interval(1.002, 0.004)
        for point, again, expected in ((0.98, fine, "met"), (0.97, fine, "met"),
                                       (0.96, fine, "missed"),
                                       (0.98, pairs.Interval(1.0, 0.016), "inconclusive"),
                                       (0.5, pairs.Interval(1.0, math.inf), "inconclusive"),
                                       (0.98, pairs.Interval(1.012, 0.004), "inconclusive"),
                                       (0.98, pairs.Interval(0.988, 0.004), "inconclusive")):
            self.assertEqual(pairs.verdict(pairs.Interval(point, 0.01), again, 0.97), expected,
                             (point, again))

    def test_slices_go_forth_and_back_and_every_variant_gets_as_many(self):
        for slices, each in ((1, 2), (40, 40), (41, 42)):
            names = pairs.order(["a", "b", "c"], slices, random.Random(1))
            self.assertEqual(set(collections.Counter(names).values()), {each})
            for i in range(0, len(names), 6):
                self.assertEqual(names[i:i + 3], names[i + 3:i + 6][::-1])


if __name__ == "__main__":
    unittest.main()
