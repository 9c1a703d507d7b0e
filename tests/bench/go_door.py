# SPDX-License-Identifier: BSD-2-Clause
"""What make bench knows of Go: the Gin rows, ns the Go door adds to a call, and what injecting takes.

The door is inside the program, so the kernel's part of a call cannot be stubbed out: the same loop runs
bare and watched in turns, and the figure is the median of the differences (go/main.go is the loop).
"""
import contextlib
import functools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import pairs
from pairs import ROOT, SERVER_CPU, Row, harness

sys.path.insert(0, os.path.join(ROOT, "tests", "servers"))
import golang  # noqa: E402

TOOL = os.path.join(ROOT, "build", "shakedown")
BATCH, FRAME = 4096, b"\x81\x84\x01\x02\x03\x04\x71\x6d\x6d\x63"  # as in go/main.go
INJECTION_MS = 10  # bar of injecting


# ---- Gin ---------------------------------------------------------------------------------------


def gin(shape):
    return golang.build("gin", "gin", "newest", shape)


def run_gin(shape, port, _work):
    return [gin(shape), "127.0.0.1:%d" % port]


def rows(variants_of, peers):
    """Gin, dynamic and static and stripped.  variants_of: {shape: variants}; peers of the echo."""
    # One core for the server: what Go makes of that by itself depends on its version.
    common = {"program": "go", "env": (("GOMAXPROCS", "1"),)}
    for name, shape in (("dynamic", "cgo"), ("static", "stripped")):
        mine = {**common, "command": functools.partial(run_gin, shape),
                "prepare": functools.partial(gin, shape), "variants": variants_of[shape]}
        yield Row(name="Gin " + name, mode="keep-alive", **mine)
        yield Row(name="Gin %s websocket echo" % name, mode="websocket", path="/ws", peers=peers,
                  **mine)


# ---- calls -------------------------------------------------------------------------------------


def loop():
    return golang.build(os.path.join(ROOT, "tests", "bench", "go"), "bench", "newest", "stripped")


def say_head(connection, path="/", upgrade=True):
    field = "Upgrade: websocket\r\nConnection: Upgrade\r\n" if upgrade else ""
    connection.sendall(("GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n" % (path, field)).encode())


def converse(process, beside, upgrade):
    """Be the client of go/main.go until it says its figure.  beside: hold an attempt open meanwhile."""
    with contextlib.ExitStack() as stack:
        def dial():
            connection = socket.create_connection(("127.0.0.1", port), harness.IO_TIMEOUT)
            return stack.enter_context(connection)

        connection = None
        for line in process.stdout:
            word, _, value = line.partition(" ")
            if word == "ns":
                return float(value)
            if word == "port":
                port = int(value)
                if beside:
                    say_head(dial(), "/waits")
            if word == "more\n":
                connection.sendall(FRAME * BATCH)
            elif not connection and (word == "open\n" or not beside):
                connection = dial()
                say_head(connection, upgrade=upgrade)
    raise RuntimeError("go/main.go ended without a figure")


def run_call(what, watched, rounds):
    word, _, beside = what.partition(" ")
    with pairs.folder_in_memory() as work:
        argv = [TOOL, "run", "-q", "-o", os.path.join(work, "t"), "--"] if watched else []
        process = pairs.start(argv + [loop(), word, str(rounds)], SERVER_CPU,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "GOMAXPROCS": "1", "SHAKEDOWN_MAX_TRACE": "1G"})
        with process:
            return converse(process, beside, word != "witness")


def bench_calls(quick, bar):
    """bar: see bench.py"""
    runs = 1 if quick else 15
    print("\nns the Go door adds to a call (median of %d differences to bare)" % runs)
    results = []
    for what, rounds, limit in (("untracked", 2000000, 5), ("tracked", 1000000, None),
                                ("upgraded", 400000, 60), ("witness", 20000000, None),
                                ("witness beside an attempt", 5000000, None)):
        bare, deltas = [], []
        for _ in range(runs):
            bare.append(run_call(what, False, rounds))
            deltas.append(run_call(what, True, rounds) - bare[-1])
        d = statistics.median(deltas)
        print("  %-28s %+8.1f ns   (%.1f .. %.1f) on %.1f%s" % (
            what, d, min(deltas), max(deltas), statistics.median(bare),
            bar(limit, d <= limit, quick) if limit else ""), flush=True)
        results.append({"call": what, "ns": d, "least": min(deltas), "most": max(deltas),
                        "bare": statistics.median(bare), "bar": limit})
    return results


# ---- injection ---------------------------------------------------------------------------------


def start_ms(program, door, work):
    """From starting the launcher to its end, of a program that ends as soon as it has begun."""
    trace = tempfile.mkdtemp(dir=work)
    begin = time.monotonic()
    pairs.start([TOOL, "run", "-q", "--door", door, "-o", trace, "--", *program], SERVER_CPU,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL).wait()
    return (time.monotonic() - begin) * 1000


def bench_injection(quick, bar):
    """What the injected door adds to the start of a program, over the same launcher without it."""
    runs = 3 if quick else 50
    programs = (("Gin, static and stripped", [gin("stripped"), "no address"]),
                ("C, static", [os.path.join(ROOT, "build", "release", "bench", "nothing")]))
    print("\ninjection at start, over the same launcher without it (median of %d differences)" % runs)
    results = []
    for name, program in programs:
        deltas = []
        with tempfile.TemporaryDirectory() as work:
            for i in range(runs):
                doors = ("libc", "inject") if i % 2 else ("inject", "libc")
                ms = {door: start_ms(program, door, work) for door in doors}
                deltas.append(ms["inject"] - ms["libc"])
        # Starting anything takes longer now and then, by far more than what is looked for.
        low, d, high = statistics.quantiles(deltas, n=4, method="inclusive")
        print("  %-28s %+8.1f ms   (half of them %.1f .. %.1f)%s" % (
            name, d, low, high, bar(INJECTION_MS, d <= INJECTION_MS, quick)), flush=True)
        results.append({"program": name, "ms": d, "quartiles": [low, high],
                        "bar": INJECTION_MS})
    return results
