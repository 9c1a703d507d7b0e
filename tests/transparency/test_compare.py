# SPDX-License-Identifier: BSD-2-Clause
#
# The comparison itself: a test that notices the shim must fail it, one that fails by chance must
# not.

import os
import unittest

import compare

# A suite of two tests: "sound" always passes, "other" as the code says; RUN counts the runs of a
# side.
SUITE = r"""
import os, sys
results, folder = sys.argv[1:3]
run = sum(name.startswith("results") for name in os.listdir(folder))
shim = "libshakedown" in os.environ.get("LD_PRELOAD", "")
other = %s
with open(results, "w") as out:
    out.write("<testsuite><testcase name='sound'/><testcase name='other'>%%s</testcase></testsuite>"
              %% ("" if other else "<failure/>"))
"""


class Comparison(unittest.TestCase):
    def compare(self, other):
        sides = compare.Side(shim=False), compare.Side(shim=True)
        for side in sides:
            self.addCleanup(side.remove)
        command = [compare.PYTHON, "-c", SUITE % other, "{results}", "{dir}"]
        return compare.assert_same(self, sides, command, lambda names: [])

    def test_equal_results_are_the_same(self):
        self.assertEqual(self.compare("True"), {"sound": "ok", "other": "ok"})

    def test_a_test_that_fails_bare_too_is_the_same(self):
        self.assertEqual(self.compare("False")["other"], "fail")

    def test_a_test_that_fails_only_under_the_shim_is_a_difference(self):
        with self.assertRaisesRegex(AssertionError, "other.*ok.*fail"):
            self.compare("not shim")

    def test_a_test_that_passes_only_under_the_shim_is_a_difference(self):
        with self.assertRaisesRegex(AssertionError, "other.*fail.*ok"):
            self.compare("shim")

    def test_a_test_that_failed_by_chance_is_run_again(self):
        self.assertEqual(self.compare("run > 0 or not shim")["other"], "ok")

    def test_a_suite_that_leaves_no_results_is_a_failure(self):
        side = compare.Side(shim=False)
        self.addCleanup(side.remove)
        side.start([compare.PYTHON, "-c", "import sys; sys.exit('out of order')"])
        with self.assertRaisesRegex(AssertionError, "out of order"):
            side.finish()
        self.assertTrue(os.path.isdir(side.dir))


if __name__ == "__main__":
    unittest.main()
