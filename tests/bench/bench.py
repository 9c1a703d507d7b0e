#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench: what watching costs, against bare, against a do-nothing shim, and against strace.

Method: server and client pinned to different cores; per server all conditions are started once and then
measured in turn, the order reversed every other round (ABBA), so drift hits all alike.  `bare` runs twice
(A and A'): the interval of A'/A says what this machine can resolve.  Ratios are per round; the point is
their mean, the interval the 95 % interval of the mean.  Two figures: throughput, and server CPU per request
(scheduler nanoseconds of all the server's threads).  A bar is met when the point meets it and the A/A
interval lies within 1.5 %; otherwise the row says `inconclusive`.

    make bench                       30 rounds of 2 s
    make bench BENCH='--quick'       3 rounds of 1 s: a smoke test, says little
    make bench BENCH='--only nginx'  rows whose name contains the word
"""
import argparse
import contextlib
import glob
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import harness  # noqa: E402

BENCH = os.path.join(ROOT, "build", "release", "bench")
LIB = os.path.join(ROOT, "build", "libshakedown.so")
TOOL = os.path.join(ROOT, "build", "shakedown")
NOP = os.path.join(BENCH, "libnop.so")
STUB = os.path.join(BENCH, "libstub.so")
SERVER_CPU, CLIENT_CPU = 0, (os.cpu_count() or 2) - 1


def cpu_ns(pid):
    """Scheduler time of a process and its children, all threads."""
    total = 0
    for p in harness.descendants(pid):
        for path in glob.glob("/proc/%d/task/*/schedstat" % p):
            with open(path) as f:
                total += int(f.read().split()[0])
    return total


def nginx_command(port, work):
    conf = os.path.join(work, "nginx-%d.conf" % port)
    with open(conf, "w") as f:
        f.write("""daemon off; master_process off; worker_processes 1; pid %s/nginx-%d.pid;
error_log /dev/null; events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path %s; proxy_temp_path %s;
  fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;
  server { listen 127.0.0.1:%d; location / { return 200 pong; } } }
""" % (work, port, work, work, work, work, work, port))
    return ["/usr/sbin/nginx", "-c", conf]


SERVERS = {
    "nginx keep-alive": (nginx_command, []),
    "nginx close-per-request": (nginx_command, ["-H", "Connection: close"]),
    "node http": (lambda port, work: ["node", os.path.join(ROOT, "tests/bench/app.js"), str(port)], []),
    "uvicorn": (lambda port, work: ["/usr/bin/python3", "-m", "uvicorn", "--log-level", "critical",
                                    "--app-dir", os.path.join(ROOT, "tests/bench"), "--port", str(port),
                                    "app:app"], []),
}
CONDITIONS = ["bare", "bare again", "do-nothing shim", "watching"]


class Running:
    """One server under one condition, pinned."""

    def __init__(self, command, condition, work):
        self.port = harness.free_port()
        env = dict(os.environ)
        env.pop("LD_PRELOAD", None)
        argv = ["taskset", "-c", str(SERVER_CPU)]
        if condition == "do-nothing shim":
            env["LD_PRELOAD"] = NOP
        elif condition == "watching":
            env["LD_PRELOAD"] = LIB
            env["SHAKEDOWN_TRACE"] = os.path.join(work, "trace-%d" % self.port)
        elif condition == "strace":
            argv += ["strace", "-f", "-qq", "-e", "trace=%net,read,write,readv,writev,close",
                     "-o", "/dev/null"]
        self.process = subprocess.Popen(argv + command(self.port, work), env=env, cwd=work,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_for(lambda: harness.is_listening(self.process.pid, self.port), "the server to listen")

    def measure(self, extra, seconds):
        """(requests per second, server CPU ns per request)"""
        before = cpu_ns(self.process.pid)
        out = subprocess.run(["taskset", "-c", str(CLIENT_CPU), "wrk", "-t1", "-c16",
                              "-d%ds" % seconds] + extra + ["http://127.0.0.1:%d/ping" % self.port],
                             capture_output=True, text=True, check=True).stdout
        used = cpu_ns(self.process.pid) - before
        requests = int(re.search(r"(\d+) requests in", out)[1])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
        return rate, used / max(requests, 1)

    def stop(self):
        # strace waits for its tracee, so the innermost process goes first.
        for pid in reversed(harness.descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.process.wait(timeout=20)


def interval(ratios):
    mean = statistics.fmean(ratios)
    if len(ratios) < 2:
        return mean, float("inf")
    return mean, 1.96 * statistics.stdev(ratios) / math.sqrt(len(ratios))


def bench_server(name, rounds, seconds):
    command, extra = SERVERS[name]
    work = tempfile.mkdtemp(prefix="shakedown-bench-")
    running = {c: Running(command, c, work) for c in CONDITIONS}
    samples = {c: [] for c in CONDITIONS}
    try:
        for r in list(running.values()):
            r.measure(extra, 1)
        for i in range(rounds):
            for c in CONDITIONS if i % 2 == 0 else reversed(CONDITIONS):
                samples[c].append(running[c].measure(extra, seconds))
            print("\r%s: round %d of %d" % (name, i + 1, rounds), end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        traced = Running(command, "strace", work)
        traced.measure(extra, 1)
        slow = traced.measure(extra, seconds)
        traced.stop()
    finally:
        for r in running.values():
            r.stop()
        shutil.rmtree(work, ignore_errors=True)

    def ratios(condition, figure):
        return interval([(b[figure] / a[figure]) ** (1 if figure == 0 else -1)
                         for a, b in zip(samples["bare"], samples[condition])])
    bare_rate = statistics.fmean(s[0] for s in samples["bare"])
    bare_cpu = statistics.fmean(s[1] for s in samples["bare"])
    print("\n%s: bare %.0f requests/s, %.1f us server CPU each" % (name, bare_rate, bare_cpu / 1000))
    print("  %-18s %22s %28s" % ("", "throughput / bare", "bare CPU / CPU per request"))
    for c in CONDITIONS[1:]:
        t, ti = ratios(c, 0)
        u, ui = ratios(c, 1)
        verdict = ""
        if c == "watching":
            aa = max(ratios("bare again", 0)[1] + abs(ratios("bare again", 0)[0] - 1),
                     ratios("bare again", 1)[1] + abs(ratios("bare again", 1)[0] - 1))
            verdict = ("inconclusive (A/A %.1f %%)" % (100 * aa) if aa > 0.015 else
                       "bar 0.97 met" if min(t, u) >= 0.97 else "bar 0.97 MISSED")
        print("  %-18s %12.3f +- %.3f %18.3f +- %.3f   %s" % (c, t, ti, u, ui, verdict))
    print("  %-18s %12.3f %28.3f" % ("strace", slow[0] / bare_rate, bare_cpu / slow[1]))


def run_calls(what, preload, rounds):
    with tempfile.TemporaryDirectory() as work:
        env = dict(os.environ, LD_PRELOAD=" ".join(preload + [STUB]),
                   SHAKEDOWN_TRACE=os.path.join(work, "t"), SHAKEDOWN_MAX_TRACE="1G")
        out = subprocess.run(["taskset", "-c", str(SERVER_CPU), os.path.join(BENCH, "calls"), what,
                              str(rounds)], env=env, capture_output=True, text=True, check=True)
    return float(out.stdout)


def bench_calls(runs):
    print("\nns per call, kernel stubbed, over a do-nothing shim (median of %d)" % runs)
    for what, rounds, bar in (("untracked", 5000000, 5), ("upgraded", 3000000, 60),
                              ("exchange", 1000000, None)):
        deltas = []
        for _ in range(runs):
            a = run_calls(what, [NOP], rounds)
            deltas.append(run_calls(what, [LIB], rounds) - a)
        d = statistics.median(deltas)
        print("  %-28s %+8.1f ns   (%.1f .. %.1f)%s" % (
            what + (" (read + write)" if what == "exchange" else ""), d, min(deltas), max(deltas),
            "   bar %d %s" % (bar, "met" if d <= bar else "MISSED") if bar else ""))


def bench_memory(few=2000, many=10000):
    def run(preload, n):
        with tempfile.TemporaryDirectory() as work:
            env = dict(os.environ, SHAKEDOWN_TRACE=os.path.join(work, "t"))
            if preload:
                env["LD_PRELOAD"] = preload
            out = subprocess.run([os.path.join(BENCH, "idle"), str(n)], env=env, check=True,
                                 capture_output=True, text=True).stdout
            return [int(word) for word in out.split()]

    def each(preload):  # what one more costs, without what is there once
        return [(b - a) / (many - few) for a, b in zip(run(preload, few), run(preload, many))]
    row = 64  # of the table of open connections, which lies in the trace
    own, files = [b - a for a, b in zip(each(None), each(LIB))]
    print("\nmemory per idle upgraded connection, from %d to %d of them: state %.0f B (%.0f of its own,"
          " %d in the trace's table)   bar 512 %s" % (
              few, many, own + row, own, row, "met" if own + row <= 512 else "MISSED"))
    print("  besides, pages of the trace with the records of its handshake: %.0f B" % (files - row))


def bench_report(size):
    with tempfile.TemporaryDirectory(prefix="shakedown-report-", dir=ROOT + "/build") as work:
        trace = os.path.join(work, "bench.trace")
        os.mkdir(trace)
        path = os.path.join(trace, "1-1-1.trace")
        subprocess.run([os.path.join(BENCH, "make_trace"), path, str(size)], check=True)
        real = os.stat(path).st_blocks * 512
        times = []
        for _ in range(4):
            start = time.monotonic()
            subprocess.run([TOOL, "report", trace], stdout=subprocess.DEVNULL, check=True)
            times.append(time.monotonic() - start)
        best = statistics.median(times[1:])
        rate = real / best / 1e6
        print("\nreport on a %.0f MiB trace (mix: see tests/bench/make_trace.c): %.2f s, %.0f MB/s"
              "   bar 500 %s" % (real / 2**20, best, rate, "met" if rate >= 500 else "MISSED"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    rounds, seconds = (3, 1) if args.quick else (args.rounds, args.seconds)
    print("%d rounds of %d s, %s" % (rounds, seconds, os.uname().release))
    if args.only in "calls":
        bench_calls(3 if args.quick else 7)
    if args.only in "memory":
        bench_memory()
    if args.only in "report":
        bench_report((64 << 20) if args.quick else (1 << 30))
    for name in SERVERS:
        if args.only in name:
            bench_server(name, rounds, seconds)


main()
