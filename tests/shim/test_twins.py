# SPDX-License-Identifier: BSD-2-Clause
"""A program sees the same results, bytes and errno with and without the shim, at whatever moment."""

import os
import re
import tempfile
import unittest

import programs
from harness import LIB


class Twins(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.program = programs.build("twin.c")
        cls.early = programs.build("twin.c", "-DEARLY", "-shared", "-fPIC", "-Wl,-z,initfirst",
                                   name="early.so")
        cls.bare = cls.output(cls.program)
        cls.bare_early = cls.output("/bin/true", preload=[cls.early])

    @classmethod
    def output(cls, program, preload=(), **env):
        with tempfile.TemporaryDirectory() as folder:
            if preload:
                env["SHAKEDOWN_TRACE"] = os.path.join(folder, "t")
            done = programs.run(program, env=programs.environment(*preload, **env), cwd=folder)
        if done.returncode != 0:
            raise AssertionError("%s: %d\n%s" % (program, done.returncode, done.stderr[-2000:]))
        return done.stdout.splitlines()

    def test_every_exported_name_is_called(self):
        called = {line.split()[0] for line in self.bare if not line.startswith(" ")}
        self.assertEqual(programs.exported() - called, set())

    def test_every_number_without_a_name_is_called(self):
        called = {line.split()[1] for line in self.bare if line.startswith("syscall ")}
        numbers = {row.name for row in programs.rows() if not row.exported}
        self.assertEqual(numbers - called, set())

    def test_the_program_prints_the_same_under_the_shim(self):
        self.assertEqual(self.output(self.program, preload=[LIB]), self.bare)

    def test_the_program_prints_the_same_under_a_shim_that_is_off(self):
        self.assertEqual(self.output(self.program, preload=[LIB], SHAKEDOWN="off"), self.bare)

    def test_the_program_prints_the_same_when_its_trace_has_no_place(self):
        self.assertEqual(self.output(self.program, preload=[LIB],
                                     SHAKEDOWN_TRACE="/proc/no/such/place"), self.bare)

    def test_the_program_prints_the_same_under_rules_that_leave_its_calls_whole(self):
        for rules in ("any:slice=1MiB", "accept:delay=1us;connect:delay=1us",
                      "any:reset:path=/nobody;accept:refuse:conn=1000;wait:wake:when=99999"):
            with self.subTest(rules):
                self.assertEqual(self.output(self.program, preload=[LIB], SHAKEDOWN_RULES=rules),
                                 self.bare)

    def test_the_program_prints_the_same_in_a_process_without_dlsym(self):
        library = programs.library_without_dlsym()
        self.assertEqual(self.output(self.program, preload=[library]), self.bare)
        self.assertEqual(self.output("/bin/true", preload=[library, self.early]), self.bare_early)

    def test_the_shim_twice_is_the_same_as_once(self):
        self.assertEqual(self.output(self.program, preload=[LIB, LIB]), self.bare)

    def test_every_call_works_in_a_constructor_that_runs_before_ours(self):
        for preload in ([LIB, self.early], [self.early, LIB]):
            with self.subTest(preload=[os.path.basename(p) for p in preload]):
                self.assertEqual(self.output("/bin/true", preload=preload), self.bare_early)

    def test_that_constructor_does_run_before_ours(self):
        with tempfile.TemporaryDirectory() as folder:
            done = programs.run("/bin/true", cwd=folder,
                                env=programs.environment(LIB, self.early, LD_DEBUG="files"))
        order = [os.path.basename(p) for p in re.findall(r"calling init: (\S+)", done.stderr)]
        self.assertIn("libshakedown.so", order)
        self.assertLess(order.index("early.so"), order.index("libshakedown.so"), order)


if __name__ == "__main__":
    unittest.main()
