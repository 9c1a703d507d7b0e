# SPDX-License-Identifier: BSD-2-Clause
"""Programs that load no libraries are watched through the injected door, and cannot tell."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import harness
import programs
from test_filtered import ALLOW, KILL, LOCK_IN, filter_of

REFUSE = 0x00050001  # EPERM
PTRACE, MEMFD_CREATE = 101, 319


def static(source, *flags, cc="gcc"):
    how = () if "-static-pie" in flags else ("-static",)
    return programs.build(source, *how, *flags, cc=cc,
                          name="-".join([source[:-2], cc, *flags]).replace("=", "-"))


def show(cc="gcc", *flags):
    return static("static_show.c", *flags, cc=cc)


class Run(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-injected-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.trace = os.path.join(self.dir, "t")

    def words(self, *command, options=()):
        return [harness.SHAKEDOWN, "run", "-o", self.trace, *options, "--", *command]

    def run_it(self, *command, options=(), wrap=(), **more):
        self.trace = tempfile.mkdtemp(dir=self.dir)
        return subprocess.run([*wrap, *self.words(*command, options=options)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False, **more)

    @staticmethod
    def refusing(*calls):
        return [sys.executable, "-c", LOCK_IN, filter_of(calls, REFUSE, ALLOW)]


class Transparent(Run):
    """Nothing the program could notice is different."""

    def both(self, *command, **more):
        """What it prints and how it ends, without and with the injection."""
        bare = self.run_it(*command, options=("--door", "libc"), **more)
        seen = self.run_it(*command, **more)
        self.assertNotIn("cannot be put", seen.stderr)
        # Each run has a folder of its own.
        return [(d.returncode, re.sub(r"(SHAKEDOWN_(?:TRACE|CONTROL)=).*", r"\1", d.stdout))
                for d in (bare, seen)]

    def test_arguments_environment_vector_descriptors_signals_and_name_are_as_ever(self):
        for build in (("gcc",), ("gcc", "-static-pie"), ("musl-gcc",)):
            with self.subTest(build):
                bare, seen = self.both(show(*build), "show", "a b", "")
                self.assertEqual(bare, seen)
                self.assertIn("arg a b\narg \nenv ", seen[1])
                self.assertIn("TracerPid:\t0", seen[1])

    def test_what_the_launcher_ignores_or_blocks_stays_so(self):
        wrap = [sys.executable, "-c", "import os, signal, sys\n"
                "signal.signal(signal.SIGTRAP, signal.SIG_IGN)\n"
                "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGALRM])\n"
                "os.execv(sys.argv[1], sys.argv[1:])"]
        bare, seen = self.both(show(), "show", wrap=wrap)
        self.assertEqual(bare, seen)
        self.assertIn("SigBlk:\t%016x" % (1 << 11 | 1 << 13), seen[1])

    def test_the_library_is_in_it(self):
        self.assertIn("r-xp", self.run_it(show(), "library").stdout)
        self.assertEqual(self.run_it(show(), "library", options=("--door", "libc")).stdout, "")

    def test_no_page_is_writable_and_executable(self):
        for line in self.run_it(show(), "library").stdout.splitlines():
            self.assertNotRegex(line, r" .w.?x")

    def test_exit_statuses_and_signals_are_passed_on(self):
        self.assertEqual(self.run_it(show(), "exit", "7").returncode, 7)
        self.assertEqual(self.run_it(show(), "kill", "15").returncode, 128 + 15)
        self.assertEqual(self.run_it(show(), "kill", "9").returncode, 128 + 9)

    def test_standard_input_and_output_are_the_launchers(self):
        for build in (("gcc",), ("musl-gcc",)):
            self.assertEqual(self.run_it(show(*build), "copy", input="here\n" * 5000).stdout,
                             "here\n" * 5000)

    def test_an_exec_that_fails_leaves_the_arguments_alone(self):
        for build in (("gcc",), ("musl-gcc",)):
            self.assertEqual(self.run_it(show(*build), "failing").stdout, "-1 2 failing\n")

    def test_a_path_or_arguments_that_are_not_there_are_the_kernels_to_refuse(self):
        for cc in ("gcc", "musl-gcc"):
            with self.subTest(cc):
                done = self.run_it(static("exec_pointers.c", cc=cc))
                self.assertEqual((done.returncode, done.stdout), (0, "EFAULT\n"), done.stderr)

    def test_a_program_that_cannot_be_executed_is_as_ever(self):
        path = os.path.join(self.dir, "cut")
        with open(show(), "rb") as whole, open(path, "wb") as cut:
            cut.write(whole.read()[:200])
        os.chmod(path, 0o755)
        done = self.run_it(path)
        self.assertEqual(done.returncode, 126, done.stderr)

    def test_the_library_started_like_a_program_says_what_it_is(self):
        done = programs.run(harness.LIB)
        self.assertEqual(done.returncode, 0)
        self.assertIn("is no program", done.stderr)


class Forbidden(Run):
    """What forbids the injection is said, and the program runs."""

    def test_without_ptrace_a_copy_brings_the_library_along(self):
        for build in (("gcc",), ("gcc", "-static-pie"), ("musl-gcc",)):
            with self.subTest(build):
                done = self.run_it(show(*build), "library", wrap=self.refusing(PTRACE))
                self.assertIn("r-xp", done.stdout)
                self.assertIn("a seccomp filter forbids ptrace", done.stderr)
                self.assertIn("/proc/self/exe names the copy", done.stderr)

    def test_a_copy_finds_the_same_vector_and_its_own_name(self):
        bare = self.run_it(show(), "show", options=("--door", "libc")).stdout
        copy = self.run_it(show(), "show", wrap=self.refusing(PTRACE)).stdout
        for kind in ("arg ", "aux ", "fd ", "Name:"):
            self.assertEqual(*[[l for l in text.splitlines() if l.startswith(kind)]
                               for text in (bare, copy)])

    def test_a_copy_costs_no_program_the_rights_of_its_stack(self):
        """The only header left to spare says whether the stack may be executed."""
        for rights, told in ((6, "/proc/self/exe names the copy"), (7, "no program header to spare")):
            with self.subTest(rights):
                with open(show(), "rb") as file:
                    code = bytearray(file.read())
                phoff, = struct.unpack_from("<Q", code, 32)
                for i in range(struct.unpack_from("<H", code, 56)[0]):
                    at = phoff + i * 56
                    kind, = struct.unpack_from("<I", code, at)
                    if kind in (4, 0x6474e553):
                        struct.pack_into("<I", code, at, 0x60000001)
                    elif kind == 0x6474e551:
                        struct.pack_into("<I", code, at + 4, rights)
                path = os.path.join(self.dir, "stack%d" % rights)
                with open(path, "wb") as file:
                    file.write(code)
                os.chmod(path, 0o755)
                done = self.run_it(path, "exit", "5", wrap=self.refusing(PTRACE))
                self.assertEqual(done.returncode, 5, done.stderr)
                self.assertIn(told, done.stderr)

    def test_a_file_that_may_only_be_executed_is_named_as_the_reason(self):
        who = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        os.chmod(self.dir, 0o777)
        for name, program in (("static", show()), ("dynamic", programs.build("ended.c"))):
            with self.subTest(name):
                path = os.path.join(self.dir, name)
                shutil.copy(program, path)
                os.chmod(path, 0o111)
                self.trace = os.path.join(self.dir, "seen-" + name)
                done = subprocess.run(self.words(path, "exit", "5"), stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                                      **who)
                self.assertIn("its file may not be read", done.stderr)
                self.assertRegex(done.stderr, "blind: nothing was seen of .* may not be read.*chmod")
                self.assertNotIn("setuid", done.stderr)

    def test_where_nothing_works_the_program_runs_unwatched_and_both_reasons_are_said(self):
        library = os.path.join(self.dir, "libshakedown.so")
        shutil.copy(harness.LIB, library)
        os.chmod(library, 0o644)
        done = self.run_it(show(), "exit", "9", wrap=self.refusing(PTRACE),
                           env=dict(os.environ, SHAKEDOWN_LIB=library))
        self.assertEqual(done.returncode, 9)
        self.assertRegex(done.stderr, r"blind: .*seccomp filter forbids ptrace.*, and .*libshakedown"
                                      r"\.so may not be executed.*it runs unwatched")
        self.assertIn("nothing was seen", done.stderr)

    def test_who_traces_it_already_is_named(self):
        log = os.path.join(self.dir, "strace")
        done = self.run_it(show(), "library", wrap=["strace", "-f", "-o", log])
        self.assertRegex(done.stderr, r"process \d+ \(a debugger, strace\) traces it already")
        self.assertIn("r-xp", done.stdout)

    def test_a_filter_that_kills_for_ptrace_or_memory_files_kills_nobody(self):
        for calls in ((PTRACE,), (PTRACE, MEMFD_CREATE)):
            with self.subTest(calls):
                killing = [sys.executable, "-c", LOCK_IN, filter_of(calls, KILL, ALLOW)]
                done = self.run_it(show(), "library", wrap=killing)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("a seccomp filter kills for ptrace", done.stderr)
                self.assertIn("r-xp", done.stdout)
                self.assertEqual(self.run_it("/bin/sh", "-c", show() + " exit 4; exit $?",
                                             wrap=killing).returncode, 4)

    def test_a_door_that_does_not_fit_is_refused(self):
        done = self.run_it("/bin/true", options=("--door", "inject"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("loads libraries by itself", done.stderr)


class Carried(Run):
    """What a watched process executes is watched, too."""

    def check(self, *command, times=1):
        done = self.run_it(*command)
        self.assertEqual(done.stdout.count(" r--p 00000000 "), times, done)

    def test_from_a_shell(self):
        self.check("/bin/sh", "-c", "%s library; true" % show())
        self.check("/bin/sh", "-c", "exec %s library" % show("musl-gcc"))

    def test_from_python_however_it_executes(self):
        self.check(sys.executable, "-c", "import os, subprocess, sys\n"
                   "p, name = sys.argv[1], os.path.basename(sys.argv[1])\n"
                   "subprocess.run([p, 'library'])\n"
                   "os.environ['PATH'] = os.path.dirname(p) + ':' + os.environ['PATH']\n"
                   "os.waitpid(os.posix_spawnp(name, ['x', 'library'], {}), 0)\n"
                   "if not os.fork(): os.execvp(name, ['x', 'library'])\n"
                   "os.wait()\n"
                   "os.execv(p, ['x', 'library'])", show(), times=4)

    def test_from_a_static_program_to_a_static_one_and_to_a_dynamic_one(self):
        for build in (("gcc",), ("musl-gcc",)):
            self.check(show(*build), "exec", show(), "library")
            done = self.run_it(show(*build), "exec", "/bin/grep", "libshakedown.so", "/proc/self/maps")
            self.assertIn("r-xp", done.stdout)

    def test_through_a_script_whose_interpreter_is_static(self):
        script = os.path.join(self.dir, "script")
        with open(script, "w", encoding="ascii") as f:
            f.write("#!%s library\n" % show())
        os.chmod(script, 0o755)
        self.check("/bin/sh", "-c", "%s; true" % script)
        self.check(script)

    def test_the_process_and_its_words_are_the_same(self):
        done = self.run_it(sys.executable, "-c", "import os, subprocess, sys\n"
                           "p = subprocess.Popen(['zero', 'show', 'a b'], executable=sys.argv[1],\n"
                           "                     stdout=subprocess.PIPE, text=True)\n"
                           "out = p.communicate()[0]\n"
                           "print(out, p.returncode)\n"
                           "try: os.wait()\n"
                           "except ChildProcessError: print('no other child')", show())
        self.assertIn("arg zero\narg show\narg a b\n", done.stdout)
        self.assertIn("TracerPid:\t0", done.stdout)
        self.assertIn(" 0\nno other child", done.stdout)

    def test_an_exec_that_cannot_be_keeps_its_errno(self):
        plain = os.path.join(self.dir, "plain")
        shutil.copy(show(), plain)
        os.chmod(plain, 0o644)
        done = self.run_it(sys.executable, "-c", "import os, sys\n"
                           "for p in sys.argv[1:]:\n"
                           "    try: os.execv(p, ['x'])\n"
                           "    except OSError as e: print(e.errno)", plain, "/does/not/exist")
        self.assertEqual(done.stdout.split(), ["13", "2"])


class Servers(Run):
    """Their upgrades are in the report, the healthy and the spoiled."""

    def watch(self, program, wrap=()):
        server = harness.Server([program, "{port}"], harness.free_port(), shim="run")
        if wrap:
            server.cmd = [*wrap, harness.SHAKEDOWN, "run", "-o", server.trace, "--", *server.cmd]
            server.shim = False
        with server:
            for path in ("/good", "/bad"):
                with harness.Client(server.port) as client:
                    client.send(harness.handshake_bytes(path, key=harness.SAMPLE_KEY))
                    client.recv_head()
            found = harness.wait_for(lambda: [
                x for x in harness.exchanges(server.report()) if x["status"] == 200])
            server.terminate()
            self.assertEqual(found[0]["outcome"], "ignored")
            good = harness.attempt(server.report(), "/good")
            self.assertEqual((good["outcome"], harness.at_least(good, "warning")), ("upgraded", []))
            return server.report()["processes"][0]

    def test_of_glibc_and_of_musl_plain_position_independent_threaded_and_stripped(self):
        for build in ((), ("-static-pie",), ("-DTHREADS", "-pthread"), ("-s",)):
            for cc in ("gcc", "musl-gcc"):
                if cc == "musl-gcc" and build in (("-s",), ("-static-pie",)):
                    continue  # without symbols nothing is proven; its wrapper knows no static-pie
                with self.subTest(build=build, cc=cc):
                    process = self.watch(static("static_server.c", *build, cc=cc))
                    self.assertEqual(process["doors"], ["injected"])
                    self.assertIn(process["coverage"], ("full", "partial"))

    def test_through_a_copy(self):
        process = self.watch(static("static_server.c"), wrap=self.refusing(PTRACE))
        self.assertEqual(process["doors"], ["injected"])

    def test_a_server_whose_calls_cannot_be_found_is_blind_and_that_is_said_twice(self):
        program = static("static_server.c", "-s", cc="musl-gcc")
        with harness.Server([program, "{port}"], harness.free_port(), shim="run") as server:
            with harness.Client(server.port) as client:
                client.send(harness.handshake_bytes("/good", key=harness.SAMPLE_KEY))
                client.recv_head()
            server.terminate()
            self.assertIn("where it enters the kernel cannot be found", server.log_text())
            done = harness.shakedown("report", server.trace, "--format", "json")
            self.assertEqual(done.returncode, 3)
            process, = json.loads(done.stdout)["processes"]
            self.assertEqual((process["coverage"], process["exchanges"]), ("blind", []))

    def test_a_place_where_a_debugger_has_a_breakpoint_is_left_alone(self):
        """Whoever took the breakpoint away again would spoil a jump that lies there.  Of what somebody
        traces already, a copy is made, hence a second exec."""
        program = static("exec_pointers.c")
        code = subprocess.run(["objdump", "-d", program], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        place = re.search(r"<(?:__)?execve>:\n(?:.*endbr64.*\n)? *([0-9a-f]+):\tb8 3b ", code)[1]
        done = subprocess.run([programs.build("plant.c"), place, "2", harness.SHAKEDOWN, "carry",
                               "--", program, program], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False,
                              env=programs.environment(SHAKEDOWN_TRACE=self.trace))
        self.assertEqual((done.returncode, done.stdout), (0, "EFAULT\n"), done.stderr)
        report = harness.shakedown("report", self.trace, "--format", "json")
        process, = json.loads(report.stdout)["processes"]
        self.assertEqual(process["coverage"], "partial")
        self.assertIn("changed by somebody else", process["coverage_reason"])

    def test_a_debugger_may_attach_afterwards(self):
        with harness.Server([static("static_server.c"), "{port}"], harness.free_port(),
                            shim="run") as server:
            pid = next(p for p in harness.descendants(server.pid) if p != server.pid)
            tracer = subprocess.Popen(["strace", "-p", str(pid)], stderr=subprocess.PIPE, text=True)
            self.assertIn("attached", tracer.stderr.readline())
            with harness.Client(server.port) as client:
                client.send(harness.handshake_bytes("/good", key=harness.SAMPLE_KEY))
                self.assertEqual(client.recv_head().status, 101)
            tracer.terminate()
            self.assertIn("101 Switching", tracer.communicate(timeout=20)[1])


if __name__ == "__main__":
    unittest.main()
