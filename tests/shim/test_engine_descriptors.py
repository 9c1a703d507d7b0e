# SPDX-License-Identifier: BSD-2-Clause
"""Descriptors are copied, passed, closed and reused; the connection is still the right one."""

import socket
import subprocess
import unittest

import programs
import tracefile
from engine import LIB, PLAIN, PYTHON, REQUEST, EngineCase, client_frame, read_all, until_end

ONE = "c, _ = s.accept()\n"

# System calls the shim cannot see: from code nobody preloads into.
UNSEEN = r"""
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; syscall; ret
code.write(b"\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\x48\x89\xca\x0f\x05\xc3")
raw = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)(
    ctypes.addressof(ctypes.c_char.from_buffer(code)))
def close_unseen(fd):
    assert raw(3, fd, 0, 0) == 0
def accept_unseen(fd):
    return raw(43, fd, 0, 0)
"""


class Descriptors(EngineCase):
    def test_a_connection_lives_until_its_last_descriptor_is_closed(self):
        self.start(ONE + "head(c)\nd = os.dup(c.fileno())\nc.sendall(SWITCH)\nc.close()\n"
                   "os.write(d, b'\\x81\\x02hi')\nos.close(d)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual([(r.what, r.left) for r in t.of("close")],
                         [(tracefile.DUPED, 2), (tracefile.CLOSED, 1), (tracefile.CLOSED, 0)])
        self.assertEqual(t.of("data", dir=tracefile.TX)[-1].bytes, b"\x81\x02")
        self.assertEqual(len(t.conns()), 1)
        self.assertEqual((t.header.closed, t.connections), (1, []))

    def test_every_way_of_copying_a_descriptor_is_followed(self):
        self.start("import fcntl\n" + ONE + "head(c)\nf = c.fileno()\nn = os.open('/dev/null', os.O_RDWR)\n"
                   "copies = [os.dup2(f, n), fcntl.fcntl(f, fcntl.F_DUPFD, 50),"
                   " fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, 60), os.dup2(f, 70, False)]\n"
                   "c.sendall(SWITCH)\nfor i in copies:\n    os.write(i, b'\\x81\\x01' + b'abcd'[i % 4:][:1])\n"
                   "for i in copies:\n    os.close(i)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual([r.left for r in t.of("close", what=tracefile.DUPED)], [2, 3, 4, 5])
        self.assertEqual([r.bytes for r in t.of("data", dir=tracefile.TX)[1:]], 4 * [b"\x81\x01"])

    def test_dup2_over_a_connection_closes_it(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nn = os.open('/dev/null', os.O_RDWR)\n"
                   "os.dup2(n, c.fileno())\nos.write(c.fileno(), b'not a frame')\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual([r.left for r in t.of("close")], [0])
        self.assertEqual(len(t.of("data", dir=tracefile.TX)), 1)

    def test_close_range_closes_every_connection_in_it(self):
        self.start("k = []\nfor i in range(3):\n    k.append(s.accept()[0])\n    head(k[i])\n    k[i].sendall(SWITCH)\n"
                   "os.closerange(min(x.fileno() for x in k), 999)\n"
                   "ctypes.CDLL(None).close_range(min(x.fileno() for x in k), 999, 0)\nos._exit(0)\n")
        clients = []
        for _ in range(3):
            clients.append(self.connect())
            clients[-1].sendall(REQUEST)
        for c in clients:
            until_end(c)
        t = self.end()
        self.assertEqual(sorted(r.conn for r in t.of("close")), [1, 2, 3])

    def test_an_unseen_close_is_told_when_the_number_is_used_again(self):
        self.start(UNSEEN + ONE + "head(c)\nc.sendall(SWITCH)\nfd = c.fileno()\nclose_unseen(fd)\nc.detach()\n"
                   "c, _ = s.accept()\nassert c.fileno() == fd\nhead(c)\nc.sendall(SWITCH)\n")
        for _ in range(2):
            c = self.connect()
            c.sendall(REQUEST)
            until_end(c)
        t = self.end()
        first, second = t.conns()
        self.assertEqual([r.what for r in t.of("close", first)], [tracefile.CLOSE_UNSEEN])
        self.assertEqual(t.stream(second, tracefile.RX), REQUEST)
        self.assertEqual(t.header.coverage, tracefile.PARTIAL)
        self.assertEqual(t.header.coverage_reasons, tracefile.REASON["unseen"])

    def test_a_file_that_takes_the_number_of_a_closed_connection_is_no_connection(self):
        self.start(UNSEEN + ONE + "head(c)\nc.sendall(SWITCH)\nfd = c.fileno()\nclose_unseen(fd)\nc.detach()\n"
                   "f = os.open('file', os.O_RDWR | os.O_CREAT)\nassert f == fd\nos.write(f, b'HTTP/1.1 200 OK')\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual([r.what for r in t.of("close")], [tracefile.CLOSE_UNSEEN])
        self.assertEqual(len(t.of("data", dir=tracefile.TX)), 1)

    def test_an_attempt_on_a_number_reused_unseen_is_no_other_connections(self):
        self.start(UNSEEN + ONE + "head(c)\nc.sendall(OK)\nfd = c.fileno()\nclose_unseen(fd)\nc.detach()\n"
                   "assert accept_unseen(s.fileno()) == fd\nc = socket.socket(fileno=fd)\nhead(c)\n"
                   "c.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(PLAIN)
        until_end(c)
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        (opened,) = t.of("open")
        self.assertEqual(opened.origin, tracefile.FOUND)
        self.assertEqual(t.header.coverage_reasons, tracefile.REASON["unseen"])

    def test_a_connection_received_from_another_process_is_watched(self):
        self.start("u = socket.socket(socket.AF_UNIX)\nu.bind('pass')\nu.listen()\nsay('ready')\n"
                   "p, _ = u.accept()\n_, fds, _, _ = socket.recv_fds(p, 10, 4)\n"
                   "c = socket.socket(fileno=fds[0])\nhead(c)\nc.sendall(SWITCH)\nc.recv(10)\n")
        self.hear()
        sender = subprocess.Popen(
            [PYTHON, "-c", "import socket\nl = socket.socket()\nl.bind(('127.0.0.1', 0))\nl.listen()\n"
             "print(l.getsockname()[1], flush=True)\nc, _ = l.accept()\n"
             "u = socket.socket(socket.AF_UNIX)\nu.connect('pass')\n"
             "socket.send_fds(u, [b'x'], [c.fileno()])\n"],
            cwd=self.dir, stdout=subprocess.PIPE, text=True)
        self.port = int(sender.stdout.readline())
        c = self.connect()
        sender.wait()
        sender.stdout.close()
        c.sendall(REQUEST)
        read_all(c, 129)
        c.sendall(client_frame(1, b"hello"))
        t = self.end()
        (opened,) = t.of("open")
        self.assertEqual((opened.origin, opened.role), (tracefile.RECEIVED, tracefile.SERVER))
        self.assertEqual(t.stream(opened.conn, tracefile.RX)[:len(REQUEST)], REQUEST)
        self.assertEqual(t.header.coverage, tracefile.FULL)

    def test_a_connection_received_in_the_middle_makes_coverage_partial(self):
        self.start("u = socket.socket(socket.AF_UNIX)\nu.bind('pass')\nu.listen()\nsay('ready')\n"
                   "p, _ = u.accept()\n_, fds, _, _ = socket.recv_fds(p, 10, 4)\n"
                   "c = socket.socket(fileno=fds[0])\nc.recv(99)\n")
        self.hear()
        sender = subprocess.Popen(
            [PYTHON, "-c", "import socket\nl = socket.socket()\nl.bind(('127.0.0.1', 0))\nl.listen()\n"
             "print(l.getsockname()[1], flush=True)\nc, _ = l.accept()\nc.recv(5)\n"
             "u = socket.socket(socket.AF_UNIX)\nu.connect('pass')\n"
             "socket.send_fds(u, [b'x'], [c.fileno()])\n"],
            cwd=self.dir, stdout=subprocess.PIPE, text=True)
        self.port = int(sender.stdout.readline())
        c = self.connect()
        c.sendall(REQUEST)
        sender.wait()
        sender.stdout.close()
        t = self.end()
        self.assertEqual(t.header.coverage, tracefile.PARTIAL)
        self.assertEqual(t.header.coverage_reasons, tracefile.REASON["received"])

    def test_a_descriptor_passed_inside_the_process_is_the_same_connection(self):
        self.start(ONE + "a, b = socket.socketpair()\nsocket.send_fds(a, [b'x'], [c.fileno()])\n"
                   "_, fds, _, _ = socket.recv_fds(b, 10, 4)\nd = socket.socket(fileno=fds[0])\n"
                   "head(c)\nd.sendall(SWITCH)\nd.close()\nc.close()\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual(len(t.conns()), 1)
        self.assertEqual([(r.what, r.left) for r in t.of("close")],
                         [(tracefile.CLOSED, 1), (tracefile.CLOSED, 0)])

    def test_closing_with_unread_input_is_told(self):
        self.start(ONE + "head(c)\nc.sendall(REFUSE)\nsay(1)\ngo()\nc.close()\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 47)
        self.hear()
        c.sendall(b"0123456789")
        self.tell()
        until_end(c)
        t = self.end()
        (closed,) = t.of("close")
        self.assertEqual(closed.unread, 10)
        self.assertNotEqual(closed.stack, 0)

    def test_eof_errors_and_shutdown_of_an_attempt_are_told(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\nc.recv(9)\nc.shutdown(socket.SHUT_WR)\nsay(1)\ngo()\n"
                   "try:\n    c.recv(9)\n    c.recv(9)\nexcept OSError:\n    pass\nc.close()\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        c.shutdown(socket.SHUT_WR)
        self.hear()
        self.tell()
        t = self.end()
        self.assertGreaterEqual(len(t.of("result", what=tracefile.EOF)), 1)
        self.assertEqual([(r.what, r.how) for r in t.of("close")],
                         [(tracefile.SHUT, 1), (tracefile.CLOSED, 0)])

    def test_reads_before_the_answer_are_told_with_their_stack_at_most_eight_times(self):
        self.start(ONE + "head(c)\nc.setblocking(False)\nfor i in range(20):\n    try:\n        c.recv(9)\n"
                   "    except BlockingIOError:\n        pass\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        waits = t.of("result", what=tracefile.WAITING)
        self.assertEqual(len(waits), 8)
        self.assertTrue(all(r.stack for r in waits))
        self.assertLessEqual(len(t.of("result", what=tracefile.ERROR, err=11)), 9)

    def test_two_threads_reading_one_connection_are_told(self):
        self.start(ONE + "head(c)\nc.sendall(SWITCH)\n"
                   "t = threading.Thread(target=lambda: say('a', len(c.recv(1))))\nt.start()\n"
                   "u = threading.Thread(target=lambda: say('b', len(c.recv(1))))\nu.start()\nt.join()\nu.join()\n")
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        tids = self.sleeping_readers(2)
        c.sendall(b"\x81\x80")
        t = self.end()
        rx = t.of("data", dir=tracefile.RX)[1:]
        self.assertEqual({r.tid for r in rx}, tids)
        self.assertEqual([bool(r.flags & tracefile.OVERLAP) for r in sorted(rx, key=lambda r: r.t)].count(True), 1)

    def sleeping_readers(self, n):
        """The threads of the server that wait inside recvfrom, once there are n of them."""
        import os
        import harness

        def found():
            tids = set()
            for tid in os.listdir("/proc/%d/task" % self.child.pid):
                with open("/proc/%d/task/%s/syscall" % (self.child.pid, tid)) as f:
                    if f.read().startswith("45 "):
                        tids.add(int(tid))
            return tids if len(tids) == n else None

        return harness.wait_for(found, "%d readers" % n)

    def test_a_helper_program_started_in_between_changes_nothing(self):
        self.start(ONE + "head(c)\nsubprocess.run(['/bin/true'], close_fds=True)\nos.system('true')\n"
                   "c.sendall(SWITCH)\nsubprocess.run(['/bin/true'], close_fds=True)\nc.sendall(b'\\x81\\x02hi')\nc.close()\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual([r.bytes[:2] for r in t.of("data", dir=tracefile.TX)], [b"HT", b"\x81\x02"])
        self.assertEqual([r.what for r in t.of("close")], [tracefile.CLOSED])
        self.assertEqual(t.header.coverage, tracefile.FULL)


class Through(EngineCase):
    def test_a_call_seen_twice_through_another_library_is_told_once(self):
        through = programs.build("through.c", "-shared", "-fPIC", name="libthrough.so")
        self.start(ONE + "d = socket.socket(fileno=os.dup(c.fileno()))\nhead(c)\nc.send(SWITCH)\n"
                   "for i in range(3):\n    d.send(c.recv(99))\nc.close()\nd.close()\n",
                   LD_PRELOAD=LIB + ":" + through)
        c = self.connect()
        c.sendall(REQUEST)
        read_all(c, 129)
        for _ in range(3):
            c.sendall(client_frame(1, b"hi"))
            read_all(c, 8)
        t = self.end()
        self.assertEqual([(r.moved, r.flags) for r in t.of("data", dir=tracefile.RX)],
                         [(len(REQUEST), 0), (8, 0), (8, 0), (8, 0)])
        self.assertEqual([r.moved for r in t.of("data", dir=tracefile.TX)], [129, 8, 8, 8])
        self.assertEqual([(r.what, r.left) for r in t.of("close")],
                         [(tracefile.CLOSED, 1), (tracefile.CLOSED, 0)])
        self.assertEqual((t.header.opened, t.header.closed, t.header.coverage), (1, 1, tracefile.FULL))


class Text(EngineCase):
    def test_text_written_while_an_attempt_is_open_belongs_to_it(self):
        self.start("sys.stderr.write('before\\n')\nsys.stderr.flush()\n" + ONE +
                   "head(c)\nsys.stderr.write('why it failed\\n')\nsys.stderr.flush()\nc.sendall(REFUSE)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        (conn,) = t.conns()
        texts = t.of("text")
        self.assertEqual([(r.conn, r.fd, r.bytes) for r in texts], [(conn, 2, b"why it failed\n")])

    def test_text_that_is_not_there_is_written_where_nobody_reads_it(self):
        """/dev/null takes what is not there; so does the end of a text that is half there."""
        self.start(ONE + """head(c)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
libc.mprotect(ctypes.c_void_p(page + 4096), 4096, 0)
ctypes.memmove(page + 4091, b"there", 5)
null = os.open("/dev/null", os.O_WRONLY)
os.dup2(null, 2)
say(libc.write(2, ctypes.c_void_p(8), 10))
say(libc.write(2, ctypes.c_void_p(page + 4091), 10))
vector = (ctypes.c_size_t * 4)(page + 4091, 5, 8, 20)
say(libc.writev(2, vector, 2))
c.sendall(REFUSE)
""")
        c = self.connect()
        c.sendall(REQUEST)
        self.assertEqual([self.hear() for _ in range(3)], ["10", "10", "25"])
        until_end(c)
        t = self.end()
        self.assertEqual([r.bytes for r in t.of("text") if r.fd == 2], [b"", b"there", b"there"])

    def test_text_of_a_thread_with_two_open_attempts_belongs_to_neither(self):
        self.start("k = []\nfor i in range(2):\n    k.append(s.accept()[0])\n    head(k[i])\n"
                   "os.write(2, b'whose?')\n")
        clients = [self.connect() for _ in range(2)]
        for c in clients:
            c.sendall(REQUEST)
        t = self.end()
        self.assertEqual([(r.conn, r.bytes) for r in t.of("text")], [(0, b"whose?")])


if __name__ == "__main__":
    unittest.main()
