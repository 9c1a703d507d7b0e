# SPDX-License-Identifier: BSD-2-Clause
"""What takes time on purpose, seen by a small server: what it may and may not notice, and what its peer gets."""

import json
import os
import subprocess
import tempfile
import time
import unittest

import harness
import programs
from harness import SHAKEDOWN, shakedown

DELAY = 0.3

UPGRADE = (b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

# Accepts one connection, reads from it, does what the test says, and prints what it saw.
SERVER = """
import array, fcntl, os, select, signal, socket, sys, threading, time

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
c, _ = listener.accept()
c.recv(10)

def threads():
    return sorted(open("/proc/self/task/%%s/comm" %% t).read().strip() for t in os.listdir("/proc/self/task"))

def others():
    return [fd for fd in os.listdir("/proc/self/fd") if int(fd) >= 200]

def queued():
    n = array.array("i", [0])
    fcntl.ioctl(c, 0x5411, n)
    return n[0]

def is_held(data):
    try:
        return not c.send(data)
    except BlockingIOError:
        return True

%s
"""


class Served:
    """A server under rules, and what its peer received: (seconds since its request, bytes)."""

    def __init__(self, rule, body, folder, request=b"go"):
        path = os.path.join(folder, "server.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(SERVER % body)
        self.trace = os.path.join(folder, "t.trace")
        self.got, self.out = [], []
        with subprocess.Popen([SHAKEDOWN, "run", "-q", "-o", self.trace, "--rule", rule, "--",
                               "/usr/bin/python3", "-u", path], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True) as server:
            port = int(server.stdout.readline())
            with harness.Client(port) as client:
                client.send(request)
                began = time.monotonic()
                while True:
                    try:
                        data = client.sock.recv(100)
                    except ConnectionResetError:
                        data = b""
                    self.got.append((time.monotonic() - began, data))
                    if not data:
                        break
            self.out = server.stdout.read().splitlines()
        self.status = server.returncode

    def rules(self):
        report = shakedown("report", "--format", "json", self.trace)
        return json.loads(report.stdout)["rules"]

    @property
    def data(self):
        return b"".join(data for _, data in self.got)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="shakedown-gate-")
        self.addCleanup(self.folder.cleanup)

    def serve(self, rule, body, *request):
        return Served(rule, body, self.folder.name, *request)


class Queue(Case):
    RULE = "tx:delay=300ms,mode=queue"

    def test_a_write_succeeds_at_once_and_arrives_later_in_order_before_the_end(self):
        s = self.serve(self.RULE, """
began = time.monotonic()
c.send(b"one"); c.sendmsg([b"tw", b"o"]); print(queued()); c.close()
print(time.monotonic() - began)
time.sleep(1)
print(len(others()))
""")
        self.assertEqual((s.out[0], s.data), ("6", b"onetwo"))
        self.assertLess(float(s.out[1]), DELAY / 2)
        self.assertGreaterEqual(s.got[0][0], DELAY * 0.9)
        self.assertEqual(s.out[2], "0")

    def test_shutdown_comes_behind_the_bytes(self):
        s = self.serve(self.RULE, """
c.send(b"one"); c.shutdown(socket.SHUT_WR); print(c.recv(10))
""")
        self.assertEqual((s.data, s.out), (b"one", ["b''"]))

    def test_shutdown_of_both_ways_ends_reading_at_once(self):
        s = self.serve(self.RULE, """
c.send(b"one"); c.shutdown(socket.SHUT_RDWR); print(c.recv(10)); print(queued() >= 3)
""")
        self.assertEqual((s.data, s.out), (b"one", ["b''", "True"]))

    def test_nothing_overtakes_the_bytes(self):
        for other in ("c.sendmsg([b't', b'wo'])", "os.sendfile(c.fileno(), f, 0, 3)"):
            with self.subTest(other):
                self.folder.cleanup()
                self.setUp()
                s = self.serve("tx:delay=300ms,mode=queue:when=1", """
f = os.memfd_create("f"); os.write(f, b"two")
c.send(b"one"); %s; c.send(b"three"); c.close()
""" % other)
                self.assertEqual(s.data, b"onetwothree")

    def test_bytes_that_a_killed_process_had_queued_are_told_as_lost(self):
        s = self.serve(self.RULE, "c.send(b'three'); os.kill(os.getpid(), signal.SIGKILL)")
        self.assertEqual((s.data, s.rules()[0]["lost"]), (b"", 5))
        lines = shakedown("report", s.trace).stdout.splitlines()
        row = lines.index("rules") + 1
        self.assertEqual(lines[row].split(), ["acted", "of", "second", "lost", "rule"])
        self.assertEqual(lines[row + 1].split()[3], "5")

    def test_only_the_unit_that_was_hit_waits_and_the_wait_is_counted(self):
        s = self.serve("tx@response-head:delay=300ms,mode=queue", r"""
c.recv(4096)
c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
while queued():
    time.sleep(0.001)
c.send(b"\x81\x01a"); c.close()
""", UPGRADE)
        self.assertTrue(s.data.endswith(b"\x81\x01a"))
        self.assertLess(s.got[-2][0] - s.got[0][0], DELAY / 2)
        stats = s.rules()[0]
        self.assertEqual((stats["hits"], stats["lost"]), (1, 0))
        self.assertGreaterEqual(stats["waited_ns"], DELAY * 0.9e9)

    def test_bytes_follow_their_connection_when_its_descriptor_goes_to_the_next_client(self):
        # The next client is the server's own: nobody else knows when the number is free.
        s = self.serve(self.RULE, """
mine = socket.create_connection(listener.getsockname())
c.send(b"secret"); number = c.fileno()
d = c.dup(); c.close()
other, _ = listener.accept()
print(other.fileno() == number)
mine.settimeout(1)
try:
    print(mine.recv(10))
except TimeoutError:
    print("nothing")
""")
        self.assertEqual((s.out, s.data), (["True", "nothing"], b"secret"))

    def test_an_end_of_the_process_delivers_first(self):
        for end in ("os._exit(0)", "sys.exit(0)", "os.execv('/bin/true', ['true'])"):
            with self.subTest(end):
                self.folder.cleanup()
                self.setUp()
                self.assertEqual(self.serve(self.RULE, "c.send(b'last'); " + end).data, b"last")

    def test_more_than_fits_is_held_back_and_arrives_whole(self):
        s = self.serve(self.RULE, """
c.setblocking(False)
sent = 0
while sent < 3 << 20:
    try:
        sent += c.send(b"x" * 65536)
    except BlockingIOError:
        select.select([], [c], [])
c.close()
print(sent)
""")
        self.assertEqual((s.status, len(s.data)), (0, int(s.out[0])))


class SlowClose(Case):
    def test_the_close_returns_at_once_and_the_end_arrives_later(self):
        s = self.serve("tx:slow_close=300ms", """
e = select.epoll(); e.register(c, select.EPOLLIN | select.EPOLLOUT)
began = time.monotonic()
c.send(b"one"); c.close()
print(time.monotonic() - began, len(e.poll(0)))
time.sleep(1)
print(len(others()))
""")
        self.assertEqual(s.data, b"one")
        self.assertLess(float(s.out[0].split()[0]), DELAY / 2)
        self.assertEqual(s.out[0].split()[1], "0")
        self.assertLess(s.got[0][0], s.got[1][0] / 2)
        self.assertGreaterEqual(s.got[1][0], DELAY * 0.9)
        self.assertEqual(s.out[1], "0")


class Held(Case):
    RULE = "tx:delay=300ms"

    def test_a_descriptor_that_blocks_waits_in_the_call(self):
        s = self.serve(self.RULE, "c.send(b'one'); c.close()")
        self.assertEqual(s.data, b"one")
        self.assertGreaterEqual(s.got[0][0], DELAY * 0.9)

    def test_another_thread_keeps_time_and_is_gone_when_rights_change_and_in_children(self):
        s = self.serve(self.RULE, """
c.setblocking(False)
e = select.epoll(); e.register(c, select.EPOLLOUT)
waits = threading.Event()
thread = threading.Thread(target=waits.wait); thread.start()
print(is_held(b"one"))
while "shakedown" not in threads(): # it names itself
    time.sleep(0.001)
pid = os.fork()
if not pid:
    print(threads().count("shakedown")); os._exit(0)
os.waitpid(pid, 0)
os.setuid(os.getuid())
print(len(e.poll(5)), is_held(b"one"))
c.close(); waits.set(); thread.join()
while "shakedown" in threads():
    time.sleep(0.01)
print("alone")
""")
        self.assertEqual(s.out, ["True", "0", "1 False", "alone"])
        self.assertEqual(s.data, b"one")


class Cancel(unittest.TestCase):
    def test_a_thread_that_is_held_back_can_be_cancelled(self):
        program = programs.build("gate_cancel.c", "-pthread")
        for how in ("read", "poll"):
            with self.subTest(how), tempfile.TemporaryDirectory() as folder:
                done = shakedown("run", "-q", "-o", os.path.join(folder, "t"), "--rule",
                                 "rx:delay=20s", "--", program, how, timeout=10)
                self.assertEqual(done.stdout, "cancelled\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
