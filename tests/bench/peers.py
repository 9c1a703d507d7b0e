# SPDX-License-Identifier: BSD-2-Clause
"""Other ways to watch a running server, which make bench puts beside the library.

They are so slow that a few short rounds beside bare say enough.
"""
import functools
import os
import subprocess
import tempfile

from pairs import ROOT, Variant, harness

TOOL = os.path.join(ROOT, "build", "shakedown")


def no_program(name):
    return "" if harness.have_program(name) else "no %s here" % name


def last_line(output):
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"


@functools.lru_cache(None)
def no_seccomp():
    """Does `shakedown run --door seccomp` start a program here?"""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run([TOOL, "run", "-q", "--door", "seccomp", "-o", work, "--", "/bin/true"],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=harness.START_TIMEOUT)
    return "" if done.returncode == 0 else "not available: " + last_line(done.stderr)


# bpftrace finds tracepoints in tracefs, which not everybody has mounted: for itself, in a namespace.
WITH_TRACEFS = ("unshare", "-m", "sh", "-c", '[ -e /sys/kernel/tracing/events ] || '
                'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"', "sh")


CALLS = ("read", "write", "accept4", "close")


def bpftrace(script, pid):
    """Every action counts in @, which is printed at the end."""
    return [*WITH_TRACEFS, "bpftrace", "-q", "-B", "line", "-e",
            'BEGIN { printf("ready\\n"); } ' + script.replace("PID", str(pid))]


# How often each call was made: the least one can ask for.
COUNTS = "%s /pid == PID/ { @ = count(); }" % ", ".join(
    "tracepoint:syscalls:sys_%s_%s" % (when, call) for call in CALLS for when in ("enter", "exit"))

# What passed, as far as anything could be made of it afterwards: the first bytes of each read and write.
BYTES = """
tracepoint:syscalls:sys_enter_read, tracepoint:syscalls:sys_enter_write /pid == PID/ {
	@at[tid] = args->buf;
}
tracepoint:syscalls:sys_exit_read, tracepoint:syscalls:sys_exit_write /pid == PID/ {
	@ = count();
	printf("%d %d %r\\n", tid, args->ret, buf(@at[tid], 64));
}
tracepoint:syscalls:sys_enter_accept4, tracepoint:syscalls:sys_enter_close /pid == PID/ {
	@ = count();
	printf("%d %s\\n", tid, probe);
}
END { clear(@at); }"""


@functools.lru_cache(None)
def no_bpftrace():
    if not harness.have_program("bpftrace"):
        return "no bpftrace here"
    if os.geteuid():
        return "bpftrace wants root"
    done = subprocess.run([*WITH_TRACEFS, "bpftrace", "-q", "-e",
                           "tracepoint:syscalls:sys_enter_read /pid == 0/ { @ = count(); } "
                           "interval:ms:1 { exit(); }"],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=harness.START_TIMEOUT)
    return "" if done.returncode == 0 else "not available: " + last_line(done.stderr)


STRACE = Variant("strace", missing=functools.partial(no_program, "strace"),
                 prefix=("strace", "-f", "-qq", "-o", "/dev/null",
                         "-e", "trace=%net,read,write,readv,writev,close"))
SECCOMP = Variant("--door seccomp", missing=no_seccomp,
                  prefix=(TOOL, "run", "-q", "--door", "seccomp", "-o", "{trace}", "--"))
BPFTRACE = tuple(
    Variant("bpftrace, " + name, missing=no_bpftrace, attach=functools.partial(bpftrace, script))
    for name, script in (("counts", COUNTS), ("bytes", BYTES)))
