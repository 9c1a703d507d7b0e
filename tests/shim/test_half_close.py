# SPDX-License-Identifier: BSD-2-Clause
"""A direction that ends leaves the other open, and takes no byte with it, whatever fault is in the way."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import ROOT, SAMPLE_KEY, Client, handshake_bytes
from test_fault_decide import HEAD_OF_101, faults

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "half_close_server.py")
PAYLOAD = bytes(i % 251 for i in range(125))
FRAMES = (b"\x82\x7d" + PAYLOAD) * 40                  # of the server: 5,080 bytes
MASKED = (b"\x82\xfd\x00\x00\x00\x00" + PAYLOAD) * 40  # of the client

# By fault: rules, and what the reader may find: the bytes themselves, as many, or more.
SAME, AS_MANY, MORE = "the same bytes", "as many bytes", "no byte less"
RULES = {
    "delay": [("any:delay=5ms,2ms", SAME), ("tx:delay=5ms,mode=queue", SAME)],
    "rate": [("any:rate=500KBps", SAME)],
    "loss": [("any:loss=30%,rto=3ms", SAME)],
    "hold": [("any@frames:hold=20ms", SAME)],
    "slow_close": [("tx:slow_close=20ms", SAME)],
    "slice": [("any:slice=7", SAME), ("any:slice=900,gap=1ms", SAME),
              ("tx:slice=500,as=segment", SAME)],
    "short": [("any:short=1", SAME)],
    "corrupt": [("any@frames:corrupt=1", AS_MANY)],
    "insert": [("any@frames:insert=xyz:times=3", MORE)],
    "frame": [("any@frames:frame=9,2:times=3", MORE)],
}


class HalfClose(unittest.TestCase):
    def start(self, how, rules):
        self.trace = tempfile.mkdtemp(prefix="shakedown-half-close-")
        self.addCleanup(shutil.rmtree, self.trace, ignore_errors=True)
        env = harness.preload_env(self.trace)
        env["SHAKEDOWN_RULES"] = rules
        server = subprocess.Popen([sys.executable, SERVER, how, HEAD_OF_101.hex(), FRAMES.hex()],
                                  stdout=subprocess.PIPE, text=True, env=env)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return server, int(server.stdout.readline())

    def client_first(self, server, port):
        with Client(port) as c:
            c.send(handshake_bytes("/client-first", key=SAMPLE_KEY) + MASKED)
            c.finish()
            return c.recv_until_close(), bytes.fromhex(server.stdout.readline())

    def server_first(self, server, port):
        with Client(port) as c:
            c.send(handshake_bytes("/server-first", key=SAMPLE_KEY))
            answer = c.recv_until_close()
            c.send(MASKED)
            c.finish()
            return answer, bytes.fromhex(server.stdout.readline())

    def judge(self, found, whole, promise):
        if promise == SAME:
            self.assertEqual(found, whole)
        elif promise == AS_MANY:
            self.assertEqual(len(found), len(whole))
        else:
            self.assertGreaterEqual(len(found), len(whole))

    def hold(self, how):
        for fault, rules in RULES.items():
            for rule, promise in rules:
                with self.subTest(rule=rule, server=how):
                    server, port = self.start(how, rule)
                    for order in (self.client_first, self.server_first):
                        answer, read = order(server, port)
                        self.judge(answer, HEAD_OF_101 + FRAMES, promise)
                        self.judge(read, MASKED, promise)
                    server.terminate()
                    server.wait()
                    self.assertNotEqual(faults(self.trace), [], "%s did nothing" % fault)

    def test_every_fault_of_time_or_shape_is_tried(self):
        with open(os.path.join(ROOT, "core", "fault", "fault.def"), encoding="utf-8") as rows:
            names = re.findall(r'^FAULT\(\w+, "(\w+)", "[^"]*", (?:TIMING|SHAPE),', rows.read(), re.M)
        self.assertEqual(set(names), set(RULES))

    def test_with_calls_that_block(self):
        self.hold("blocks")

    def test_with_an_event_loop(self):
        self.hold("loop")


if __name__ == "__main__":
    unittest.main()
