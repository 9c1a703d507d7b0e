# SPDX-License-Identifier: BSD-2-Clause
"""The library goes into any process without a trace of it in how that process loads code."""

import os
import tempfile
import unittest

import programs
from harness import LIB


class Loading(unittest.TestCase):
    def run_both(self, *command, preload=()):
        """Run bare and under the shim; returns the output, which must be the same."""
        results = []
        for libraries in (preload, (*preload, LIB)):
            with tempfile.TemporaryDirectory() as folder:
                env = programs.environment(*libraries, SHAKEDOWN_TRACE=os.path.join(folder, "t"))
                done = programs.run(*command, env=env, cwd=folder)
            results.append((done.returncode, done.stdout, done.stderr))
        self.assertEqual(results[1], results[0])
        return results[0][1]

    def test_dlopen_searches_the_path_of_the_library_that_called_it(self):
        programs.build("plug.c", "-DINNER", "-shared", "-fPIC", name="libinner.so")
        outer = programs.build("plug.c", "-DOUTER", "-shared", "-fPIC", "-Wl,-rpath,$ORIGIN",
                               "-Wl,--enable-new-dtags", name="libouter.so")
        out = self.run_both(programs.build("plug.c"), outer)
        self.assertEqual(out.splitlines(), ["no error", "inner", "apart"])

    def test_no_error_of_our_own_look_ups_is_left_for_the_program(self):
        lines = self.run_both(programs.build("plug.c"), "/no such library").splitlines()
        self.assertEqual(lines[0], "no error")
        self.assertIn("/no such library: cannot open", lines[1])

    def test_a_program_under_the_address_sanitizer_runs_as_before(self):
        program = programs.build("memory.c", "-fsanitize=address", "-lpthread", name="memory-asan")
        runtime = programs.run("gcc", "-print-file-name=libasan.so").stdout.strip()
        out = self.run_both(program, preload=[os.path.realpath(runtime)])
        self.assertEqual(out, "echo\n")

    def test_an_allocator_that_opens_files_while_it_starts(self):
        allocator = programs.build("allocator.c", "-shared", "-fPIC", "-fno-builtin",
                                   name="liballocator.so")
        program = programs.build("memory.c", "-lpthread", name="memory")
        self.assertEqual(self.run_both(program, preload=[allocator]), "echo\n")
        early = programs.build("allocator.c", "-shared", "-fPIC", "-fno-builtin",
                               "-Wl,-z,initfirst", name="liballocator-early.so")
        self.assertEqual(self.run_both(program, preload=[early]), "echo\n")

    def test_a_static_program_is_left_alone(self):
        program = programs.build("memory.c", "-static", "-lpthread", name="memory-static")
        self.assertEqual(self.run_both(program), "echo\n")

    def test_a_program_started_by_naming_the_loader_runs_as_before(self):
        loader = next(p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")
                      if os.path.exists(p))
        self.assertEqual(self.run_both(loader, "/bin/echo", "started").strip(), "started")

    def test_a_program_that_the_loader_was_asked_to_run_is_watched_as_well(self):
        with tempfile.TemporaryDirectory() as folder:
            for cc, loader in (("gcc", "/lib64/ld-linux-x86-64.so.2"),
                               ("musl-gcc", "/lib/ld-musl-x86_64.so.1")):
                program = programs.build("life.c", "-lpthread", "-Wno-unused-result", cc=cc,
                                         name="life-" + cc)
                env = programs.environment(LIB, SHAKEDOWN_TRACE=os.path.join(folder, "t"))
                for words in ([program, "show"], [program, "run", program, "show"]):
                    done = programs.run(loader, *words, env=env, cwd=folder)
                    self.assertEqual((done.returncode, done.stdout[:10]), (0, " mapped 1\n"),
                                     (loader, words, done.stderr))

    def test_nothing_stays_open(self):
        self.assertEqual(self.run_both("/bin/ls", "/proc/self/fd").split(), ["0", "1", "2", "3"])


if __name__ == "__main__":
    unittest.main()
