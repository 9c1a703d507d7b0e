# SPDX-License-Identifier: BSD-2-Clause
"""What faults do, seen from both ends: bytes on the wire, and what the server was told."""

import contextlib
import errno
import glob
import os
import socket
import unittest

import harness
import programs
import tracefile
from harness import SAMPLE_KEY, Server, free_port, request_bytes

LOOPS = ("et", "lt", "poll", "block")
EVENTS = LOOPS[:3]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HEAD_OF_101 = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
HANDSHAKE = request_bytes("/ws", (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                  ("Sec-WebSocket-Version", "13"),
                                  ("Sec-WebSocket-Key", SAMPLE_KEY)))
KEY = b"\1\2\3\4"
# Reads once, writes once, whatever came of it, and never calls again on that connection.
ONCE = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=8)
kept = []
while True:
    c = listener.accept()[0]
    kept.append(c)
    c.recv(1, socket.MSG_PEEK)
    c.setblocking(False)
    try:
        c.recv(65536)
        c.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
    except OSError as e:
        print(e.errno, flush=True)
"""

# Sends a body with sendfile, without a descriptor to spare.
FULL = """
import os, resource, socket, sys, tempfile
body = tempfile.TemporaryFile()
body.write(b"hello")
body.flush()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=8)
c = listener.accept()[0]
c.recv(65536)
c.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n")
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    print(os.sendfile(c.fileno(), body.fileno(), 0, 5), flush=True)
except OSError as e:
    print("error", e.errno, flush=True)
c.close()
"""

# Blocks, dies of SIGPIPE, and says how much of its answer was taken.
WHOLE = """
import signal, socket, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=8)
while True:
    c = listener.accept()[0]
    if c.recv(65536):
        print(c.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 300\\r\\n\\r\\n" + 300 * b"a"), flush=True)
"""


def frame(text, first=0x81):
    """As a client sends it."""
    return bytes([first, 0x80 | len(text)]) + KEY + bytes(b ^ KEY[i % 4]
                                                          for i, b in enumerate(text))


class Faulty(unittest.TestCase):
    def each_loop(self, rules, loops=LOOPS):
        """A server under these rules for each kind of loop."""
        for loop in loops:
            words = [programs.build("fault_acts_server.c", "-pthread"), loop, "{port}"]
            server = Server(words, free_port(),
                            env={"SHAKEDOWN_RULES": rules, "SHAKEDOWN_SEED": "1"})
            self.addCleanup(server.stop)
            self.server = server.start()
            yield server
            server.stop()

    def client(self):
        c = socket.create_connection(("127.0.0.1", self.server.port), timeout=harness.IO_TIMEOUT)
        self.addCleanup(c.close)
        return c

    def ask(self, request=None):
        c = self.client()
        c.sendall(request or request_bytes("/a"))
        return c

    def everything(self, c):
        """(bytes, how it ended)"""
        data = b""
        try:
            while piece := c.recv(65536):
                data += piece
        except ConnectionResetError:
            return data, "reset"
        return data, "end"

    def exactly(self, c, n):
        data = b""
        while len(data) < n:
            piece = c.recv(n - len(data))
            self.assertTrue(piece, "the connection ended behind %r" % data)
            data += piece
        return data

    def upgrade(self):
        c = self.ask(HANDSHAKE)
        self.assertEqual(self.exactly(c, len(HEAD_OF_101)), HEAD_OF_101)
        return c

    def said(self, *lines):
        harness.wait_for(lambda: all(line in self.lines() for line in lines),
                         "%r in %r" % (lines, self.lines()))

    def lines(self):
        return self.server.log_text().splitlines()

    def works(self):
        """Another connection is served, as if nothing had been."""
        c = self.ask()
        self.assertEqual(self.exactly(c, len(ANSWER)), ANSWER)
        c.close()


class Ends(Faulty):
    def test_a_reset_in_the_middle_of_the_head_is_one_for_both_sides(self):
        rules = "tx@response-head+17:reset:conn=1"
        for loop, told in (*((loop, "read") for loop in EVENTS), ("block", "write")):
            for _ in self.each_loop(rules, (loop,)):
                c = self.ask()
                self.assertEqual(self.everything(c), (ANSWER[:17], "reset"))
                self.said(told + " ECONNRESET")
                self.works()

    def test_a_reset_before_the_request_was_read(self):
        for _ in self.each_loop("rx@request-head+4:reset:conn=1"):
            self.assertEqual(self.everything(self.ask())[1], "reset")
            self.said("read ECONNRESET")
            self.works()

    def test_a_close_instead_of_an_answer(self):
        for _ in self.each_loop("tx@response-head:close:conn=1"):
            self.assertEqual(self.everything(self.ask()), (b"", "end"))
            self.said("write EPIPE")
            self.works()

    def test_a_close_where_the_answer_ends(self):
        for _ in self.each_loop("tx@response-body.end:close:conn=1"):
            self.assertEqual(self.everything(self.ask()), (ANSWER, "end"))
            self.said("read end")
            self.works()

    def test_a_server_that_reads_an_end_while_its_client_still_listens(self):
        for _ in self.each_loop("rx@request-head+3:half_close:conn=1"):
            self.assertEqual(self.everything(self.ask()), (b"", "end"))
            self.said("read end")
            self.works()

    def test_a_limit_cuts_the_answer_at_its_byte(self):
        for _ in self.each_loop("tx:limit=20:conn=1"):
            self.assertEqual(self.everything(self.ask()), (ANSWER[:20], "end"))
            self.works()

    def test_a_reset_some_time_later_comes_then(self):
        for _ in self.each_loop("tx@response-head:reset,after=40ms:conn=1", EVENTS):
            c = self.ask()
            self.assertEqual(self.exactly(c, len(ANSWER)), ANSWER)
            self.assertEqual(self.everything(c), (b"", "reset"))
            self.said("read ECONNRESET")
            self.works()


class Behind(Faulty):
    """A server that makes no further call meets the fault all the same."""

    def once(self, rules, script=ONCE):
        server = Server(["/usr/bin/python3", "-c", script, "{port}"], free_port(),
                        env={"SHAKEDOWN_RULES": rules, "SHAKEDOWN_SEED": "1"})
        self.addCleanup(server.stop)
        self.server = server.start()

    def found(self):
        return [(r.fault, r.off, r.what) for path in
                glob.glob(os.path.join(self.server.trace, "*.trace"))
                for r in tracefile.Trace(path).records if r.kind == "fault"]

    def acted(self, fault, off):
        """Exactly that, in the end."""
        harness.wait_for(self.found, "the record")
        self.server.terminate()
        self.assertEqual(self.found(), [(fault, off, tracefile.ACTED)])

    def test_an_answer_is_cut_behind_its_last_byte_that_left(self):
        for fault, how in (("reset", "reset"), ("close", "end"), ("half_close", "end"),
                           ("limit=0", "end"), ("kill", None)):
            with self.subTest(fault):
                self.once("tx@response-head+17:%s:conn=1" % fault)
                c = self.ask()
                self.assertEqual(self.exactly(c, 17), ANSWER[:17])
                if how:
                    self.assertEqual(self.everything(c), (b"", how))
                else:
                    self.assertEqual(self.server.process.wait(harness.STOP_TIMEOUT), -9)
                self.acted(fault.partition("=")[0], 17)

    def test_a_drop_begins_behind_the_byte_before_it(self):
        self.once("tx@response-head+17:drop:conn=1")
        c = self.ask()
        self.assertEqual(self.exactly(c, 17), ANSWER[:17])
        self.acted("drop", 17)

    def test_a_random_place_is_met_too(self):
        self.once("tx@response-head+rand:reset:conn=1")
        data, how = self.everything(self.ask())
        self.assertTrue(ANSWER.startswith(data) and len(data) < len(ANSWER) - 5)
        self.assertEqual(how, "reset")
        self.acted("reset", len(data))

    def test_a_request_is_cut_behind_its_last_byte_that_was_read(self):
        self.once("rx@request-head+4:reset:conn=1")
        self.assertEqual(self.everything(self.ask())[1], "reset")
        self.acted("reset", 4)
        harness.wait_for(lambda: {"%d" % errno.EPIPE, "%d" % errno.ECONNRESET} & set(self.lines()),
                         "the error")

    def test_a_write_of_which_a_part_has_left_is_short_and_no_signal_comes(self):
        self.once("tx@response-body:slice=1,gap=10ms", WHOLE)
        c = self.ask()
        self.exactly(c, 40)
        c.close()
        harness.wait_for(lambda: any(line.isdigit() for line in self.lines()), "the end of the write")
        self.assertLess(40, int(next(line for line in self.lines() if line.isdigit())))
        self.assertTrue(self.server.is_running())

    def test_what_cannot_be_done_to_sendfile_is_recorded_and_the_answer_gets_through(self):
        for fault in ("drop", "corrupt=5"):
            with self.subTest(fault):
                self.once("tx@response-body:%s:conn=1" % fault, FULL)
                self.assertEqual(self.exactly(self.ask(), len(ANSWER)), ANSWER)
                harness.wait_for(lambda: "5" in self.lines(), "what sendfile returned")
                harness.wait_for(self.found, "the record")
                self.assertEqual(self.found(), [(fault.split("=")[0], 38, tracefile.FAILED)])
                self.server.stop()

    def test_an_error_is_that_of_the_next_call(self):
        self.once("rx@request-head+4:error=ENOBUFS:conn=1")
        self.assertEqual(self.exactly(self.ask(), len(ANSWER)), ANSWER)
        self.server.terminate()
        self.assertEqual(self.found(), [])


class Errors(Faulty):
    def test_eagain_and_eintr_are_tried_again_and_nothing_is_lost(self):
        for loop, fault in (("et", "eagain"), ("lt", "eagain"), ("poll", "eagain"),
                            ("et", "eintr"), ("block", "eintr")):
            rules = "rx@request-head:%s=3:conn=1;tx@response-head:%s=2:conn=1" % (fault, fault)
            for _ in self.each_loop(rules, (loop,)):
                c = self.ask()
                self.assertEqual(self.exactly(c, len(ANSWER)), ANSWER)
                self.assertEqual(self.lines().count("read " + fault.upper()), 3)

    def test_a_descriptor_that_blocks_never_says_eagain(self):
        for _ in self.each_loop("rx@request-head:eagain", ("block",)):
            self.works()
            self.assertNotIn("read EAGAIN", self.lines())

    def test_a_named_call_fails(self):
        for _ in self.each_loop("write:error=ENOBUFS:when=1"):
            self.assertEqual(self.everything(self.ask())[0], b"")
            self.said("write ENOBUFS")
            self.works()

    def test_accept_without_descriptors_finds_the_connection_again(self):
        for _ in self.each_loop("accept:error=EMFILE:when=1..2"):
            self.works()
            self.assertEqual(self.lines().count("accept EMFILE"), 2)

    def test_a_client_that_went_away_before_accept(self):
        for _ in self.each_loop("accept:refuse:when=1"):
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(self.everything(self.client()), (b"", "reset"))
            self.said("accept ECONNABORTED")
            self.works()


class Bytes(Faulty):
    def test_a_dropped_answer_is_never_sent(self):
        for _ in self.each_loop("tx@response-head:drop,for=60ms,then=close:conn=1", EVENTS):
            self.assertEqual(self.everything(self.ask()), (b"", "end"))
            self.said("read end")
            self.works()

    def test_dropped_frames_never_arrive_and_others_do(self):
        for _ in self.each_loop("rx@frames:drop:conn=1", EVENTS):
            first, second = self.upgrade(), self.upgrade()
            first.sendall(frame(b"unheard"))
            second.sendall(frame(b"heard"))
            self.assertEqual(self.exactly(second, 7), b"\x81\x05heard")
            first.close()
            self.said("read end")
            self.assertNotIn("frame 81 unheard", self.lines())

    def test_corrupted_bytes_are_the_same_in_every_run(self):
        seen = set()
        for _ in self.each_loop("tx@response-body:corrupt=2:conn=1"):
            answer = self.exactly(self.ask(), len(ANSWER))
            self.assertEqual(answer[:-5] + answer[-3:], ANSWER[:-5] + ANSWER[-3:])
            self.assertNotEqual(answer, ANSWER)
            seen.add(answer)
            self.works()
        self.assertEqual(len(seen), 1)

    def test_a_corrupted_request_is_seen_by_the_server_alone(self):
        for _ in self.each_loop("rx@request-head:corrupt:conn=1"):
            self.exactly(self.ask(), len(ANSWER))
            self.assertNotIn("head GET /a HTTP/1.1", self.lines())
            self.works()

    def test_inserted_bytes_stand_where_the_rule_says(self):
        for _ in self.each_loop("tx@response-body:insert=oh%2C:conn=1"):
            answer = self.exactly(self.ask(), len(ANSWER) + 3)
            self.assertEqual(answer, ANSWER[:-5] + b"oh," + ANSWER[-5:])
            self.works()

    def test_a_server_reads_inserted_bytes_before_the_others(self):
        for _ in self.each_loop("rx@request-head:insert=X-:conn=1"):
            self.exactly(self.ask(), len(ANSWER))
            self.said("head X-GET /a HTTP/1.1")
            self.works()


class Frames(Faulty):
    def test_a_frame_of_ours_comes_before_the_next_one(self):
        for _ in self.each_loop("tx@frames:frame,op=9,len=2:times=1"):
            c = self.upgrade()
            c.sendall(frame(b"hello"))
            self.assertEqual(self.exactly(c, 11), b"\x89\x02ab\x81\x05hello")

    def test_a_server_reads_a_frame_of_ours_as_its_clients(self):
        for _ in self.each_loop("rx@frames:frame,op=1,len=3:times=1"):
            c = self.upgrade()
            c.sendall(frame(b"hello"))
            self.assertEqual(self.exactly(c, 12), b"\x81\x03abc\x81\x05hello")
            self.said("frame 81 abc", "frame 81 hello")

    def test_a_frame_that_arrives_is_split(self):
        for _ in self.each_loop("rx@frames:frame,split=4:times=1"):
            c = self.upgrade()
            c.sendall(frame(b"hello, you") + frame(b"next"))
            self.assertEqual(self.exactly(c, 16 + 6), b"\x01\x04hell\x00\x04o, y\x80\x02ou\x81\x04next")

    def test_a_frame_that_leaves_is_split(self):
        for _ in self.each_loop("tx@frames:frame,split=4:times=1"):
            c = self.upgrade()
            c.sendall(frame(b"hello, you"))
            self.assertEqual(self.exactly(c, 16), b"\x01\x04hell\x00\x04o, y\x80\x02ou")
            c.sendall(frame(b"next"))
            self.assertEqual(self.exactly(c, 6), b"\x81\x04next")


class Switched(Faulty):
    def rules(self, *words):
        done = harness.shakedown("rules", str(self.server.pid), *words)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_rule_for_a_path_acts_on_a_connection_that_was_upgraded_while_it_was_off(self):
        for _ in self.each_loop("cut=rx@frames:close:path=/ws", EVENTS):
            self.rules("off", "all")
            there, elsewhere = self.upgrade(), self.ask(HANDSHAKE.replace(b"/ws", b"/no"))
            self.exactly(elsewhere, len(HEAD_OF_101))
            there.sendall(frame(b"first"))
            self.assertEqual(self.exactly(there, 7), b"\x81\x05first")
            self.rules("on", "cut")
            there.sendall(frame(b"second"))
            self.assertEqual(self.everything(there), (b"", "end"))
            elsewhere.sendall(frame(b"second"))
            self.assertEqual(self.exactly(elsewhere, 8), b"\x81\x06second")

    def test_what_a_rule_began_is_over_when_it_is_off(self):
        for _ in self.each_loop("lost=tx@frames:drop:path=/ws", ("et", "block")):
            c = self.upgrade()
            c.sendall(frame(b"lost"))
            self.said("frame 81 lost")
            self.rules("off", "all")
            c.sendall(frame(b"found"))
            self.assertEqual(self.exactly(c, 7), b"\x81\x05found")


class Waits(Faulty):
    def test_a_set_that_tells_of_one_event_at_a_time_loses_none(self):
        for server in self.each_loop("wait:wake=one", ("et", "lt")):
            clients = [self.ask() for _ in range(8)]
            for c in clients:
                self.assertEqual(self.exactly(c, len(ANSWER)), ANSWER)
            server.terminate()
            self.assertEqual({(r.fault, r.what) for path in
                              glob.glob(os.path.join(server.trace, "*.trace"))
                              for r in tracefile.Trace(path).records if r.kind == "fault"},
                             {("wake", tracefile.ACTED)})


class Process(Faulty):
    def test_a_pause_ends(self):
        for _ in self.each_loop("tx@response-head:pause=30ms:conn=1"):
            self.works()
            self.works()

    def test_a_kill_is_seen_by_the_client_as_an_end(self):
        for server in self.each_loop("tx@response-head:kill", ("et",)):
            self.everything(self.ask())
            self.assertEqual(server.process.wait(harness.STOP_TIMEOUT), -9)


class Records(Faulty):
    def test_every_fault_is_recorded_with_its_rule(self):
        for server in self.each_loop("cut=tx@response-head+17:reset:conn=1"):
            self.everything(self.ask())
            harness.wait_for(lambda: {"read ECONNRESET", "write ECONNRESET"} & set(self.lines()),
                             "the reset")
            self.works()
            server.terminate()
            found = [r for path in glob.glob(os.path.join(server.trace, "*.trace"))
                     for r in tracefile.Trace(path).records if r.kind == "fault"]
            self.assertEqual([(r.rule, r.fault, r.off, r.what) for r in found],
                             [("cut", "reset", 17, tracefile.ACTED)])


if __name__ == "__main__":
    unittest.main()
