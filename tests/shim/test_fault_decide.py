# SPDX-License-Identifier: BSD-2-Clause
"""Rules act where, when and as often as they say, and the same seed gives the same faults."""

import collections
import glob
import os
import threading
import time
import unittest

import harness
import programs
import tracefile
from harness import SAMPLE_KEY, Client, Server, free_port, handshake_bytes, request_bytes

HEAD_OF_101 = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def faults(trace):
    """The FAULT records of every process that recorded there."""
    return [r for path in glob.glob(os.path.join(trace, "*.trace"))
            for r in tracefile.Trace(path).records if r.kind == "fault"]


def decisions(trace):
    """What was decided, in an order that depends on nothing else."""
    return sorted((r.rule, r.conn_key, r.dir, r.unit, r.drawn) for r in faults(trace)
                  if r.what in (tracefile.ACTED, tracefile.BEGAN))


class Ruled(unittest.TestCase):
    """A server of this file's own under rules: blocking calls, THREADS of them."""

    def serve(self, rules, threads=4, shape=(), flags=(), shim=True, seed=1):
        words = [programs.build("fault_server.c", "-pthread", *flags,
                                name="-".join(["fault_server", *flags])),
                 *shape, threads, "{port}"]
        server = Server(words, free_port(), shim=shim,
                        env={"SHAKEDOWN_RULES": rules, "SHAKEDOWN_SEED": str(seed)})
        server.start()
        self.addCleanup(server.stop)
        self.server = server
        return server

    def get(self, size=10, path="/a", client=None):
        """A body that came as it was sent."""
        with client or self.server.client() as c:
            return self.ask(c, size, path)

    def ask(self, c, size=10, path="/a", headers=()):
        c.send(request_bytes("%s/%d" % (path, size), headers))
        head, body = c.recv_response()
        self.assertEqual(body, bytes(b"a"[0] + i % 26 for i in range(size)))
        return head

    def acted(self, rule=None, least=0):
        """What happened in all: the server is over.  least: records that are on their way."""
        harness.wait_for(lambda: len(faults(self.server.trace)) >= least, "records of faults")
        self.server.terminate()
        return [r for r in faults(self.server.trace) if rule in (None, r.rule)
                and r.what in (tracefile.ACTED, tracefile.BEGAN)]


class Places(Ruled):
    def test_a_rule_for_one_path_leaves_the_others_alone(self):
        self.serve("tx@response-head:delay=50ms:path=/slow/*")
        self.get(path="/fast")
        self.assertEqual(faults(self.server.trace), [])
        self.get(path="/slow")
        self.assertEqual([r.phase for r in self.acted()], ["response-head"])

    def test_a_delay_of_everything_sent_is_that_of_each_answer(self):
        """They are so short that several share a block."""
        self.serve("tx:delay=40ms")
        with self.server.client() as c:
            for _ in range(4):
                began = time.monotonic()
                self.ask(c)
                self.assertGreaterEqual(time.monotonic() - began, 0.04)

    def test_a_delay_of_one_path_spares_the_next_answer_of_the_same_block(self):
        self.serve("tx:delay=40ms:path=/late/*")
        with self.server.client() as c:
            for path, least in (("/late", 0.04), ("/fast", 0), ("/late", 0.04)):
                began = time.monotonic()
                self.ask(c, path=path)
                self.assertGreaterEqual(time.monotonic() - began, least)
            ended = [r for r in faults(self.server.trace) if r.what == tracefile.ENDED]
            self.assertEqual(len(ended), 2)

    def test_a_head_that_comes_byte_by_byte_still_matches_its_path(self):
        self.serve("tx@response-head:delay=20ms:path=/slow/*")
        with self.server.client() as c:
            for byte in request_bytes("/slow/3"):
                c.send(bytes([byte]))
            c.recv_response()
        self.assertEqual(len(self.acted()), 1)

    def test_the_answer_breaks_at_the_byte_the_rule_names(self):
        self.serve("tx@response-head+17:close")
        with self.server.client() as c:
            c.send(handshake_bytes("/ws", key=SAMPLE_KEY))
            self.assertEqual(c.recv_until_close(), HEAD_OF_101[:17])
        self.assertEqual([(r.off, r.phase) for r in self.acted(least=1)], [(17, "response-head")])

    def test_the_end_of_a_phase_is_behind_its_last_byte(self):
        self.serve("tx@response-head.end:close")
        with self.server.client() as c:
            c.send(handshake_bytes("/ws", key=SAMPLE_KEY))
            self.assertEqual(c.recv_until_close(), HEAD_OF_101)

    def test_a_place_inside_a_body_is_found_behind_the_head(self):
        self.serve("tx@response-body+1000:close")
        with self.server.client() as c:
            c.send(request_bytes("/a/5000"))
            head, _, body = c.recv_until_close().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200"))
        self.assertEqual(len(body), 1000)

    def test_a_random_place_lies_inside_its_phase_and_is_the_same_for_the_same_seed(self):
        places = []
        for _ in range(2):
            self.serve("tx@response-head+rand:close:conn-key=path")
            with self.server.client() as c:
                c.send(handshake_bytes("/ws", key=SAMPLE_KEY))
                got = c.recv_until_close()
            self.assertTrue(HEAD_OF_101.startswith(got) and got != HEAD_OF_101, got)
            places.append(len(got))
        self.assertEqual(places[0], places[1])

    def test_a_phase_that_others_ended_is_met_by_the_next_call(self):
        self.serve("tx@upgraded:delay=20ms")
        with self.server.client() as c:
            c.ws_open("/ws", key=SAMPLE_KEY)
            c.echo(b"first")
            c.echo(b"second")
        self.assertEqual(len(self.acted()), 1)

    def test_a_rule_for_a_phase_whose_bytes_move_the_other_way_acts_on_no_other_phase(self):
        for rule in ("tx@request-head:reset", "tx@request-head.end:reset", "tx@request-body:reset"):
            with self.subTest(rule):
                self.serve(rule)
                self.get()
                self.assertEqual(self.acted(), [])

    def test_each_frame_is_a_unit_with_a_number_and_an_opcode(self):
        self.serve("second=rx@frames:delay=5ms:frame=2;pings=rx@frames:delay=5ms:op=9")
        with self.server.client() as c:
            c.ws_open("/ws", key=SAMPLE_KEY)
            c.echo(b"one")
            c.echo(b"two")
            c.send_frame(9, b"three")
            self.assertEqual(c.recv_frame().payload, b"three")
        self.assertEqual([r.unit for r in self.acted("second")], [2])
        self.assertEqual([r.unit for r in self.acted("pings")], [3])

    def test_a_frame_is_met_although_others_came_in_the_same_segment(self):
        self.serve("rx@frames:close:frame=3")
        with self.server.client() as c:
            c.ws_open("/ws", key=SAMPLE_KEY)
            c.send(b"".join(harness.frame_bytes(1, b"%d" % i) for i in range(5)))
            got = c.recv_until_close()
        self.assertEqual(got, b"\x81\x010\x81\x011")

    def test_the_status_of_an_answer_can_be_asked_for(self):
        self.serve("tx@response-head:close:status=101")
        self.get()
        with self.server.client() as c:
            c.send(handshake_bytes("/ws"))
            self.assertEqual(c.recv_until_close(), b"")

    def test_only_the_connection_with_that_number_is_met(self):
        self.serve("tx@response-head:close:conn=2")
        self.get()
        with self.server.client() as c:
            c.send(request_bytes("/a/10"))
            self.assertEqual(c.recv_until_close(), b"")
        self.get()

    def test_a_rule_for_another_port_or_peer_does_nothing(self):
        self.serve("rx:close:port=1;rx:close:peer=10.0.0.0/8;rx:close:role=client;rx:close:unix=yes")
        self.get()
        self.assertEqual(self.acted(), [])

    def test_a_rule_for_this_port_and_peer_acts(self):
        port = free_port()
        words = [programs.build("fault_server.c", "-pthread"), 1, "{port}"]
        with Server(words, port, env={"SHAKEDOWN_RULES": "rx@request-head:close:port=%d"
                                      ":peer=127.0.0.0/8" % port}) as server:
            with server.client() as c:
                c.send(request_bytes("/a/10"))
                self.assertEqual(c.recv_until_close(), b"")


class Pieces(Ruled):
    """Every way of reading and writing is cut, and not a byte is lost."""

    def assert_intact(self, rules, **options):
        self.serve(rules, **options)
        with self.server.client() as c:
            for size in (0, 1, 1459, 1460, 1461, 40000):
                self.ask(c, size)
            c.ws_open("/ws", key=SAMPLE_KEY)
            for n in (0, 1, 100, 125):
                c.echo(b"x" * n)
        self.assertTrue(self.acted())

    def test_reads_of_one_byte(self):
        self.assert_intact("rx:slice=1")

    def test_writes_that_block_go_out_in_pieces_and_succeed_as_one(self):
        self.assert_intact("tx:slice=100,50")

    def test_lists_of_buffers(self):
        self.assert_intact("rx:slice=3;tx:slice=700", shape=("-v",))

    def test_pieces_in_segments_of_their_own(self):
        self.assert_intact("tx@response-head:slice=20,as=segment")

    def test_reads_that_say_they_were_interrupted_are_not_answered_twice(self):
        self.serve("rx:short=5:p=40%;tx:delay=1ms:p=10%;any:loss=10%,0,1ms")
        with self.server.client() as c:
            for size in (10, 20000, 5):
                self.ask(c, size)

    def test_no_rule_that_matches_costs_no_byte(self):
        self.serve("rx:slice=1:path=/other;tx:reset:path=/other")
        self.get(50000)
        self.assertEqual(self.acted(), [])


class Times(Ruled):
    """When, how often, and for how long."""

    def hits(self, rules, requests=6):
        self.serve(rules)
        with self.server.client() as c:
            for _ in range(requests):
                self.ask(c)
        return [r.unit & 0xffffffff for r in self.acted()]

    def test_when_counts_the_times_it_could_act(self):
        self.assertEqual(self.hits("tx@response-head:delay=1ms:when=2..5+2"), [1, 3])

    def test_times_is_the_most(self):
        self.assertEqual(self.hits("tx@response-head:delay=1ms:times=2"), [0, 1])

    def test_every_third_time(self):
        self.assertEqual(self.hits("tx@response-head:delay=1ms:interval=3"), [2, 5])

    def test_counts_start_again_with_each_connection_when_they_are_per_connection(self):
        self.serve("tx@response-head:delay=1ms:when=2:per=conn")
        for _ in range(2):
            with self.server.client() as c:
                self.ask(c)
                self.ask(c)
        self.assertEqual(len(self.acted()), 2)

    def test_counts_go_on_over_connections_when_they_are_per_process(self):
        self.serve("tx@response-head:delay=1ms:when=2:per=process")
        for _ in range(4):
            self.get()
        self.assertEqual(len(self.acted()), 1)

    def test_bytes_that_pass_first(self):
        self.serve("tx:close:space=500")
        with self.server.client() as c:
            c.send(request_bytes("/a/5000"))
            self.assertEqual(len(c.recv_until_close()), 500)

    def test_a_window_that_is_over_lets_everything_pass(self):
        self.assertEqual(self.hits("tx@response-head:delay=1ms:after=1000s"), [])

    def test_a_named_call_fails_as_often_as_it_says(self):
        self.serve("read:error=EINTR:when=1:per=conn")
        with self.server.client() as c:
            c.send(request_bytes("/a/10"))
            self.assertEqual(c.recv_until_close(), b"")
        self.assertEqual([(r.fault, r.unit) for r in self.acted(least=1)],
                         [("error", 1)])

    def test_bytes_that_are_held_go_when_their_time_is_over(self):
        self.serve("tx@response-head:hold,until=60ms")
        before = time.monotonic()
        self.get()
        self.assertGreaterEqual(time.monotonic() - before, 0.06)

    def test_a_delay_does_not_become_a_rate(self):
        """Forty blocks that came in one call wait together, not one after the other."""
        self.serve("tx:delay=100ms")
        before = time.monotonic()
        self.get(58400)
        self.assertLess(time.monotonic() - before, 2)
        self.assertGreater(len(self.acted()), 30)


class Together(Ruled):
    def test_delays_of_several_rules_add_up(self):
        self.serve("tx@response-head:delay=60ms;tx@response-head:delay=60ms")
        before = time.monotonic()
        self.get()
        self.assertGreaterEqual(time.monotonic() - before, 0.12)

    def test_of_two_outcomes_the_first_wins_and_the_other_is_told(self):
        self.serve("first=tx@response-head:close;second=tx@response-head:reset")
        with self.server.client() as c:
            c.send(request_bytes("/a/10"))
            self.assertEqual(c.recv_until_close(), b"")
        self.acted(least=2)
        what = {r.rule: r.what for r in faults(self.server.trace)}
        self.assertEqual(what, {"first": tracefile.ACTED, "second": tracefile.SHADOWED})

    def test_a_fault_may_follow_a_delay_in_one_rule(self):
        self.serve("tx@response-head:delay=30ms+close")
        with self.server.client() as c:
            c.send(request_bytes("/a/10"))
            self.assertEqual(c.recv_until_close(), b"")
        self.assertEqual([r.fault for r in self.acted(least=3)], ["delay", "close"])


RACING = ";".join(rule + ":conn-key=path" for rule in (
    "cut=rx:slice=7:p=30%", "less=tx:short=3:p=30%", "head=tx@response-head:delay=1ms,1ms:p=30%",
    "in=rx@frames:delay=1ms:p=30%", "out=tx@frames:short:p=30%", "lost=tx:loss=20%,25%,1ms"))


class Determinism(Ruled):
    RUNS = 100

    def client(self, i, failures):
        try:
            with Client(self.server.port) as c:
                for size in (10, 3000, 20000):
                    self.ask(c, size, "/client/%d" % i, [("X-Padding", "x" * 3000)])
                c.ws_open("/client/%d" % i, key=SAMPLE_KEY)
                for n in range(6):
                    c.echo(b"%d" % n * 20)
        except Exception as e:  # pylint: disable=broad-except
            failures.append(e)

    def one_run(self, seed):
        server = self.serve(RACING, seed=seed)
        failures = []
        clients = [threading.Thread(target=self.client, args=(i, failures)) for i in range(8)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        server.terminate()
        found = decisions(server.trace)
        server.stop()
        self.assertEqual(failures, [])
        return found

    def test_the_same_seed_decides_the_same_over_a_hundred_runs_of_racing_clients(self):
        first = self.one_run(7)
        rules = collections.Counter(d[0] for d in first)
        self.assertEqual(set(rules), {"cut", "less", "head", "in", "out", "lost"})
        for run in range(1, self.RUNS):
            again = self.one_run(7)
            self.assertEqual(again, first, "run %d" % run)

    def test_another_seed_decides_otherwise(self):
        self.assertNotEqual(self.one_run(1), self.one_run(2))


if __name__ == "__main__":
    unittest.main()
