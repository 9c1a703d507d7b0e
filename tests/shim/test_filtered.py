# SPDX-License-Identifier: BSD-2-Clause
"""A filter that was in force before the program started never kills it for a call of ours: where nobody
vouches for our calls nothing is done, and where they are known to be allowed all is as ever."""

import os
import re
import struct
import sys
import tempfile
import unittest

import harness
import programs

KILL, ALLOW = 0x80000000, 0x7fff0000
RARE = (310, 311, 101, 272, 308, 321)  # process_vm_*, ptrace, unshare, setns, bpf
FTRUNCATE = 77

# Takes a filter in, as hexadecimal digits, and becomes the program given.
LOCK_IN = r"""
import ctypes, os, struct, sys
prog = bytes.fromhex(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(prog)
fprog = struct.pack("HxxxxxxQ", len(prog) // 8, ctypes.addressof(buf))
if os.environ.get("PRELOAD_THEN"):
    os.environ["LD_PRELOAD"] = os.environ.pop("PRELOAD_THEN")
argv = sys.argv[2:]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, fprog, 0, 0) == 0, ctypes.get_errno()
os.execv(argv[0], argv)
"""
VICTIM = os.path.join(harness.ROOT, "build", "release", "tests", "programs", "victim_early_answer")


def filter_of(listed, verdict, otherwise):
    """A filter that has one verdict for the calls listed."""
    listed = sorted(listed)
    prog = struct.pack("HBBI", 0x20, 0, 0, 0)
    for i, nr in enumerate(listed):
        prog += struct.pack("HBBI", 0x15, len(listed) - i, 0, nr)
    prog += struct.pack("HBBI", 0x06, 0, 0, otherwise) + struct.pack("HBBI", 0x06, 0, 0, verdict)
    return prog.hex()


def upgrade(port, *paths):
    heads = []
    for path in paths:
        with harness.Client(port) as client:
            client.send(harness.handshake_bytes(path))
            heads.append(client.recv_head())
    return heads


class Filtered(unittest.TestCase):
    def server(self, prog, *words, wrap=(), **env):
        port = harness.free_port()
        command = [w.replace("{port}", str(port)) for w in words]
        server = harness.Server([*wrap, sys.executable, "-c", LOCK_IN, prog, *command], port, shim=False)
        server.extra_env.update({"SHAKEDOWN_TRACE": server.trace, **env})
        return server, port

    def watch(self, prog, *words, seen=False, **options):
        """Start, try an upgrade that works and one that is refused; the server must live."""
        server, port = self.server(prog, *words, **options)
        with server:
            upgrade(port, "/ws", "/ws?spoil=reject")
            self.assertIsNone(server.process.poll())
            if not seen:
                return server
            refused = harness.wait_for(lambda: [
                x for x in harness.exchanges(harness.report(server.trace)) if x["status"] == 401])
            finding = refused[0]["findings"][0]
            self.assertEqual(finding["id"], "upgrade-rejected")
            if os.geteuid() == 0 or os.access("/proc/self/mem", os.R_OK):
                self.assertEqual(finding["blame"]["function"], "auth")
        return server

    @staticmethod
    def as_process_1():
        unshare = ["unshare", "-pfm" if os.geteuid() == 0 else "-rpfm", "--mount-proc"]
        if programs.run(*unshare, "true").returncode:
            harness.skip("no-namespaces")
        return unshare

    def test_a_container_that_kills_for_rare_calls_is_watched_and_blamed(self):
        self.watch(filter_of(RARE, KILL, ALLOW), VICTIM, "{port}", PRELOAD_THEN=harness.LIB,
                   container="docker", wrap=self.as_process_1(), seen=True)

    def test_a_filter_that_process_1_has_not_is_no_containers(self):
        self.watch(filter_of((FTRUNCATE,), KILL, ALLOW), VICTIM, "{port}", PRELOAD_THEN=harness.LIB,
                   container="docker")

    def test_behind_the_command_such_a_filter_is_tried_out_and_the_server_watched(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = os.path.join(folder, "t")
            server, port = self.server(filter_of(RARE, KILL, ALLOW), harness.SHAKEDOWN, "run", "-q",
                                       "-o", trace, "--", VICTIM, "{port}")
            with server:
                upgrade(port, "/ws", "/ws?spoil=reject")
                self.assertIsNone(server.process.poll())
                harness.wait_for(lambda: [
                    x for x in harness.exchanges(harness.report(trace)) if x["status"] == 401])

    def test_a_second_filter_nobody_vouched_for_is_kept_away_from(self):
        """The first one was tried by the command; behind it the server's own wrapper adds another."""
        with tempfile.TemporaryDirectory() as folder:
            trace = os.path.join(folder, "t")
            server, port = self.server(filter_of(RARE, KILL, ALLOW), harness.SHAKEDOWN, "run", "-q",
                                       "-o", trace, "--", sys.executable, "-c", LOCK_IN,
                                       filter_of((FTRUNCATE,), KILL, ALLOW), VICTIM, "{port}")
            with server:
                self.assertEqual(upgrade(port, "/ws")[0].status, 101)
                self.assertIsNone(server.process.poll())

    def test_a_filter_made_of_the_servers_own_calls_lets_it_live(self):
        """Whatever the bare server calls, and nothing else."""
        with tempfile.TemporaryDirectory() as folder:
            log, port = os.path.join(folder, "calls"), harness.free_port()
            with harness.Server(["strace", "-f", "-n", "-o", log, VICTIM, str(port)], port, shim=False):
                upgrade(port, "/ws", "/ws?spoil=reject")
            with open(log, encoding="utf-8") as lines:
                own = {int(n) for n in re.findall(r"^\d+ +\[ *(\d+)\] \w+\(", lines.read(), re.M)}
        self.assertIn(59, own)  # execve
        self.assertNotIn(FTRUNCATE, own)
        server = self.watch(filter_of(own, ALLOW, KILL), VICTIM, "{port}", PRELOAD_THEN=harness.LIB)
        self.assertFalse(os.path.exists(server.trace))

    def test_the_command_says_which_call_the_filter_kills_for_and_runs_on(self):
        with tempfile.TemporaryDirectory() as folder:
            done = programs.run(sys.executable, "-c", LOCK_IN, filter_of((FTRUNCATE,), KILL, ALLOW),
                                harness.SHAKEDOWN, "run", "--", "/bin/sh", "-c", "exit 7", cwd=folder)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("kills for ftruncate", done.stderr)
        self.assertIn("SystemCallErrorNumber", done.stderr)

    def test_rules_are_refused_where_the_library_is_not_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            done = programs.run(sys.executable, "-c", LOCK_IN, filter_of((FTRUNCATE,), KILL, ALLOW),
                                harness.SHAKEDOWN, "run", "--rule", "rx:short", "--", "/bin/sh",
                                "-c", "exit 7", cwd=folder)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("cannot be put in force: blind: a seccomp filter", done.stderr)

    def test_every_call_of_the_librarys_own_is_tried_by_the_command(self):
        made = set()
        for folder in ("engine", "libc"):
            for name in sorted(os.listdir(os.path.join(harness.ROOT, "shim", folder))):
                if name.endswith((".c", ".h")):
                    with open(os.path.join(harness.ROOT, "shim", folder, name), encoding="utf-8") as f:
                        made |= set(re.findall(r"sys_(?:call|[1-6])\(SYS_(\w+)", f.read()))
        with open(os.path.join(harness.ROOT, "tools", "verb", "launch_filter.c"), encoding="utf-8") as f:
            tried = set(re.findall(r"TRY\((\w+)", f.read())) - {"name"}
        self.assertTrue({"openat", "getsockopt", "ftruncate"} <= made)
        # Under a filter memory is read in another way, and what an exec would do is not asked.
        self.assertEqual(made - tried, {"process_vm_readv", "openat2", "execveat"})
        with open(os.path.join(harness.ROOT, "docs", "recipes", "systemd.md"), encoding="utf-8") as f:
            page = f.read()
        self.assertEqual([n for n in sorted(tried) if not re.search(r"\b%s\b" % n, page)], [])


if __name__ == "__main__":
    unittest.main()
