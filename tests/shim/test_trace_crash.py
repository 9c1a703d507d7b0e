# SPDX-License-Identifier: BSD-2-Clause
"""A server killed at any moment leaves a trace that opens, with everything published before in it."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest

import counter
from harness import LIB, preload_env, shakedown

KILLER = os.path.join(counter.PROGRAMS, "trace_killer")

ROUNDS = 1000
RECORDS = 120  # killed at the latest after this many records
SPIN = 20000  # some ten microseconds: to the middle of a record and between two of them
EXCHANGES = 400  # what a client tries at most
SMALL = 4919296  # bytes of the smallest trace: two halves of 256 KiB behind the tables
LAPS = 4000  # exchanges; they fill it many times
STARTS = 100  # kills within the first moments of a process...
START = 0.008  # ...seconds
REPORTS = 25  # rounds whose trace is also read by the command


class Killed(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-crash-")
        self.addCleanup(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        self.env = preload_env("")
        # A copy, so that a build running beside the test cannot pull it away in between.
        self.env["LD_PRELOAD"] = shutil.copy(LIB, self.dir)

    def kill_once(self, trace, records, spin):
        """Returns (exchanges the client saw complete, what the killer printed, its status)."""
        self.env["SHAKEDOWN_TRACE"] = trace
        server, port = counter.start(self.env)
        try:
            with subprocess.Popen([KILLER, str(server.pid), trace, str(records), str(spin)],
                                  stdout=subprocess.PIPE, text=True) as killer:
                done = 0
                while done < EXCHANGES and counter.exchange(port, done):
                    done += 1
                said = killer.communicate(timeout=60)[0]
        finally:
            counter.stop(server)
        return done, said, killer.returncode

    def check(self, done, said, status):
        """Nothing seen before the kill is missing, and nothing the client knows of."""
        self.assertEqual(status, 0, said)
        lines = [line.split() for line in said.splitlines()]
        counts = next(line for line in lines if line[0] == "before")
        counts = dict(zip(counts[::2], map(int, counts[1::2])))
        self.assertEqual((counts["broken"], counts["bad"]), (0, 0), said)
        self.assertLessEqual(counts["holes"], 1, said)  # one thread: at most one record unfinished
        arrived = {int(line[1]) for line in lines if line[0] == "rx"}
        left = {int(line[1]) for line in lines if line[0] == "tx"}
        # A request is recorded before the server answers it; an answer at the latest before the
        # server takes up the next request.
        self.assertGreaterEqual(arrived, set(range(done)))
        self.assertGreaterEqual(left, set(range(done - 1)))
        return counts["before"]

    def check_report(self, trace, done):
        out = shakedown("report", trace, "--format", "json")
        self.assertEqual(out.returncode, 0, out.stderr)
        process, = json.loads(out.stdout)["processes"]
        paths = {x["path"] for x in process["exchanges"]}
        self.assertGreaterEqual(paths, {"/ws/%d" % i for i in range(done)})
        self.assertEqual(process["lost"], 0)

    def test_a_thousand_random_kills_lose_nothing_that_was_published(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        print("SEED=%d" % seed)
        rng = random.Random(seed)
        published = confirmed = 0
        for number in range(ROUNDS):
            trace = os.path.join(self.dir, "%d.trace" % number)
            done, said, status = self.kill_once(trace, rng.randrange(RECORDS), rng.randrange(SPIN))
            with self.subTest(round=number, seed=seed):
                published += self.check(done, said, status)
                confirmed += done
                if number % (ROUNDS // REPORTS) == 0:
                    self.check_report(trace, done)
                shutil.rmtree(trace)
        # The kills did not all come before the first record.
        self.assertGreater(published, ROUNDS * RECORDS // 4)
        self.assertGreater(confirmed, ROUNDS)

    def test_a_flight_recorder_that_went_round_keeps_the_last_exchanges_whole(self):
        trace = self.env["SHAKEDOWN_TRACE"] = os.path.join(self.dir, "server.trace")
        self.env["SHAKEDOWN_MAX_TRACE"] = str(SMALL)
        server, port = counter.start(self.env)
        try:
            for number in range(LAPS):
                self.assertTrue(counter.exchange(port, number))
        finally:
            counter.stop(server)
        out = shakedown("report", trace, "--format", "json", "--all")
        self.assertEqual(out.returncode, 0, out.stderr)
        process, = json.loads(out.stdout)["processes"]
        paths = [x["path"] for x in process["exchanges"]]
        first = LAPS - len(paths)
        self.assertEqual(paths, ["/ws/%d" % i for i in range(first, LAPS)])
        self.assertGreater(first, 0)  # something was thrown away...
        self.assertGreater(len(paths), LAPS // 20)  # ...and about a half is left
        self.assertEqual(process["lost"], 0)
        # The client had the last answer, but its call may not have returned in the server.
        self.assertEqual({x["outcome"] for x in process["exchanges"][:-1]}, {"upgraded"})

    def test_a_kill_while_the_trace_is_being_created_leaves_a_folder_that_opens(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        print("SEED=%d" % seed)
        rng = random.Random(seed)
        trace = self.env["SHAKEDOWN_TRACE"] = os.path.join(self.dir, "server.trace")
        os.mkdir(trace)
        whole = 0
        for number in range(STARTS):
            with subprocess.Popen([counter.VICTIM], env=self.env, stdout=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL) as server:
                if number:
                    time.sleep(rng.uniform(0, START))  # not for an event: any moment will do
                else:
                    server.stdout.readline()
                server.kill()
        for name in os.listdir(trace):
            with open(os.path.join(trace, name), "rb") as file:
                magic = file.read(8)
            if name.endswith(".control"):
                self.assertIn(magic, (b"", bytes(8), b"SKHDCTRL"))
                continue
            self.assertIn(magic, (b"", bytes(8), b"SHAKDOWN"))
            whole += magic == b"SHAKDOWN"
        out = shakedown("report", trace, "--format", "json")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(len(json.loads(out.stdout)["processes"]), whole)


if __name__ == "__main__":
    unittest.main()
