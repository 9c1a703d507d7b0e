#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench: what watching costs, against bare, a do-nothing shim, and other ways to watch.

Servers: how is written in pairs.py.  Two figures, each as a ratio to bare with its 95 % interval:
throughput, and server CPU per request.  The bar is throughput's, as long as bare keeps its core busy;
where the client is the slower of the two, throughput says more about the client, and the bar is that
of server CPU per request.  A bar is met when the point meets it and the A/A interval of the same figure
lies within 1.5 %; else the row says `inconclusive`.

Beside the bar stand other ways to watch, in a few short rounds; what is missing here is named.

Calls: ns per call with the kernel stubbed out, over a do-nothing shim with the same entry points.  Where
calls are recorded, the bar is for a trace of the usual size that has gone round ten times; beside it
stands what a call costs before it has gone round once, while its pages are still to be had.
Go calls: ns the Go door adds, over bare.  Injection: ms it adds to the start of a static program.
Delay: what a fault that takes time costs others (faults.py).
Proxy: the same fault from a rule and from a proxy in front of the server (proxies.py).
Memory: what an idle upgraded connection costs.  Report: how fast a trace is read.

    make bench                            30 rounds of 2 s: 5 to 10 minutes a row
    make bench BENCH='--quick'            two minutes in all, to see that everything runs; no measurement
    make bench BENCH='--only nginx'       rows whose name contains the word, as in 'Gin static',
                                          'Delay', 'Proxy', 'calls', 'Go calls', 'injection', 'memory', 'report'
    make bench BENCH='--json FILE'        the figures for programs, too

As root the servers under test go ahead of all else on the machine, which then hardly moves.
"""
import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

import faults
import go_door
import pairs
import peers
import proxies
from pairs import ROOT, SERVER_CPU, Row, Variant, harness

BENCH = os.path.join(ROOT, "build", "release", "bench")
LIB = os.path.join(ROOT, "build", "libshakedown.so")
TOOL = os.path.join(ROOT, "build", "shakedown")
NOP = os.path.join(BENCH, "libnop.so")
STUB = os.path.join(BENCH, "libstub.so")
MiB = 1 << 20


# ---- servers -----------------------------------------------------------------------------------


def nginx(port, work):
    conf = os.path.join(work, "nginx-%d.conf" % port)
    with open(conf, "w", encoding="ascii") as f:
        f.write("""daemon off; master_process off; worker_processes 1; pid %s/nginx-%d.pid;
error_log /dev/null; events { worker_connections 2048; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path %s; proxy_temp_path %s;
  fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;
  server { listen 127.0.0.1:%d; location / { return 200 pong; } } }
""" % (work, port, work, work, work, work, work, port))
    return ["/usr/sbin/nginx", "-c", conf]


def node(port, work):
    return ["node", os.path.join(ROOT, "tests/bench/app.js"), str(port)]


def uvicorn(port, work):
    return ["/usr/bin/python3", "-m", "uvicorn", "--log-level", "critical", "--lifespan", "off",
            "--ws-ping-interval", "600", "--app-dir", os.path.join(ROOT, "tests/bench"),
            "--port", str(port), "app:app"]


# The first is the baseline, the second is A/A; the bar is for those that watch.
VARIANTS = (
    Variant("bare"),
    Variant("bare again (A/A)"),
    Variant("do-nothing shim", env=(("LD_PRELOAD", NOP),)),
    Variant("watching", env=(("LD_PRELOAD", LIB), ("SHAKEDOWN_TRACE", "{trace}"))),
)
UNDER_THE_BAR = ("watching",)

# What loads no libraries: no shim to preload, and the library comes in through the injected door.
INJECTED = VARIANTS[:2] + (
    Variant("watching", prefix=(TOOL, "run", "-q", "-o", "{trace}", "--")),
)
PEERS = (peers.STRACE,)
ECHO_PEERS = (peers.SECCOMP, peers.STRACE, *peers.BPFTRACE)

ROWS = (
    Row("nginx keep-alive", "nginx", nginx, "keep-alive"),
    Row("nginx close-per-request", "nginx", nginx, "close"),
    Row("node http", "node", node, "keep-alive", warm_ms=500, sets=2),
    Row("uvicorn", "python3", uvicorn, "keep-alive", warm_ms=100, sets=6),
    Row("uvicorn websocket echo", "python3", uvicorn, "websocket", path="/echo", warm_ms=100,
        sets=6),
    *go_door.rows({"cgo": VARIANTS, "stripped": INJECTED}, ECHO_PEERS),
)

# Under faults that take time: one row per event loop.
DELAYED = [row for row in ROWS if row.mode == "keep-alive"]


class Progress:
    """How far a row is, on stderr: rewritten in place on a terminal, else a line at its start."""

    def __init__(self, name, rounds):
        self.name, self.rounds, self.start = name, rounds, time.monotonic()
        self.place = sys.stderr.isatty()

    def __call__(self, done):
        left = ""
        if done:
            seconds = (time.monotonic() - self.start) / done * (self.rounds - done)
            left = ", %d:%02d left" % divmod(int(seconds), 60)
        text = "%s: round %d of %d%s" % (self.name, done + 1, self.rounds, left)
        if self.place:
            print("\r%-76s" % text, end="", file=sys.stderr, flush=True)
        elif not done:
            print(text, file=sys.stderr, flush=True)

    def end(self):
        if self.place:
            print("\r%-76s\r" % "", end="", file=sys.stderr, flush=True)


def figures(samples, base, name, row, again):
    """The entry of one variant in the result."""
    result = {"variant": name}
    for figure, of in (("throughput", pairs.throughput), ("cpu", pairs.cpu)):
        ratio = of(samples[base], samples[name])
        result[figure] = {"ratio": ratio.point, "low": ratio.low, "high": ratio.high}
        if name in UNDER_THE_BAR:
            result[figure]["verdict"] = pairs.verdict(
                ratio, of(samples[base], samples[again]), row.bar)
    return result


def bench_server(row, rounds, seconds):
    progress = Progress(row.name, rounds)
    stolen = pairs.stolen()
    variants = row.variants or VARIANTS
    samples = pairs.compare(row, variants, rounds, seconds, progress)
    stolen = [b - a for a, b in zip(stolen, pairs.stolen())]
    base, again = (v.name for v in variants[:2])
    bare = samples[base]
    result = {
        "row": row.name, "bar": row.bar,
        "requests_per_s": statistics.fmean(s.rate for s in bare),
        "cpu_ns_per_request": statistics.fmean(s.cpu_ns for s in bare),
        "core_busy": statistics.fmean(s.busy for s in bare),
        "stolen": stolen[0] / stolen[1],
        "variants": [figures(samples, base, v.name, row, again) for v in variants[1:]],
        "rounds": {name: [dataclasses.asdict(s) for s in of] for name, of in samples.items()},
    }
    result["figure"] = "throughput" if result["core_busy"] >= pairs.SATURATED else "cpu"
    for peer in row.peers or PEERS:
        result["variants"].append(bench_peer(row, variants[0], peer, rounds, seconds))
    progress.end()
    return result


def bench_peer(row, bare, peer, rounds, seconds):
    missing = peer.missing()
    if missing:
        return {"variant": peer.name, "missing": missing}
    few = pairs.compare(dataclasses.replace(row, sets=1), (bare, peer), min(rounds, 4),
                        min(seconds, 0.5), lambda done: None)
    return figures(few, bare.name, peer.name, row, None)


def print_server(result, quick):
    print("\n%s: bare %.0f requests/s, %.2f us of server CPU each, its core %.0f %% busy%s" % (
        result["row"], result["requests_per_s"], result["cpu_ns_per_request"] / 1000,
        100 * result["core_busy"],
        ", %.1f %% stolen" % (100 * result["stolen"]) if result["stolen"] > 0.001 else ""))
    print("  %-18s %-36s %s" % ("", "throughput / bare", "CPU per request, bare / this"))
    for v in result["variants"]:
        if "missing" in v:
            print("  %-18s not measured: %s" % (v["variant"], v["missing"]))
            continue
        cells = [str(pairs.Interval(f["ratio"], f["high"] - f["ratio"])) +
                 ("" if quick else " " + f.get("verdict", "")) for f in (v["throughput"], v["cpu"])]
        print(("  %-18s %-36s %s" % (v["variant"], *cells)).rstrip())
        if v["variant"] in UNDER_THE_BAR and not quick:
            print("  %-18s bar %.2f of %s: %s" % (
                "", result["bar"],
                "throughput" if result["figure"] == "throughput" else
                "server CPU per request (the client was the slower one)",
                v[result["figure"]]["verdict"]))


# ---- calls, memory, report ---------------------------------------------------------------------


def why_not(program, prepare):
    """Why something cannot be measured here; empty: it can, and is prepared."""
    if not harness.have_program(program):
        return "no %s here" % program
    try:
        if prepare:
            prepare()
    except unittest.SkipTest as e:
        return str(e)
    return ""


def bar(limit, met, quick):
    """What follows a figure with a bar; nothing is met or missed by figures that measure nothing."""
    return "" if quick else "   bar %d %s" % (limit, "met" if met else "MISSED")


def run_calls(what, preload, rounds):
    with pairs.folder_in_memory() as work:
        env = dict(os.environ, LD_PRELOAD=" ".join(preload + [STUB]),
                   SHAKEDOWN_TRACE=os.path.join(work, "t"))
        out = subprocess.run(["taskset", "-c", str(SERVER_CPU), os.path.join(BENCH, "calls"), what,
                              str(rounds)], env=env, capture_output=True, text=True, check=True)
    return float(out.stdout)


def bench_calls(quick):
    runs = 1 if quick else 7
    print("\nns per call, kernel stubbed, over a do-nothing shim (median of %d)" % runs)
    results = []
    for what, label, rounds, limit in (
            ("untracked", "", 5000000, 5), ("upgraded", "", 20000000, 60),
            ("upgraded", " (new trace)", 1500000, None), ("exchange", " (read + write)", 1000000, None)):
        rounds = min(rounds, 1500000) if quick else rounds
        deltas = []
        for _ in range(runs):
            a = run_calls(what, [NOP], rounds)
            deltas.append(run_calls(what, [LIB], rounds) - a)
        d = statistics.median(deltas)
        print("  %-28s %+8.1f ns   (%.1f .. %.1f)%s" % (
            what + label, d, min(deltas), max(deltas),
            bar(limit, d <= limit, quick) if limit else ""))
        results.append({"call": what + label, "ns": d, "least": min(deltas), "most": max(deltas),
                        "bar": limit})
    return results


def bench_go(name, prepare, bench, quick):
    """A figure of go_door.py, or why there is none."""
    missing = why_not("go", prepare)
    if missing:
        print("\n%s: not measured, %s" % (name, missing))
        return {"missing": missing}
    return bench(quick, bar)


def bench_go_calls(quick):
    return bench_go("Go calls", go_door.loop, go_door.bench_calls, quick)


def bench_injection(quick):
    return bench_go("injection", lambda: go_door.gin("stripped"), go_door.bench_injection, quick)


def bench_memory(quick, few=2000, many=10000):
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
          " %d in the trace's table)%s" % (
              few, many, own + row, own, row, bar(512, own + row <= 512, quick)))
    print("  besides, pages of the trace with the records of its handshake: %.0f B" % (files - row))
    return {"state_bytes": own + row, "record_bytes": files - row, "bar": 512}


def bench_report(quick):
    size = (64 if quick else 1024) * MiB
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
        seconds = statistics.median(times[1:])
        rate = real / seconds / 1e6
        print("\nreport on a %.0f MiB trace (mix: see tests/bench/make_trace.c): %.2f s, %.0f MB/s"
              "%s" % (real / MiB, seconds, rate, bar(500, rate >= 500, quick)))
        return {"bytes": real, "seconds": seconds, "bar_bytes_per_s": 500e6}


# ---- the whole ---------------------------------------------------------------------------------


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2, help="of load per variant and round")
    parser.add_argument("--quick", action="store_true", help="see that everything runs")
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 2, 0.1
    if args.rounds < 2:
        parser.error("an interval takes two rounds")
    if len(pairs.CPUS) < 2:
        parser.error("server and client want a core each, here is one")
    return args


def main():
    args = options()
    quick = args.quick
    print("%d rounds of %g s, Linux %s%s" % (
        args.rounds, args.seconds, os.uname().release,
        "; QUICK: shows that everything runs, measures nothing" if quick else ""), flush=True)
    result = {"version": 1, "kernel": os.uname().release, "rounds": args.rounds,
              "seconds": args.seconds, "measurement": not quick, "servers": []}
    for name, bench in (("calls", bench_calls), ("Go calls", bench_go_calls),
                        ("injection", bench_injection), ("memory", bench_memory),
                        ("report", bench_report)):
        if args.only in name:
            result[name] = bench(quick)
            sys.stdout.flush()
    for row in ROWS:
        if args.only not in row.name:
            continue
        missing = why_not(row.program, row.prepare)
        if missing:
            print("\n%s: not measured, %s" % (row.name, missing))
            continue
        if quick:
            row = dataclasses.replace(row, sets=1, warm_ms=50)
        result["servers"].append(bench_server(row, args.rounds, args.seconds))
        print_server(result["servers"][-1], quick)
        sys.stdout.flush()
    for row in DELAYED:
        if args.only in "Delay: " + row.name and not why_not(row.program, row.prepare):
            result.setdefault("delays", []).append(faults.bench(row, quick))
            sys.stdout.flush()
    if args.only in "Proxy" and not why_not("nginx", None):
        result["proxies"] = proxies.bench(quick)
    if args.json:
        with open(args.json, "w", encoding="ascii") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


main()
