# SPDX-License-Identifier: BSD-2-Clause
#
# The Go door, read from the trace itself: what is seen of a program that never calls libc, to whom it
# is ascribed, and what becomes of a program that cannot be changed.

import json
import os
import shutil
import struct
import sys
import tempfile
import threading
import unittest

import golang
from harness import (LIB, ROOT, Server, ServerCase, exchanges, free_port, handshake_bytes,
                     shakedown, wait_for)

sys.path.insert(0, os.path.join(ROOT, "tests", "shim"))
import programs  # noqa: E402
import tracefile  # noqa: E402  (it lives with the tests of the engine)

WRITE_HEADER, WRITE, HIJACK, BODY_READ = 1, 2, 3, 4  # core/trace/witness.def
LIBC_DOOR, GO_DOOR = 1, 2
CLIENTS, REQUESTS = 6, 150

# Two ways to write one instruction: mov r10,rsi; the first is how Go's assembler does.
AS_GO_DOES = bytes.fromhex("4989f24889fa4889ce4889df0f05483d01f0ffff")
OTHERWISE = bytes.fromhex("4c8bd6") + AS_GO_DOES[3:]


def linked_at(program, off):
    """The address that a place in the file is linked at."""
    with open(program, "rb") as file:
        data = file.read()
    phoff, = struct.unpack_from("<Q", data, 32)
    for i in range(struct.unpack_from("<H", data, 56)[0]):
        kind, _, start, vaddr, _, size = struct.unpack_from("<IIQQQQ", data, phoff + i * 56)
        if kind == 1 and start <= off < start + size:
            return vaddr + off - start
    raise AssertionError("no segment holds %#x" % off)


class DoorCase:
    """One toolchain and one shape; subclasses say which."""

    which, shape = "newest", "cgo"

    @classmethod
    def setUpClass(cls):
        cls.app = golang.build("door", "door", cls.which, cls.shape)
        cls.server = cls.serve([cls.app, "127.0.0.1:{port}"], free_port(), env={"GOGC": "1"})

    def trace(self):
        traces = [t for t in tracefile.load(self.server.trace) if t.header.pid == self.server.pid]
        self.assertEqual(len(traces), 1)
        return traces[0]

    def conn_of(self, trace, path):
        """The number of the connection on which that path was asked for."""
        return next(r.conn for r in trace.of("data", dir=tracefile.RX)
                    if b" %s HTTP/1.1" % path.encode() in r.bytes)

    def refuse(self, path):
        with self.server.client() as client:
            client.send(handshake_bytes(path))
            self.assertEqual(client.recv_response()[0].status, 401)
        wait_for(lambda: [x for x in exchanges(self.server.report())
                          if x["path"] == path and x["outcome"] == "refused"],
                 "the refusal of " + path)
        trace = self.trace()
        return trace, self.conn_of(trace, path)

    def test_both_doors_are_open_and_everything_is_seen(self):
        self.refuse("/denied?seen")
        header = self.trace().header
        self.assertEqual(header.doors, LIBC_DOOR | GO_DOOR)
        self.assertEqual((header.coverage, header.note), (tracefile.FULL, ""))

    def test_the_function_that_answers_is_witnessed_on_its_own_stack(self):
        trace, conn = self.refuse("/denied?stack")
        seen = trace.of("witness", conn)
        self.assertEqual([w.witness for w in seen], [WRITE_HEADER, WRITE])
        self.assertEqual(seen[0].arg[0], 401)
        self.assertEqual(len({(w.task, w.goid) for w in seen}), 1)
        self.assertNotEqual(seen[0].goid, 0)
        stack = next(s for s in trace.of("stack") if s.id == seen[0].stack)
        self.assertEqual((stack.flags, stack.kept), (1, len(stack.word)))
        self.assertGreater(len(stack.word), 5)
        for word in stack.word:
            self.assertTrue(any(m.start <= word < m.end for m in trace.modules), hex(word))

    def test_each_record_names_the_thread_that_made_the_call(self):
        trace, conn = self.refuse("/denied?thread")
        threads = {int(name) for name in os.listdir("/proc/%d/task" % self.server.pid)}
        seen = trace.of("data", conn) + trace.of("witness", conn) + trace.of("text", conn)
        self.assertLessEqual({record.tid for record in seen}, threads)
        said, = [t for t in trace.of("text", conn) if b"on thread" in t.bytes]
        self.assertEqual(int(said.bytes.split()[-1]), said.tid)
        self.assertEqual({w.tid for w in trace.of("witness", conn)}, {said.tid})

    def test_words_of_the_serving_goroutine_belong_to_its_attempt(self):
        trace, conn = self.refuse("/denied?words")
        said = [t for t in trace.of("text") if b"goroutine says" in t.bytes]
        self.assertIn(conn, [t.conn for t in said])

    def test_words_of_another_goroutine_belong_to_nobody(self):
        trace, _ = self.refuse("/overheard")
        said = [t for t in trace.of("text") if b"another goroutine says" in t.bytes]
        self.assertEqual([t.conn for t in said], [0])

    def test_http_writes_after_the_switch_are_witnessed_and_bounded(self):
        with self.server.client() as client:
            client.ws_open("/late")
            wait_for(lambda: len(self.trace().of("witness", self.conn_of(self.trace(), "/late")))
                     >= 18, "the witnesses")
            trace = self.trace()
            seen = trace.of("witness", self.conn_of(trace, "/late"))
        self.assertEqual(seen[0].witness, HIJACK)
        self.assertEqual({w.witness for w in seen[1:]}, {WRITE})
        # 101 calls: the first sixteen, and those before which there were 16, 32 and 64.
        self.assertLessEqual(len(seen), 16 + 3)

    def test_what_others_do_is_not_witnessed_while_an_attempt_is_open(self):
        with self.server.client() as holder:
            holder.ws_open("/held?others")
            before = len(self.trace().of("witness"))
            with self.server.client() as other:
                for i in range(20):
                    other.send(b"GET /page?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
                    self.assertEqual(other.recv_response()[1], b"%d 0 64" % i)
            self.assertEqual(len(self.trace().of("witness")), before)

    def test_children_do_not_disturb_connections_that_are_open(self):
        holders = [self.server.client() for _ in range(12)]
        try:
            for i, holder in enumerate(holders):
                holder.ws_open("/held?child%d" % i)
            with self.server.client() as client:
                client.send(b"GET /start?times=20 HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(client.recv_response()[1], b"started")
            trace = self.trace()
            conns = {self.conn_of(trace, "/held?child%d" % i) for i in range(12)}
            self.assertEqual([c for c in trace.of("close") if c.conn in conns], [])
            self.assertEqual({c.id for c in trace.connections} & conns, conns)
            self.assertEqual(trace.header.coverage, tracefile.FULL)
        finally:
            for holder in holders:
                holder.close()

    def ask_often(self, number, wrong):
        with self.server.client() as client:
            for i in range(REQUESTS):
                n = number * REQUESTS + i
                body = b"x" * (n * 37 % 20000)
                client.send(b"POST /page?n=%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                            % (n, len(body)) + body)
                if client.recv_response()[1] != b"%d %d 64" % (n, len(body)):
                    wrong.append(n)

    def test_every_answer_is_right_while_the_collector_never_rests(self):
        before = self.trace_exchanges()
        wrong = []
        threads = [threading.Thread(target=self.ask_often, args=(i, wrong))
                   for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(self.trace_exchanges() - before, CLIENTS * REQUESTS)
        self.assertEqual(self.trace().header.coverage, tracefile.FULL)

    def trace_exchanges(self):
        with self.server.client() as client:  # so that there is a trace to look at
            client.send(b"GET /page?n=0 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.recv_response()
        return self.trace().header.exchanges


class NewestCgo(DoorCase, ServerCase):
    pass


class NewestPie(DoorCase, ServerCase):
    shape = "pie"


class NewestRace(DoorCase, ServerCase):
    shape = "race"


class DebianCgo(DoorCase, ServerCase):
    which = "debian"


class Go117Cgo(DoorCase, ServerCase):
    which = "go1.17.13"


class Go118Pie(DoorCase, ServerCase):
    which, shape = "go1.18.10", "pie"


class Unpatchable(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def test_a_program_that_enters_the_kernel_otherwise_runs_and_is_called_blind(self):
        app = os.path.join(self.dir, "door")
        with open(golang.build("door", "door", "newest", "cgo"), "rb") as file:
            code = file.read()
        self.assertEqual(code.count(AS_GO_DOES), 1)
        with open(app, "wb") as file:
            file.write(code.replace(AS_GO_DOES, OTHERWISE))
        os.chmod(app, 0o755)
        with Server([app, "127.0.0.1:{port}"], free_port()) as server:
            with server.client() as client:
                client.send(b"GET /page?n=1 HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(client.recv_response()[1], b"1 0 64")
            server.terminate()
            done = shakedown("report", server.trace, "--format", "json")
            seen = json.loads(done.stdout)["processes"]
            self.assertEqual(done.returncode, 3)
            self.assertEqual([p["coverage"] for p in seen], ["blind"])
            self.assertIn("in a way that is not known", seen[0]["coverage_reason"])

    def test_a_program_with_a_debuggers_breakpoint_in_the_way_runs_and_is_called_blind(self):
        """Whoever took the breakpoint away again would spoil a jump that lies there."""
        app = golang.build("pointers", "pointers", "newest", "cgo")
        with open(app, "rb") as file:
            at = file.read().index(AS_GO_DOES)
        env = programs.environment(LIB, SHAKEDOWN_TRACE=self.dir)
        done = programs.run(programs.build("plant.c"), "%x" % linked_at(app, at), "1", app, env=env)
        self.assertEqual((done.returncode, done.stdout), (0, "EFAULT\n"), done.stderr)
        seen = json.loads(shakedown("report", self.dir, "--format", "json").stdout)["processes"]
        self.assertEqual([p["coverage"] for p in seen], ["blind"])
        self.assertIn("changed by somebody else", seen[0]["coverage_reason"])


class Pointers(unittest.TestCase):
    """The program's errors are the kernel's."""

    def test_an_exec_of_what_is_not_there_is_the_kernels_to_refuse(self):
        for which, shape in (("newest", "cgo"), ("newest", "static"), ("debian", "static")):
            with self.subTest(which=which, shape=shape), \
                 tempfile.TemporaryDirectory(prefix="shakedown-test-") as trace:
                app = golang.build("pointers", "pointers", which, shape)
                done = shakedown("run", "-o", trace, "--", app)
                self.assertEqual((done.returncode, done.stdout), (0, "EFAULT\n"), done.stderr)


if __name__ == "__main__":
    unittest.main()
