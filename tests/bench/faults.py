# SPDX-License-Identifier: BSD-2-Clause
"""What faults that take time cost those who are not meant: the rows "Delay: ..." of make bench.

Another connection's latency, one request at a time, while one is held back for 600 ms (median, p99), and
without anybody held back; how late the one's answer is; processor time of the server while one
connection is held for 10 s; and, with 1,000 connections busy besides, the latency again, how long `shakedown
rules` takes to change the rules, and how soon what they held arrives.
"""
import contextlib
import os
import statistics
import subprocess
import tempfile
import threading
import time

import pairs
from pairs import SERVER_CPU, harness

TOOL = os.path.join(pairs.ROOT, "build", "shakedown")
BUSY = 1000
DELAY_MS = 600
RULES = ("slow=tx:delay=%dms:path=/slow" % DELAY_MS, "long=tx:delay=10s:path=/long",
         "held=tx:hold,until=release.never:path=/held")


def ask(client, path):
    began = time.monotonic()
    client.send(harness.request_bytes(path))
    head = client.recv_head()
    client.recv_exactly(int(head.get("Content-Length")))
    return (time.monotonic() - began) * 1e3


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]


class Held:
    """A request under way on a connection of its own."""

    def __init__(self, port, path):
        self.ms = self.ended = None
        self.thread = threading.Thread(target=self.run, args=(port, path))
        self.thread.start()

    def run(self, port, path):
        with harness.Client(port, timeout=60) as client:
            self.ms = ask(client, path)
        self.ended = time.monotonic()


def others(port, while_true):
    with harness.Client(port) as client:
        ask(client, "/")
        values = []
        while while_true():
            values.append(ask(client, "/"))
    return values


@contextlib.contextmanager
def serving(row, work):
    port = harness.free_port()
    words = [TOOL, "run", "-q", "-o", os.path.join(work, "%d.trace" % port)]
    for rule in RULES:
        words += ["--rule", rule]
    server = pairs.start([*words, "--", *row.command(port, work)], SERVER_CPU, cwd=work,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        harness.wait_for(lambda: harness.is_listening(server.pid, port), row.name)
        yield server, port
    finally:
        server.terminate()
        server.wait()


def processor_seconds(pid):
    ticks = 0
    for one in harness.descendants(pid):
        with open("/proc/%d/stat" % one, encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def isolation(port, times):
    quiet, beside, late = [], [], []
    for _ in range(times):
        end = time.monotonic() + DELAY_MS / 1e3
        quiet += others(port, lambda: time.monotonic() < end)
        held = Held(port, "/slow")
        beside += others(port, held.thread.is_alive)
        late.append(held.ms - DELAY_MS)
    return quiet, beside, late


def idle_cost(server, port):
    held, before, began = Held(port, "/long"), processor_seconds(server.pid), time.monotonic()
    held.thread.join()
    return (processor_seconds(server.pid) - before) / (time.monotonic() - began)


def under_load(row, server, port):
    """With 1,000 connections busy besides: the others' latency, without and with one held back; how long
    the command takes that lifts a rule (both cores are busy, and it is one process more), and from its end
    until what the rule held is there, in milliseconds."""
    with pairs.Load() as load:
        load.say("open busy keep-alive %d %d %s" % (port, BUSY, row.path))
        held = Held(port, "/held")
        running = threading.Thread(target=load.say, args=("run busy 12000 100",))
        running.start()
        time.sleep(0.5)
        quiet, beside, _ = isolation(port, 8)
        pid = next(p for p in harness.descendants(server.pid) if p != server.pid)
        with pairs.as_urgent():
            began = time.monotonic()
            subprocess.run([TOOL, "rules", str(pid), "off", "held"], check=True,
                           stdout=subprocess.DEVNULL)
            done = time.monotonic()
        held.thread.join()
        running.join()
        load.say("shut busy")
    return quiet, beside, (done - began) * 1e3, (held.ended - done) * 1e3


def bench(row, quick):
    with tempfile.TemporaryDirectory() as work, serving(row, work) as (server, port):
        quiet, beside, late = isolation(port, 1 if quick else 5)
        result = {"row": "Delay: " + row.name, "others": len(beside),
                  "p99_ms": percentile(beside, 99), "quiet_p99_ms": percentile(quiet, 99),
                  "late_ms": statistics.median(late)}
        print("\nDelay: %s\n  others' p99 %.2f ms while one waits, %.2f ms otherwise (bar: < +5 ms); its own "
              "answer %.1f ms late (bar: within 15 ms)" % (row.name, result["p99_ms"],
                                                           result["quiet_p99_ms"], result["late_ms"]))
        if quick:
            return result
        result["held_cpu"] = idle_cost(server, port)
        print("  held for 10 s: %.2f %% of a core (bar: < 1 %%)" % (result["held_cpu"] * 100), flush=True)
        quiet, beside, result["change_ms"], result["arrived_ms"] = under_load(row, server, port)
        result["busy_p99_ms"], result["busy_quiet_p99_ms"] = (percentile(beside, 99),
                                                              percentile(quiet, 99))
        print("  %d busy connections: others' p99 %.2f ms while one waits, %.2f ms otherwise (bar: < +5 ms); a "
              "change of rules takes %.0f ms (bar: < 10 ms), and what was held arrives %.1f ms later"
              % (BUSY, result["busy_p99_ms"], result["busy_quiet_p99_ms"], result["change_ms"],
                 result["arrived_ms"]))
    return result
