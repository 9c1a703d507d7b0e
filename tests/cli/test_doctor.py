# SPDX-License-Identifier: BSD-2-Clause
#
# doctor: says truly what can be watched, and gives the exact command.

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import LIB, shakedown

GO = """
package main
func main() {}
"""


class Doctor(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def compile(self, name, *flags, cc="cc"):
        with open(self.path(name + ".c"), "w", encoding="ascii") as f:
            f.write("int main(void) { return 0; }\n")
        subprocess.run([cc, "-o", self.path(name), self.path(name + ".c"), *flags], check=True)
        return self.path(name)

    def ask(self, *args, **options):
        """Status, and {(about, check): (state, text)}."""
        done = shakedown("doctor", "--format", "json", *args, **options)
        data = json.loads(done.stdout)
        self.assertEqual(data["version"], 1)
        self.assertEqual(data["watchable"], done.returncode == 0)
        return done.returncode, {(c["about"], c["check"]): (c["state"], c["text"])
                                 for c in data["checks"]}

    def process(self, *argv, **options):
        """A process that waits until its stdin ends."""
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        self.addCleanup(p.wait)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stdin.close)
        self.assertEqual(p.stdout.read(1), b"+")
        return p

    WAITS = "import os, sys; os.write(1, b'+'); sys.stdin.read()"

    def test_this_machine_can_be_watched(self):
        status, checks = self.ask()
        self.assertEqual(status, 0)
        self.assertEqual(checks["machine", "library"], ("yes", os.path.realpath(LIB)))
        for name in ("kernel", "proc", "stacks", "symbols"):
            self.assertEqual(checks["machine", name][0], "yes", checks["machine", name])
        self.assertIn(("machine", "bpf"), checks)

    def test_text_and_json_say_the_same(self):
        text = shakedown("doctor", "true").stdout
        for (about, check), (state, said) in self.ask("true")[1].items():
            if check in ("trace", "tmpfs"):  # free space changes
                continue
            self.assertIn("this " + about, text)
            self.assertIn(said.splitlines()[0], text)
            self.assertIn({"yes": "yes", "no": "no", "note": "-"}[state], text)

    def test_a_missing_library_is_an_illness(self):
        status, checks = self.ask(env=dict(os.environ, SHAKEDOWN_LIB="/nowhere/lib.so"))
        self.assertEqual(status, 3)
        self.assertEqual(checks["machine", "library"][0], "no")
        self.assertIn("SHAKEDOWN_LIB", checks["machine", "library"][1])

    def test_a_dynamic_program_gets_the_command_that_watches_it(self):
        status, checks = self.ask("cat", "a b", "--help")
        self.assertEqual(status, 0)
        self.assertEqual(checks["command", "next"][1], harness.SHAKEDOWN + " run -- cat 'a b' --help")

    def test_a_filter_a_process_lives_under_is_told(self):
        locked = ("import ctypes, os, struct, sys\nlibc = ctypes.CDLL(None)\n"
                  "rule = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n"
                  "libc.prctl(38, 1, 0, 0, 0)\n"
                  "assert not libc.prctl(22, 2, struct.pack('HxxxxxxQ', 1, ctypes.addressof(rule)), 0, 0)\n")
        p = self.process(sys.executable, "-c", locked + self.WAITS)
        self.assertIn("through run", self.ask(str(p.pid))[1]["process", "seccomp"][1])
        p = self.process(sys.executable, "-c", self.WAITS)
        self.assertNotIn(("process", "seccomp"), self.ask(str(p.pid))[1])

    def test_a_static_program_can_be_watched_and_what_will_be_missed_is_said(self):
        status, checks = self.ask(self.compile("fixed", "-static"))
        self.assertEqual(status, 0)
        self.assertIn("through the injected door", checks["command", "watch"][1])
        self.assertRegex(checks["command", "partly"][1], r"static binary: \d+ of \d+ places")

    def test_a_static_program_that_proves_nothing_cannot_be_watched(self):
        status, checks = self.ask(self.compile("fixed", "-static", "-s", cc="musl-gcc"))
        self.assertEqual(status, 3)
        self.assertIn("cannot be found", checks["command", "watch"][1])
        self.assertIn("strip", checks["command", "remedy"][1])

    def test_a_musl_program_can_be_watched_and_is_called_so(self):
        status, checks = self.ask(self.compile("small", cc="musl-gcc"))
        self.assertEqual(status, 0)
        self.assertIn("musl", checks["command", "program"][1])

    def test_a_script_is_judged_by_its_interpreter(self):
        with open(self.path("script"), "w", encoding="ascii") as f:
            f.write("#!/usr/bin/env python3\n")
        os.chmod(self.path("script"), 0o755)
        status, checks = self.ask(self.path("script"), env=dict(os.environ, PATH="/usr/bin:/bin"))
        self.assertEqual(status, 0)
        self.assertIn("/usr/bin/python3", checks["command", "script"][1])

    def test_a_setuid_program_cannot_be_watched(self):
        if os.geteuid() == 0:
            program = self.compile("raised")
            os.chown(program, 65534, 65534)
            os.chmod(program, 0o4755)
        else:
            program = "/usr/bin/su"
        status, checks = self.ask(program)
        self.assertEqual(status, 3)
        self.assertIn("is setuid", checks["command", "watch"][1])
        self.assertIn("ignores LD_PRELOAD", checks["command", "remedy"][1])

    def test_a_go_program_is_called_so_with_its_version(self):
        go = shutil.which("go")
        if go is None:
            harness.skip("no-go")
        with open(self.path("main.go"), "w", encoding="ascii") as f:
            f.write(GO)
        for name, flags in (("plain", []), ("stripped", ["-ldflags", "-s -w"])):
            subprocess.run([go, "build", "-o", self.path(name), *flags, self.path("main.go")],
                           check=True, cwd=self.dir,
                           env=dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=mod", GO111MODULE="off",
                                    GOTOOLCHAIN="local"))
            status, checks = self.ask(self.path(name))
            self.assertEqual(status, 0)
            self.assertRegex(checks["command", "go"][1], r"go1\.\d+")
            self.assertIn("the Go door", checks["command", "watch"][1])

    def test_a_command_that_does_not_exist_is_an_illness(self):
        status, checks = self.ask("./no-such-server")
        self.assertEqual(status, 3)
        self.assertIn("no such file", checks["command", "watch"][1])

    def test_a_running_process_gets_the_command_that_restarts_it(self):
        os.mkdir(self.path("a folder"))
        argv = [sys.executable, "-c", self.WAITS, "it's", "--port", "80 80"]
        p = self.process(*argv, cwd=self.path("a folder"))
        status, checks = self.ask(str(p.pid))
        self.assertEqual(status, 0)
        self.assertIn("cannot be attached to", checks["process", "watched"][1])
        if ("process", "container") in checks or "systemctl" in checks["process", "next"][1]:
            return  # the unit of whoever runs the tests is restarted instead
        command = checks["process", "next"][1].split("\n", 1)[1]
        self.assertEqual(shlex.split(command),
                         ["cd", os.path.realpath(self.path("a folder")), "&&",
                          os.path.realpath(harness.SHAKEDOWN), "run", "--", *argv])

    def test_a_worker_is_restarted_through_its_master(self):
        code = ("import os, sys\n"
                "r, w = os.pipe()\n"
                "pid = os.fork()\n"
                "if pid == 0: os.write(w, b'x'); sys.stdin.read(); os._exit(0)\n"
                "os.read(r, 1); os.write(1, b'+%d\\n' % pid); sys.stdin.read(); os.wait()\n")
        master = self.process("/bin/sh", "-c", "exec \"$@\"", "sh", sys.executable, "-c", code)
        worker = master.stdout.readline().decode().strip()
        status, checks = self.ask(worker)
        self.assertEqual(status, 0)
        self.assertIn("runs the same program", checks["process", "master"][1])

    def test_a_process_that_has_the_library_is_recognised(self):
        p = self.process(sys.executable, "-c", self.WAITS,
                         env=harness.preload_env(self.path("here.trace")))
        status, checks = self.ask(str(p.pid))
        self.assertEqual(status, 0)
        self.assertEqual(checks["process", "watched"][0], "yes")
        self.assertEqual(checks["process", "trace"][1], self.path("here.trace"))

    def test_a_preload_that_did_not_work_is_noticed(self):
        p = self.process(sys.executable, "-c", self.WAITS, stderr=subprocess.DEVNULL,
                         env=dict(os.environ, LD_PRELOAD="/gone/libshakedown.so"))
        checks = self.ask(str(p.pid))[1]
        self.assertIn("the loader did not take it", checks["process", "environment"][1])

    def test_root_without_the_capability_is_told_its_name(self):
        if os.geteuid() != 0:
            self.assertIn("as root", shakedown("doctor", "1").stdout)
            return
        p = self.process(sys.executable, "-c", self.WAITS, user=65534, group=65534)
        done = subprocess.run(["setpriv", "--bounding-set=-all", harness.SHAKEDOWN, "doctor",
                               str(p.pid)], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertIn("CAP_SYS_PTRACE", done.stdout)
        self.assertNotIn("as root", done.stdout)

    def test_a_process_that_is_not_there(self):
        p = self.process(sys.executable, "-c", self.WAITS)
        p.stdin.close()
        p.wait()
        done = shakedown("doctor", str(p.pid))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stdout, "")
        self.assertIn("there is no process %d" % p.pid, done.stderr)

    def test_names_of_strangers_cannot_steer_the_terminal(self):
        p = self.process(sys.executable, "-c", self.WAITS, "\x1b]0;owned\x07")
        self.assertNotIn("\x1b", shakedown("doctor", str(p.pid)).stdout)
        self.assertNotIn("\x1b", shakedown("doctor", "./\x1b[2J").stdout)


if __name__ == "__main__":
    unittest.main()
