# SPDX-License-Identifier: BSD-2-Clause
#
# Go's own tests of its packages net and net/http give the same results with and without the shim:
# linked with the C library and preloaded, and static through the injected door.

import functools
import os
import re
import subprocess
import sys
import unittest

import compare
import harness

sys.path.append(os.path.join(harness.ROOT, "tests", "servers"))
import golang

RESULT = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(\d+\.\d+s\)$", re.M)
KINDS = {"PASS": "ok", "FAIL": "fail", "SKIP": "skip"}
LIMIT = 180  # seconds after which a test program ends itself with a dump
OUTPUT_MAX = 1 << 26


def verbose_results(text):
    """{test: "ok", "fail" or "skip"} of what -test.v printed, subtests included."""
    return {name: KINDS[kind] for kind, name in RESULT.findall(text)}


def only(names):
    """Words that restrict a test program to the tests these are, or are part of."""
    whole = sorted({name.partition("/")[0] for name in names})
    return ["-test.run", "^(%s)$" % "|".join(map(re.escape, whole))]


class GoSide(compare.Side):
    """A side that prints its results; watched as harness.Server means shim."""

    # A terminal that a test opens would become its leader's own, and SIGHUP would end it.
    leads_session = False

    def start(self, command, env=None, cwd=None):
        if self.shim == "run":
            command = [harness.SHAKEDOWN, "run", "--append", "-o", self.trace, "--", *command]
        return super().start(command, env, cwd)

    def environment(self, env):
        return env if self.shim == "run" else super().environment(env)

    def finish(self):
        self.wait()
        results = verbose_results(self.log(OUTPUT_MAX))
        if not results and self.runs == 1:
            raise AssertionError("%s nothing was tested\n%s" % (self, self.log()))
        return results


@functools.lru_cache(None)
def build(shape):
    """The folder of net.test and http.test, linked that way."""
    go, env = golang.toolchain("newest")
    out = os.path.join(golang.OUT, "newest", shape, "std")
    os.makedirs(out, exist_ok=True)
    golang.run_go(go, ["test", "-c", "-o", out + "/", "net", "net/http"],
                  {**env, **golang.SHAPES[shape][0]}, out)
    return out


@functools.lru_cache(None)
def source_of(package):
    """The folder the tests of the package find their data in."""
    go, env = golang.toolchain("newest")
    done = subprocess.run([go, "list", "-f", "{{.Dir}}", package], env={**os.environ, **env},
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout.strip()


class GoItself(unittest.TestCase):
    def same(self, package, shape, doors, at_least):
        program = os.path.join(build(shape), package.rpartition("/")[2] + ".test")
        sides = GoSide(shim=False), GoSide(shim=golang.door(shape))
        bare = compare.assert_same(
            self, sides, [program, "-test.v", "-test.short", "-test.timeout", "%ds" % LIMIT], only,
            cwd=source_of(package))
        self.assertGreaterEqual(sum(result == "ok" for result in bare.values()), at_least)
        watched = [p for p in harness.report(sides[1].trace)["processes"]
                   if os.path.basename(p["exe"]) == os.path.basename(program)]
        self.assertNotEqual(watched, [])
        for process in watched:
            self.assertNotEqual(process["coverage"], "blind", process["coverage_reason"])
            self.assertEqual(process["doors"], doors)
        for side in sides:
            side.remove()

    def test_net_with_the_c_library(self):
        self.same("net", "cgo", ["libc", "go"], 300)

    def test_net_static(self):
        self.same("net", "static", ["go", "injected"], 300)

    def test_http_with_the_c_library(self):
        self.same("net/http", "cgo", ["libc", "go"], 1000)

    def test_http_static(self):
        self.same("net/http", "static", ["go", "injected"], 1000)


if __name__ == "__main__":
    unittest.main()
