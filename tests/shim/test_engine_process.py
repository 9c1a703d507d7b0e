# SPDX-License-Identifier: BSD-2-Clause
"""Processes fork, change their rights, lock themselves in, run out of disk, are killed."""

import os
import resource
import subprocess
import unittest

import harness
import programs
import tracefile
from engine import PLAIN, REQUEST, EngineCase, read_all, read_sparse, until_end

ONE = "c, _ = s.accept()\n"
UPGRADE = "head(c)\nc.sendall(SWITCH)\nc.close()\n"

# A filter that lets the process do what it does itself and kills it for what only the engine does.
SECCOMP = r"""
libc = ctypes.CDLL(None, use_errno=True)
forbidden = [55, 310, 28, 186, 228, 52, 51, 257, 16, 39]  # getsockopt, process_vm_readv, madvise,
# gettid, clock_gettime, getpeername, getsockname, openat, ioctl, getpid
prog = struct.pack("HBBI", 0x20, 0, 0, 0)
for i, nr in enumerate(forbidden):
    prog += struct.pack("HBBI", 0x15, len(forbidden) - i, 0, nr)
prog += struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000) + struct.pack("HBBI", 0x06, 0, 0, 0x80000000)
buf = ctypes.create_string_buffer(prog)
fprog = struct.pack("HxxxxxxQ", len(prog) // 8, ctypes.addressof(buf))
def lock_in():
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, fprog, 0, 0) == 0, ctypes.get_errno()
"""


class Processes(EngineCase):
    def test_a_forked_child_records_what_it_inherited_in_a_file_of_its_own(self):
        self.start(ONE + "pid = os.fork()\nif pid == 0:\n    " + UPGRADE.replace("\n", "\n    ") +
                   "os._exit(7)\nc.close()\nsay(pid)\nos.waitpid(pid, 0)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        pid = int(self.hear())
        parent = self.end()
        (child,) = [t for t in tracefile.load(self.trace) if t.header.pid == pid]
        self.assertEqual(parent.conns(), [])
        self.assertEqual([(r.what, r.arg) for r in parent.of("process")][0], (tracefile.FORKED, pid))
        self.assertEqual([(r.what, r.arg) for r in child.of("process")][0],
                         (tracefile.BORN, parent.header.pid))
        (opened,) = child.of("open")
        self.assertEqual((opened.origin, opened.inherited_from), (tracefile.INHERITED, 1))
        self.assertEqual(child.stream(opened.conn, tracefile.RX), REQUEST)
        self.assertEqual((child.header.ended, child.header.exit_code), (1, 7))
        self.assertEqual(child.header.ppid, parent.header.pid)

    def test_a_worker_that_gave_up_its_rights_still_records(self):
        uid = 65534 if os.geteuid() == 0 else os.geteuid()
        self.start("pid = os.fork()\nif pid == 0:\n    os.setuid(%d)\n    c, _ = s.accept()\n    " % uid +
                   UPGRADE.replace("\n", "\n    ") + "os._exit(0)\nsay(pid)\nos.waitpid(pid, 0)\n")
        pid = int(self.hear())
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        self.end()
        (child,) = [t for t in tracefile.load(self.trace) if t.header.pid == pid]
        self.assertEqual(child.stream(child.conns()[0], tracefile.RX), REQUEST)
        self.assertIn((tracefile.SETUID, uid), [(r.what, r.arg) for r in child.of("process")])

    def test_a_child_of_a_child_has_a_file_too(self):
        self.start("if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        say(os.getpid())\n"
                   "        c, _ = s.accept()\n        head(c)\n        c.sendall(SWITCH)\n        os._exit(0)\n"
                   "    os._exit(0)\nos.wait()\n")
        pid = int(self.hear())
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        (grandchild,) = [t for t in tracefile.load(self.trace) if t.header.pid == pid]
        self.assertEqual(grandchild.stream(grandchild.conns()[0], tracefile.RX), REQUEST)
        self.end()

    def test_what_was_published_before_a_kill_is_there(self):
        self.start("while True:\n    c, _ = s.accept()\n    " + UPGRADE.replace("\n", "\n    ") + "\n")
        for _ in range(20):
            c = self.connect()
            c.sendall(REQUEST)
            until_end(c)
        t = self.kill()
        switched = [r for r in t.of("data", dir=tracefile.TX) if r.bytes.startswith(b"HTTP/1.1 101")]
        self.assertEqual(len(switched), 20)
        self.assertEqual(t.header.ended, 0)

    def test_an_exit_status_is_recorded(self):
        self.start("os._exit(3)\n")
        t = self.end(3)
        self.assertEqual((t.header.ended, t.header.exit_code), (1, 3))
        self.assertEqual([(r.what, r.arg) for r in t.of("process")], [(tracefile.EXITED, 3)])

    def test_the_header_says_whose_trace_it_is(self):
        self.start("go()\n")
        self.tell()
        t = self.end()
        self.assertEqual(os.path.realpath(t.header.exe), os.path.realpath("/usr/bin/python3"))
        with open("/proc/sys/kernel/random/boot_id") as f:
            self.assertEqual(t.header.boot_id.hex(), f.read().strip().replace("-", ""))
        self.assertEqual("net:[%d]" % t.header.netns, os.readlink("/proc/self/ns/net"))
        self.assertEqual(os.stat(t.path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.trace).st_mode & 0o777, 0o700)
        self.assertEqual(os.path.basename(t.path), "%d-%d-%d.trace" % (
            t.header.pid, t.header.start_ticks, t.header.t_load))

    def test_a_process_that_locks_itself_in_is_not_killed_for_our_calls(self):
        self.start(SECCOMP + ONE + "head(c)\nc.sendall(SWITCH)\ns.setblocking(True)\nlock_in()\n"
                   "os.write(c.fileno(), b'\\x81\\x02hi')\nos.close(c.fileno())\n"
                   "import _socket\nfd, _ = _socket.socket._accept(s)\n"
                   "os.read(fd, 999)\nos.write(fd, SWITCH)\nos.close(fd)\n"
                   "if os.fork() == 0:\n    os._exit(0)\n"
                   "os.wait()\nos._exit(0)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual(t.header.coverage, tracefile.PARTIAL)
        self.assertEqual(t.header.coverage_reasons, tracefile.REASON["seccomp"])
        self.assertIn(tracefile.SECCOMP, [r.what for r in t.of("process")])
        self.assertEqual(len(t.conns()), 1)


class Stacks(EngineCase):
    LOOP = "for i in range(60):\n    c, _ = s.accept()\n    head(c)\n    c.sendall(SWITCH)\n    c.close()\n"

    def upgrades(self):
        self.start(self.LOOP)
        for _ in range(60):
            c = self.connect()
            c.sendall(REQUEST)
            until_end(c)
        return self.end()

    def test_the_same_way_through_the_program_is_stored_once(self):
        t = self.upgrades()
        stacks = t.of("stack")
        self.assertEqual(len({r.id for r in stacks}), len(stacks))
        # The interpreter's stack holds a few words that differ from round to round.
        self.assertLess(len(stacks), 60)
        accepts = {r.stack for r in t.of("open")}
        self.assertLessEqual(len(accepts), 3)
        self.assertNotIn(0, {r.stack for r in t.of("close")})

    def test_every_word_of_a_stack_is_an_address_of_code_or_of_the_stack(self):
        t = self.upgrades()
        code = [(m.start, m.end) for m in t.modules]
        for r in t.of("stack"):
            sp, words = r.reg[7], [w for w in r.word if w] + [v for v in r.reg if v]
            for w in words:
                inside = sp <= w < sp + 16384
                self.assertTrue(inside or any(a <= w < b for a, b in code), hex(w))
            self.assertTrue(any(a <= r.reg[16] < b for a, b in code))

    def test_modules_have_their_build_ids(self):
        t = self.upgrades()
        ids = {os.path.basename(m.path): m.build_id for m in t.modules}
        for path in ("/lib/x86_64-linux-gnu/libc.so.6", t.header.library):
            self.assertTrue(ids[os.path.basename(os.path.realpath(path))])
            notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True).stdout
            self.assertIn("Build ID: " + ids[os.path.basename(os.path.realpath(path))], notes)
        self.assertTrue(t.header.library.endswith("libshakedown.so"), t.header.library)

    def test_code_loaded_later_is_in_the_list_when_its_stack_is(self):
        self.start(ONE + "head(c)\nlib = ctypes.CDLL('libz.so.1')\nc.sendall(SWITCH)\n")
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertTrue(any("libz" in m.path for m in t.modules), [m.path for m in t.modules])


class Trouble(EngineCase):
    def upgrade(self, n=1):
        for _ in range(n):
            c = self.connect()
            c.sendall(REQUEST)
            self.assertTrue(until_end(c).startswith(b"HTTP/1.1 101"))

    def test_the_older_half_makes_room_for_the_younger(self):
        self.start("for i in range(300):\n    c, _ = s.accept()\n    head(c)\n"
                   "    c.sendall(b'HTTP/1.1 403 No\\r\\nContent-Length: 12000\\r\\n\\r\\n' + b'n' * 12000)\n    c.close()\n",
                   SHAKEDOWN_MAX_TRACE="5M")
        for i in range(300):
            c = self.connect()
            c.sendall(REQUEST.replace(b"/ws", b"/ws%03d" % i))
            until_end(c)
        t = self.end()
        self.assertGreater(t.header.discarded_halves, 0)
        self.assertEqual(t.header.lost_events, 0)
        self.assertIn(b"GET /ws299 ", b"".join(r.bytes for r in t.of("data")))
        self.assertNotIn(b"GET /ws000 ", b"".join(r.bytes for r in t.of("data")))
        opened = {r.conn for r in t.of("open")}
        self.assertTrue({r.conn for r in t.of("data")} <= opened)
        self.assertEqual({r.padding.strip(b"\0") for r in t.of("data")}, {b""})
        self.assertLessEqual(t.size, 5 << 20)

    def test_the_first_events_stay_when_asked_for(self):
        self.start("for i in range(300):\n    c, _ = s.accept()\n    head(c)\n"
                   "    c.sendall(b'HTTP/1.1 403 No\\r\\nContent-Length: 12000\\r\\n\\r\\n' + b'n' * 12000)\n    c.close()\n",
                   SHAKEDOWN_MAX_TRACE="5M", SHAKEDOWN_KEEP="first")
        for i in range(300):
            c = self.connect()
            c.sendall(REQUEST.replace(b"/ws", b"/ws%03d" % i))
            until_end(c)
        t = self.end()
        self.assertEqual(t.header.discarded_halves, 0)
        self.assertGreater(t.header.lost_events, 0)
        self.assertTrue(t.header.coverage_reasons & tracefile.REASON["lost"])
        self.assertIn(b"GET /ws000 ", b"".join(r.bytes for r in t.of("data")))

    def test_a_full_disk_never_hurts_the_server(self):
        disk = os.path.join(self.dir, "disk")
        os.mkdir(disk)
        mount = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        self.trace = os.path.join(disk, "trace")
        # The trace is copied out of the mount namespace before it goes away.
        self.start("for i in range(400):\n    c, _ = s.accept()\n    head(c)\n"
                   "    c.sendall(b'HTTP/1.1 403 No\\r\\nContent-Length: 9000\\r\\n\\r\\n' + b'n' * 9000)\n    c.close()\n"
                   "import shutil\nshutil.copytree(%r, %r)\n" % (self.trace, os.path.join(self.dir, "copy")),
                   wrap=[*mount, "sh", "-c", 'mount -t tmpfs -o size=1800k tmpfs %s && exec "$@"' % disk, "sh"])
        for _ in range(400):
            c = self.connect()
            c.sendall(REQUEST)
            self.assertEqual(len(until_end(c)), 41 + 9000)
        self.trace = os.path.join(self.dir, "copy")
        t = self.end()
        self.assertEqual(t.header.coverage, tracefile.PARTIAL)
        self.assertTrue(t.header.coverage_reasons & tracefile.REASON["disk"])
        self.assertGreater(t.header.lost_events, 0)
        self.assertGreater(len(t.of("data")), 20)

    def test_a_trace_that_cannot_be_created_never_hurts_the_server(self):
        self.trace = os.path.join(self.dir, "no", "such", "folder")
        self.start("for i in range(9):\n    " + (ONE + UPGRADE).replace("\n", "\n    ") + "\n")
        self.upgrade(9)
        self.assertEqual(self.child.wait(), 0)
        self.assertLessEqual(self.child.stderr.read().count("\n"), 1)
        self.assertFalse(os.path.exists(self.trace))

    def test_a_limit_on_file_sizes_is_kept_without_a_signal(self):
        limit = 7 << 20
        self.start(ONE + UPGRADE, wrap=["prlimit", "--fsize=%d" % limit])
        self.upgrade()
        t = self.end()
        self.assertLessEqual(t.size, limit)
        self.assertEqual(len(t.conns()), 1)

    def test_a_limit_too_small_for_a_trace_leaves_the_server_alone(self):
        self.start(ONE + UPGRADE, wrap=["prlimit", "--fsize=65536"])
        self.upgrade()
        self.assertEqual(self.child.wait(), 0)
        self.assertEqual(tracefile.load(self.trace), [])

    def test_an_existing_file_of_that_name_is_left_alone(self):
        os.mkdir(self.trace)
        os.symlink("/nonexistent", os.path.join(self.trace, "x"))
        self.start(ONE + UPGRADE)
        self.upgrade()
        self.end()
        self.assertEqual(sorted(os.path.islink(os.path.join(self.trace, n)) for n in os.listdir(self.trace) if not n.endswith('.control')),
                         [False, True])

    def test_wrong_settings_cost_one_line_and_nothing_else(self):
        for name, value, words in (("SHAKEDOWN_TRACEE", "x", "is no setting of shakedown"),
                                   ("SHAKEDOWN_MAX_TRACE", "12Q", "is no size"),
                                   ("SHAKEDOWN_ALL", "maybe", "neither on nor off"),
                                   ("SHAKEDOWN_KEEP", "middle", "neither first nor last")):
            with self.subTest(name):
                self.start(ONE + UPGRADE, **{name: value})
                self.upgrade()
                self.assertEqual(self.child.wait(), 0)
                line = self.child.stderr.read()
                self.assertEqual(line.count("\n"), 1, line)
                self.assertIn(words, line)
                self.assertIn(name, line)
                self.assertEqual(tracefile.load(self.trace), [])

    def test_the_page_about_the_environment_is_up_to_date(self):
        tell = programs.build(os.path.join(harness.ROOT, "docs", "gen", "environment_md.c"),
                              name="environment_md")
        with open(os.path.join(harness.ROOT, "docs", "environment.md"), encoding="utf-8") as page:
            self.assertEqual(page.read(), programs.run(tell).stdout, "see docs/gen/environment_md.c")

    def test_told_to_be_off_it_is_off_and_silent(self):
        self.start(ONE + UPGRADE, SHAKEDOWN="off")
        self.upgrade()
        self.assertEqual(self.child.wait(), 0)
        self.assertEqual(self.child.stderr.read(), "")
        self.assertFalse(os.path.exists(self.trace))

    def test_without_a_configured_place_the_trace_is_named_after_the_program(self):
        self.start(ONE + UPGRADE, SHAKEDOWN_TRACE=None)
        self.upgrade()
        self.trace = os.path.join(self.dir, os.path.basename(os.path.realpath("/usr/bin/python3")) + ".trace")
        self.assertEqual(len(self.end().conns()), 1)

    def test_many_partial_heads_exhaust_the_pool_and_are_told_as_lost(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 1024:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2048), hard))
        self.start("k = []\nfor i in range(300):\n    k.append(s.accept()[0])\n    k[i].recv(9)\nsay(1)\ngo()\n")
        clients = []
        for _ in range(300):
            clients.append(self.connect())
            clients[-1].sendall(PLAIN[:9])
        self.hear()
        self.tell()
        t = self.end()
        self.assertEqual(t.header.lost_events, 50)


if __name__ == "__main__":
    unittest.main()
