# SPDX-License-Identifier: BSD-2-Clause
"""The same library file works in a program of another libc: everything of test_process, under musl."""

import unittest

import programs
import test_process
from harness import LIB


class Musl(test_process.Watched):
    cc = "musl-gcc"

    def test_the_program_is_one_of_musl(self):
        header = programs.run("readelf", "-lW", test_process.life(self.cc)).stdout
        self.assertIn("/lib/ld-musl-", header)
        self.assertIn(" mapped 1", self.run_life("show"))


class MuslExec(test_process.Exec):
    cc = "musl-gcc"


    def test_names_that_musl_lacks_leave_no_error_behind(self):
        program = programs.build("plug.c", cc="musl-gcc", name="plug-musl")
        done = programs.run(program, "/no such library", cwd=self.dir,
                            env=programs.environment(LIB, SHAKEDOWN_TRACE=self.trace))
        self.assertEqual(done.stdout.splitlines()[0], "no error")


class BothLibcs(test_process.LifeCase):
    def test_a_musl_program_started_by_a_glibc_program_is_watched_and_the_other_way_round(self):
        for first, second in (("gcc", "musl-gcc"), ("musl-gcc", "gcc")):
            with self.subTest(first=first):
                env = programs.environment(LIB, SHAKEDOWN_TRACE=self.trace)
                shell = "exec %s show; exit 1" % test_process.life(second)
                done = programs.run(test_process.life(first), "run", "/bin/sh", "-c", shell, env=env)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout.splitlines()[0], " mapped 1")


if __name__ == "__main__":
    unittest.main()
