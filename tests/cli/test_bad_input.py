# SPDX-License-Identifier: BSD-2-Clause
#
# What a user can get wrong on the command line: one clear sentence on stderr that names the remedy, the
# right status, and nothing started, lost or left behind.

import os
import shutil
import subprocess
import tempfile
import unittest

from harness import LIB, SHAKEDOWN, shakedown, skip


class BadInput(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-test-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data=b"", mode=0o755):
        with open(self.path(name), "wb") as f:
            f.write(data)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def refused(self, status, *expected, args, **options):
        """The command says one sentence that holds all of expected, and ends with the status."""
        before = sorted(os.listdir(self.dir))
        done = shakedown(*args, cwd=self.dir, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("shakedown: "), done.stderr)
        for text in expected:
            self.assertIn(text, done.stderr)
        self.assertEqual(sorted(os.listdir(self.dir)), before, "something was left behind")

    MARK = ["sh", "-c", "touch started"]

    # ---- words ----

    def test_no_verb(self):
        done = shakedown()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("usage: shakedown VERB", done.stderr)

    def test_unknown_verb(self):
        self.refused(2, "no verb 'rnu'", "did you mean 'shakedown run'?", args=["rnu"])
        self.refused(2, "no verb 'xyzzy'", "'shakedown help' lists them", args=["xyzzy"])
        self.refused(2, "no verb 'reprot'", "'shakedown report'?", args=["help", "reprot"])

    def test_unknown_option(self):
        self.refused(125, "'--max-trcae'", "'--max-trace'?",
                     args=["run", "--max-trcae", "1M", "--", *self.MARK])
        self.refused(125, "'-z'", args=["run", "-z", "--", *self.MARK])
        self.refused(2, "'--fromat'", "'--format'?", args=["explain", "--fromat", "json"])
        self.refused(2, "'--fromat'", "'--format'?", args=["doctor", "--fromat", "json"])
        self.refused(2, "'--fromat'", "'--format'?", args=["report", "--fromat", "json", "x"])

    def test_bad_value(self):
        self.refused(125, "'lots' is no size", "64M",
                     args=["run", "--max-trace", "lots", "--", *self.MARK])
        for size in ("0", "1", "4803K"):
            self.refused(125, "--max-trace is too small", "4804K",
                         args=["run", "--max-trace", size, "--", *self.MARK])
        self.refused(125, "did you mean 'first'?", args=["run", "--keep", "frist", "--", *self.MARK])
        self.refused(125, "did you mean 'critical'?",
                     args=["run", "--fail-on", "critcal", "--", *self.MARK])
        self.refused(2, "none of text|json", args=["explain", "--format", "yaml"])

    def test_missing_value_and_missing_command(self):
        self.refused(125, "--output needs a value", args=["run", "-o"])
        self.refused(125, "needs a command", "shakedown run -- CMD", args=["run"])
        self.refused(125, "needs a command", args=["run", "-o", "x", "--"])

    def test_misspelt_variable(self):
        self.refused(125, "SHAKEDOWN_TARCE", "did you mean SHAKEDOWN_TRACE?",
                     args=["run", "--", *self.MARK], env=dict(os.environ, SHAKEDOWN_TARCE="x"))
        self.refused(125, "SHAKEDOWN_XYZZY", "unset it", args=["run", "--", *self.MARK],
                     env=dict(os.environ, SHAKEDOWN_XYZZY="x"))

    def test_a_bad_value_of_a_variable(self):
        for name, value in (("SHAKEDOWN_MAX_TRACE", "lots"), ("SHAKEDOWN_MAX_TRACE", "1M"),
                            ("SHAKEDOWN_MAX_TRACE", "999999999G"), ("SHAKEDOWN_KEEP", "frist"),
                            ("SHAKEDOWN_BODY", "-1"), ("SHAKEDOWN_ALL", "perhaps")):
            self.refused(125, name, args=["run", "--", *self.MARK],
                         env=dict(os.environ, **{name: value}))

    # ---- the trace folder ----

    def test_trace_folder_that_holds_something(self):
        os.mkdir(self.path("t"))
        self.write("t/old.trace", b"precious")
        self.refused(125, "is not empty", "choose another", "--append",
                     args=["run", "-o", "t", "--", *self.MARK])
        with open(self.path("t/old.trace"), "rb") as f:
            self.assertEqual(f.read(), b"precious")

    def test_appending_to_a_folder_that_holds_no_traces(self):
        os.mkdir(self.path("t"))
        self.write("t/letter", b"precious")
        self.refused(125, "no traces to append to", "-o DIR",
                     args=["run", "--append", "-o", "t", "--", *self.MARK])

    def test_trace_folder_that_is_a_file(self):
        self.write("t", b"precious", 0o644)
        self.refused(125, "is no folder", "-o DIR", args=["run", "-o", "t", "--", *self.MARK])

    def test_trace_folder_without_a_parent(self):
        self.refused(125, "does not exist", "mkdir -p",
                     args=["run", "-o", "no/such/t", "--", *self.MARK])

    def test_trace_folder_that_cannot_be_made(self):
        for where in ("/proc/t", "/dev/null/t"):
            self.refused(125, where, "-o DIR", args=["run", "-o", where, "--", *self.MARK])

    def test_trace_folder_without_permission(self):
        os.mkdir(self.path("locked"))
        os.chmod(self.path("locked"), 0o555)
        # Another user need not be able to enter the folder of the checkout.
        shutil.copy(LIB, self.dir)
        command = [shutil.copy(SHAKEDOWN, self.dir), "run", "-o", "locked/t", "--", "true"]
        other = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(command, cwd=self.dir, stderr=subprocess.PIPE, text=True, check=False,
                              **other)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("Permission denied", done.stderr)
        self.assertIn("-o DIR", done.stderr)

    # ---- the command ----

    def test_no_such_file(self):
        self.refused(127, "./missing: no such file", args=["run", "--", "./missing"])
        self.refused(127, "missing-command", "PATH", args=["run", "--", "missing-command"])
        self.write("here", b"#!/bin/sh\n")
        self.refused(127, "./", args=["run", "--", "here"])

    def test_not_executable(self):
        self.write("data", b"#!/bin/sh\ntouch started\n", 0o644)
        self.refused(126, "is not executable", "chmod +x", args=["run", "--", "./data"])

    def test_a_folder(self):
        self.refused(126, "is a directory", args=["run", "--", self.dir])

    def test_a_script_whose_interpreter_is_missing(self):
        self.write("script", b"#!/no/such/interpreter -x\n")
        self.refused(127, "./script", "/no/such/interpreter does not exist",
                     args=["run", "--", "./script"])
        self.write("script", b"#!/usr/bin/env no-such-interpreter\n")
        self.refused(127, "no-such-interpreter", args=["run", "--", "./script"])

    def test_a_program_for_another_machine(self):
        with open("/bin/true", "rb") as f:
            program = bytearray(f.read())
        program[18:20] = b"\xf3\x00"
        self.write("alien", bytes(program))
        done = shakedown("run", "--", "./alien", cwd=self.dir)
        self.assertEqual(done.returncode, 126)
        self.assertIn("64-bit program for RISC-V", done.stderr)
        self.assertIn("cannot be executed", done.stderr)
        self.assertEqual(os.listdir(self.dir), ["alien"])

    def test_a_damaged_program(self):
        with open("/bin/true", "rb") as f:
            program = f.read()
        self.write("cut", program[:50])
        done = shakedown("run", "--", "./cut", cwd=self.dir)
        self.assertEqual(done.returncode, 126)
        self.assertIn("damaged or incomplete", done.stderr)

    def test_a_program_without_its_loader(self):
        with open("/bin/true", "rb") as f:
            program = f.read()
        self.write("orphan", program.replace(b"/lib64/ld-linux-x86-64.so.2",
                                             b"/lib64/ld-linux-x86-64.so.9"))
        self.refused(127, "/lib64/ld-linux-x86-64.so.9 does not exist", args=["run", "--", "./orphan"])

    def test_a_command_that_ends_at_once_gives_its_status_and_its_words(self):
        done = shakedown("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3", cwd=self.dir)
        self.assertEqual((done.returncode, done.stdout), (3, "out\n"))
        self.assertIn("err\n", done.stderr)

    # ---- our own parts ----

    def test_a_library_that_is_not_there(self):
        self.refused(125, "SHAKEDOWN_LIB", "/no/such/lib.so", args=["run", "--", *self.MARK],
                     env=dict(os.environ, SHAKEDOWN_LIB="/no/such/lib.so"))

    def test_without_proc_the_remedy_is_named(self):
        mount = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c",
                 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        if subprocess.run([*mount, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            skip("mount")
        done = subprocess.run([*mount, SHAKEDOWN, "run", "--", *self.MARK], cwd=self.dir,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("/proc/self/exe is not readable", done.stderr)
        self.assertIn("SHAKEDOWN_LIB", done.stderr)
        self.assertEqual(os.listdir(self.dir), [])

    def test_results_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([SHAKEDOWN, "explain"], stdout=full, stderr=subprocess.PIPE,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("cannot write the result", done.stderr)

    def test_control_characters_in_a_word_do_not_reach_the_terminal(self):
        done = shakedown("\x1b[2Jrun")
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("\x1b", done.stderr)


if __name__ == "__main__":
    unittest.main()
