# SPDX-License-Identifier: BSD-2-Clause
"""The same fault from a rule in the server and from a proxy in front of it: the rows "Proxy: ..." of make bench.

nginx behind toxiproxy, which lives on the server's core, and nginx under `shakedown run`; all are loaded
in turns, in short slices, each round with the ratios to bare nginx of the same round.

    nothing     requests of 4 bytes, no fault in force: what being in the way costs
    slice 1460  answers of 64 KiB, which leave in pieces of 1,460 bytes
    delay 50ms  answers that leave 50 ms late: what is added beyond that to a request alone (median, p99), and
                how many of the requests that 256 connections could make get through
"""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

import pairs
from pairs import ROOT, SERVER_CPU, harness

TOOL = os.path.join(ROOT, "build", "shakedown")
MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server@latest"
BIN = os.path.join(ROOT, "build", "go", "toxiproxy")
DELAY_MS = 50
WAITING = 256
# name, rule, toxic, path, connections
FAULTS = (
    ("nothing", None, None, "/ping", 16),
    ("slice 1460", "tx:slice=1460", ("slicer", {"average_size": 1460, "size_variation": 0, "delay": 0}),
     "/64k", 16),
    ("delay 50ms", "tx@response-head:delay=%dms" % DELAY_MS, ("latency", {"latency": DELAY_MS}), "/ping", WAITING),
)


def toxiproxy():
    """(path, "") or ("", why not)."""
    found = shutil.which("toxiproxy-server") or os.path.join(BIN, "server")
    if os.access(found, os.X_OK):
        return found, ""
    if not shutil.which("go"):
        return "", "no toxiproxy-server and no go here"
    done = subprocess.run(["go", "install", MODULE], env=dict(os.environ, GOBIN=BIN), check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (found, "") if done.returncode == 0 else ("", "toxiproxy could not be built")


def nginx(port, work):
    conf = os.path.join(work, "nginx-%d.conf" % port)
    with open(os.path.join(work, "64k"), "wb") as body:
        body.write(bytes(65536))
    with open(conf, "w", encoding="ascii") as f:
        f.write("""daemon off; master_process off; worker_processes 1; user root; pid %s/nginx-%d.pid;
error_log /dev/null; events { worker_connections 2048; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path %s; proxy_temp_path %s;
  fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;
  server { listen 127.0.0.1:%d; location = /64k { root %s; } location / { return 200 pong; } } }
""" % (work, port, work, work, work, work, work, port, work))
    return ["/usr/sbin/nginx", "-c", conf]


@contextlib.contextmanager
def running(words, port):
    process = pairs.start(words, SERVER_CPU, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    try:
        harness.wait_for(lambda: harness.is_listening(process.pid, port), words[0])
        yield port
    finally:
        process.terminate()
        process.wait()


def order(port, path, what):
    urllib.request.urlopen(urllib.request.Request(  # the address is ours
        "http://127.0.0.1:%d%s" % (port, path), json.dumps(what).encode(),
        {"Content-Type": "application/json", "User-Agent": "bench"})).close()


@contextlib.contextmanager
def ways(rule, toxic, proxy, work):
    """{name: port}: bare, under a rule, behind a proxy."""
    with contextlib.ExitStack() as stack:
        def serve(*prefix):
            port = harness.free_port()
            return stack.enter_context(running([*prefix, *nginx(port, work)], port))

        ports = {"bare": serve(),
                 "shakedown": serve(TOOL, "run", "-q", "-o", os.path.join(work, "t%d" % time.monotonic_ns()),
                                    *(["--rule", rule] if rule else []), "--")}
        if proxy:
            control, port = harness.free_port(), harness.free_port()
            stack.enter_context(running([proxy, "-host", "127.0.0.1", "-port", str(control)], control))
            order(control, "/proxies", {"name": "p", "listen": "127.0.0.1:%d" % port, "enabled": True,
                                        "upstream": "127.0.0.1:%d" % serve()})
            if toxic:
                order(control, "/proxies/p/toxics", {"type": toxic[0], "stream": "downstream",
                                                     "attributes": toxic[1]})
            ports["toxiproxy"] = port
        yield ports


def rates(ports, path, connections, rounds, slice_ms):
    """{name: requests per second, a value a round}"""
    found = {name: [] for name in ports}
    with pairs.Load() as load:
        for name, port in ports.items():
            load.say("open %s keep-alive %d %d %s" % (name, port, connections, path))
        for i in range(rounds + 1):
            for name in list(ports)[::1 if i % 2 else -1]:
                words = load.say("run %s %d %d" % (name, slice_ms, slice_ms // 10))[0]
                if i:  # the first one warms up
                    found[name].append(int(words[1]) * 1e9 / int(words[3]))
    return found


def alone(port, path, times):
    """Milliseconds of requests one behind the other."""
    values = []
    with harness.Client(port) as client:
        for _ in range(times):
            began = time.monotonic()
            client.send(harness.request_bytes(path))
            client.recv_exactly(int(client.recv_head().get("Content-Length")))
            values.append((time.monotonic() - began) * 1e3)
    return sorted(values)


def bench(quick):
    proxy, why = toxiproxy()
    rounds, slice_ms, times = (2, 200, 10) if quick else (20, 1000, 200)
    result = {"missing": why, "rows": []}
    print("\nProxy: nginx, a rule in the server beside a proxy in front of it%s" % (
        "; toxiproxy not measured, %s" % why if why else ""))
    for fault, rule, toxic, path, connections in FAULTS:
        with tempfile.TemporaryDirectory() as work:
            os.chmod(work, 0o755)
            with ways(rule, toxic, proxy, work) as ports:
                found = rates(ports, path, connections, rounds, slice_ms)
                late = {name: alone(port, path, times) for name, port in ports.items()}
        most = WAITING * 1000 / DELAY_MS
        for name, values in found.items():
            of_bare = pairs.interval([v / b for v, b in zip(values, found["bare"])])
            row = {"fault": fault, "way": name, "per_second": statistics.fmean(values),
                   "of_bare": of_bare.point, "low": of_bare.low, "high": of_bare.high,
                   "added_ms": statistics.median(late[name]) - statistics.median(late["bare"]),
                   "added_p99_ms": late[name][len(late[name]) * 99 // 100] - statistics.median(late["bare"])}
            result["rows"].append(row)
            share = "of bare %s" % of_bare
            if toxic and toxic[0] == "latency":
                share = "%.3f of the %.0f/s possible" % (row["per_second"] / most, most)
            print("  %-11s %-10s %9.0f/s  %-32s added to a request alone %7.2f ms, p99 %7.2f ms" % (
                fault, name, row["per_second"], share if name != "bare" else "", row["added_ms"],
                row["added_p99_ms"]), flush=True)
    return result
