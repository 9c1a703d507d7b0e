# SPDX-License-Identifier: BSD-2-Clause
"""How make bench compares one server under several variants (bare, watching, ...).

1. All variants of a server run at the same time on one core and are never busy at the same time: the
   load generator on another core (load.c) moves its load between them in slices of 50 ms, in an order
   shuffled anew for every pair of slices and then reversed (ABBA).  A machine drifts slower than that.
2. A round is 2 s of load for every variant.  Every round has fresh processes, some servers' even
   several sets of them: what address layout and luck do to a process as long as it lives (5 % and more
   with CPython) averages out, and what is left is part of the interval instead of hiding behind it.
3. A round gives each variant two figures, throughput and server CPU per request, and their ratios to
   the bare ones of the same round.  The point is the mean of the rounds, the interval Student's at 95 %.
4. The first variant is the baseline, the second is the baseline again: their ratio (A/A) says what this
   machine can resolve.
5. Server CPU is that of the process started, of all below it, and of what was attached to it: a launcher
   sleeps meanwhile, and a supervisor or tracer at work is part of the price.
"""
import contextlib
import dataclasses
import math
import os
import random
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

LOAD = os.path.join(ROOT, "build", "release", "bench", "load")
CPUS = sorted(os.sched_getaffinity(0))
CLIENT_CPU, SERVER_CPU = CPUS[0], CPUS[-1]
SLICE_MS = 50  # counted of a slice
SETTLE_MS = 3  # before that: the caches still hold the other variant
AA_MOST = 0.015  # the A/A interval must lie within 1 +- this, or the row is inconclusive
SATURATED = 0.9  # below this share of its core the server waited for the client


def folder_in_memory():
    """For traces: on a disk the kernel makes whoever dirties pages wait, which is no cost of a call."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


@dataclasses.dataclass(frozen=True)
class Row:
    """One server and one kind of load.

    program   without which there is nothing to measure
    command   (port, folder for its files) -> argv
    mode      of load.c: keep-alive, close or websocket
    warm_ms   load on every fresh process before it counts: JIT compilers need more
    sets      of fresh processes that share a round: more where one process differs from the next by
              more than 1 % (address layout, JIT), which two of the same binary do for all their lives
    bar       least ratio to bare
    """

    name: str
    program: str
    command: object
    mode: str
    path: str = "/ping"
    connections: int = 16
    warm_ms: int = 150
    sets: int = 1
    bar: float = 0.97
    env: tuple = ()
    prepare: object = None
    variants: tuple = ()
    peers: tuple = ()


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is done to the server; "{trace}" is replaced by a path for its trace.

    prefix   argv words in front of the server's
    env      ((name, value), ...)
    attach   (pid of the server) -> argv of what watches it from outside.  It says a line on stdout
             when it is in place, ends at SIGINT, and its last word then is how much it saw
    missing  () -> why this cannot be done here; empty: it can
    """

    name: str
    prefix: tuple = ()
    env: tuple = ()
    attach: object = None
    missing: object = lambda: ""


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one variant did in one round."""

    rate: float  # requests per second
    cpu_ns: float  # of the server, per request

    @property
    def busy(self):
        """The share of its core the server used."""
        return self.rate * self.cpu_ns / 1e9


@dataclasses.dataclass(frozen=True)
class Interval:
    point: float
    half: float

    @property
    def low(self):
        return self.point - self.half

    @property
    def high(self):
        return self.point + self.half

    def __str__(self):
        return "%.3f [%.3f, %.3f]" % (self.point, self.low, self.high)


# ---- figures -----------------------------------------------------------------------------------


def student(df):
    """The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5; a table below 5)."""
    if df < 5:
        return (math.inf, 12.706, 4.303, 3.182, 2.776)[df]
    z = 1.959964
    return (z + (z**3 + z) / 4 / df + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / df**2
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / df**3)


def interval(values):
    if len(values) < 2:
        return Interval(values[0], math.inf)
    half = student(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(statistics.fmean(values), half)


def throughput(base, samples):
    return interval([b.rate / a.rate for a, b in zip(base, samples)])


def cpu(base, samples):
    """Bare over variant, so that here too less than 1 is a loss."""
    return interval([a.cpu_ns / b.cpu_ns for a, b in zip(base, samples)])


def verdict(ratio, again, bar):
    """met, missed or inconclusive; `again` is the A/A interval."""
    if again.low < 1 - AA_MOST or again.high > 1 + AA_MOST:
        return "inconclusive"
    return "met" if ratio.point >= bar else "missed"


def stolen():
    """(ticks the hypervisor took from this machine, all ticks) since boot."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def cpu_ns(pid):
    """Processor time of a process and those below it: all threads, those that have ended too.

    The number of a process's clock is made as in the kernel's posix-timers_types.h: the complement of
    the pid, and 2 for scheduler time.  Exact even while the process runs, which schedstat is not.
    """
    return sum(time.clock_gettime_ns(~p << 3 | 2) for p in harness.descendants(pid))


# ---- processes ---------------------------------------------------------------------------------


def start(argv, cpu_number, **options):
    """A process on one core, ahead of whatever else the machine does, where that is allowed."""
    words = ["taskset", "-c", str(cpu_number)]
    if os.geteuid() == 0:
        words += ["nice", "-n", "-20"]
    process = subprocess.Popen(words + argv, start_new_session=True, **options)
    put_ahead(process.pid)
    return process


def put_ahead(pid, nice=-20):
    """Niceness counts within the scheduler's group of the session, which has its own."""
    with contextlib.suppress(OSError), open("/proc/%d/autogroup" % pid, "w",
                                            encoding="ascii") as group:
        group.write(str(nice))


@contextlib.contextmanager
def as_urgent():
    """We and what we start compete with the server and the load on equal terms."""
    put_ahead(os.getpid())
    try:
        yield
    finally:
        put_ahead(os.getpid(), 0)


class Load:
    """The load generator: see load.c."""

    def __init__(self):
        self.process = start([LOAD], CLIENT_CPU, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def say(self, *commands):
        """Send all commands, so that nobody waits for us between them; returns the answers."""
        self.process.stdin.write("".join(c + "\n" for c in commands))
        self.process.stdin.flush()
        answers = []
        for _ in commands:
            answers.append(self.process.stdout.readline().split())
            if not answers[-1] or answers[-1][0] == "error":
                raise RuntimeError(" ".join(answers[-1]) or "the load generator ended")
        return answers


class Running:
    """One server under one variant; its name in the load generator is that of its port."""

    def __init__(self, row, variant, work):
        self.port = harness.free_port()
        self.name = str(self.port)
        self.variant, self.watcher = variant, None
        self.said = os.path.join(work, "%d.said" % self.port)
        trace = os.path.join(work, "%d.trace" % self.port)
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        env.update((k, v.replace("{trace}", trace)) for k, v in row.env + variant.env)
        argv = [word.replace("{trace}", trace) for word in variant.prefix]
        self.process = start(argv + row.command(self.port, work), SERVER_CPU, env=env, cwd=work,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)

    def wait_ready(self):
        harness.wait_for(lambda: harness.is_listening(self.process.pid, self.port),
                         "the server to listen", harness.START_TIMEOUT)
        for pid in harness.descendants(self.process.pid):
            put_ahead(pid)  # a supervisor has a session of its own
        if self.variant.attach:
            self.attach()

    def attach(self):
        with open(self.said, "wb") as out:
            self.watcher = start(self.variant.attach(self.process.pid), SERVER_CPU,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
        harness.wait_for(lambda: os.path.getsize(self.said) or self.watcher.poll() is not None,
                         "%s in place" % self.variant.name, harness.START_TIMEOUT)
        if self.watcher.poll() is not None:
            raise RuntimeError("%s does not attach" % self.variant.name)

    def detach(self):
        """To be called while the server still runs: a watcher that saw nothing measured nothing."""
        if not self.watcher:
            return
        self.watcher.send_signal(signal.SIGINT)
        self.watcher.wait(timeout=harness.STOP_TIMEOUT)
        with open(self.said, "rb") as said:
            last = said.read().split()[-1]
        if not last.isdigit() or int(last) == 0:
            raise RuntimeError("%s saw nothing" % self.variant.name)

    def cpu_ns(self):
        return cpu_ns(self.process.pid) + (cpu_ns(self.watcher.pid) if self.watcher else 0)

    def ask_to_stop(self):
        if self.watcher and self.watcher.poll() is None:
            self.watcher.kill()
            self.watcher.wait()
        # A tracer waits for its tracee, so the innermost process goes first.
        for pid in reversed(harness.descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def wait_stopped(self):
        try:
            self.process.wait(timeout=harness.STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            for pid in reversed(harness.descendants(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


@contextlib.contextmanager
def all_running(load, row, variants, rng):
    """Fresh servers, one for each variant, warm and connected: {variant name: Running}."""
    work = tempfile.mkdtemp(prefix="shakedown-bench-")
    running = {}
    try:
        for v in rng.sample(variants, len(variants)):
            running[v.name] = Running(row, v, work)
        for r in running.values():
            r.wait_ready()
        # All are ready before the first connection is opened: servers close those that say nothing.
        for r in running.values():
            load.say("open %s %s %d %d %s" % (r.name, row.mode, r.port, row.connections, row.path))
        load.say(*("run %s %d 0" % (r.name, row.warm_ms) for r in running.values()))
        yield running
        load.say(*("shut %s" % r.name for r in running.values()))
        for r in running.values():
            r.detach()
    finally:
        for r in running.values():
            r.ask_to_stop()
        for r in running.values():
            r.wait_stopped()
        shutil.rmtree(work, ignore_errors=True)


# ---- rounds ------------------------------------------------------------------------------------


def order(names, slices, rng):
    """Each name `slices` times (rounded up to even): shuffled, reversed, shuffled anew, reversed, ..."""
    result = []
    for _ in range((slices + 1) // 2):
        once = rng.sample(names, len(names))
        result += once + once[::-1]
    return result


def one_set(load, row, variants, seconds, rng):
    """Fresh processes under load: {variant name: (requests, ns, all requests, server CPU ns)}"""
    with all_running(load, row, variants, rng) as running:
        slices = order(list(running), math.ceil(seconds * 1000 / SLICE_MS), rng)
        before = {name: r.cpu_ns() for name, r in running.items()}
        answers = load.say(*("run %s %d %d" % (running[name].name, SLICE_MS + SETTLE_MS, SETTLE_MS)
                             for name in slices))
        used = {name: r.cpu_ns() - before[name] for name, r in running.items()}
    counts = {name: [0, 0, 0] for name in running}
    for name, answer in zip(slices, answers):
        counts[name] = [sum(pair) for pair in zip(counts[name], map(int, answer[1::2]))]
    return {name: (*counts[name], used[name]) for name in running}


def one_round(load, row, variants, seconds, rng):
    """{variant name: Sample}"""
    sets = [one_set(load, row, variants, seconds / row.sets, rng) for _ in range(row.sets)]
    samples = {}
    for v in variants:
        requests, ns, everything, used = (sum(column) for column in zip(*(s[v.name] for s in sets)))
        samples[v.name] = Sample(requests / ns * 1e9, used / everything)
    return samples


def compare(row, variants, rounds, seconds, progress):
    """All rounds: {variant name: [Sample of each round]}.  progress(done) is called before each."""
    mine = os.sched_getaffinity(0)
    samples = {v.name: [] for v in variants}
    os.sched_setaffinity(0, {CLIENT_CPU})
    try:
        with Load() as load:
            for i in range(rounds):
                progress(i)
                # The seed fixes the order only; what is measured has nothing random in it.
                for name, sample in one_round(load, row, variants, seconds,
                                              random.Random(i)).items():
                    samples[name].append(sample)
    finally:
        os.sched_setaffinity(0, mine)
    return samples
