# SPDX-License-Identifier: BSD-2-Clause
#
# compare: run the same test suite bare and under the shim, side by side, and compare test by test.
#
# Suites that use real sockets and real time have tests that fail now and then by themselves. 
# Only tests whose results differ are run again, on both sides, up to three times; what then still
# differs was changed by the shim.

import os
import shutil
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import harness

PYTHON = "/usr/bin/python3"
SUITE = "/usr/lib/python3.11/test"
AGAIN = 3  # times a differing test is run again on both sides
TIMEOUT = 400  # seconds one suite may take


def junit_results(path):
    """{test: "ok", "skip", "fail" or "error"} of a JUnit file."""
    results = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        kinds = {"failure": "fail", "error": "error", "skipped": "skip"}
        found = [kinds[child.tag] for child in case if child.tag in kinds]
        results[case.get("name")] = found[0] if found else "ok"
    return results


class Side:
    """One of the two: a folder with its results, output and, under the shim, its trace."""

    leads_session = True

    def __init__(self, shim):
        self.dir = tempfile.mkdtemp(prefix="shakedown-transparency-")
        self.shim = shim
        self.trace = os.path.join(self.dir, "suite.trace")
        self.runs = 0

    def start(self, command, env=None, cwd=None):
        """Start command; its words may name {results} and {dir}."""
        self.runs += 1
        self.results = os.path.join(self.dir, "results-%d" % self.runs)
        env = self.environment({**os.environ, **(env or {})})
        words = [w.replace("{results}", self.results).replace("{dir}", self.dir) for w in command]
        with open(os.path.join(self.dir, "log-%d" % self.runs), "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, cwd=cwd or self.dir,
                                            start_new_session=self.leads_session,
                                            process_group=None if self.leads_session else 0)
        return self

    def environment(self, env):
        return harness.preload_env(self.trace, env) if self.shim else env

    def wait(self):
        """Wait for the end of the suite, which is bounded."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            raise AssertionError("%s the suite did not end within %d s\n%s"
                                 % (self, TIMEOUT, self.log())) from None

    def finish(self):
        self.wait()
        if not os.path.exists(self.results):
            raise AssertionError("%s the suite ended with %d and left no results\n%s"
                                 % (self, self.process.returncode, self.log()))
        return junit_results(self.results)

    def log(self, most=4000):
        with open(os.path.join(self.dir, "log-%d" % self.runs), errors="replace") as log:
            return log.read()[-most:]

    def __str__(self):
        return "under the shim" if self.shim else "bare"

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def both(sides, command, **options):
    """Run command on both sides at once; returns the two results."""
    for side in sides:
        side.start(command, **options)
    return [side.finish() for side in sides]


def differing(bare, shim):
    return {name: (bare.get(name, "absent"), shim.get(name, "absent"))
            for name in bare.keys() | shim.keys() if bare.get(name) != shim.get(name)}


def assert_same(case, sides, command, select, **options):
    """Both sides of the suite give the same results.

    select(names) makes the words that restrict the command to some tests.  Returns the results.
    """
    bare, shim = both(sides, command, **options)
    left = differing(bare, shim)
    for _ in range(AGAIN):
        if not left:
            break
        print("run again on both sides: %s" % left)
        again = both(sides, command + select(sorted(left)), **options)
        for name in list(left):
            if again[0].get(name) == again[1].get(name) is not None:
                del left[name]
    case.assertEqual(left, {}, "results that differ (bare, under the shim); %s" % sides[1].dir)
    return bare


class CPythonCase(unittest.TestCase):
    """Tests of one suite each of Debian's libpython3.11-testsuite."""

    def same(self, suite, at_least, ignored=(), sockets=True):
        """sockets: the suite opens some, and the trace must prove that the shim was there."""
        if not os.path.isdir(SUITE):
            self.fail("libpython3.11-testsuite is not installed")
        command = [PYTHON, "-m", "test", "--junit-xml", "{results}", "--tempdir", "{dir}",
                   "--timeout", str(TIMEOUT - 20), suite]
        for pattern in ignored:
            command += ["--ignore", pattern]
        sides = Side(shim=False), Side(shim=True)
        bare = assert_same(
            self, sides, command, lambda names: [w for n in names for w in ("--match", n)])
        self.assertGreaterEqual(sum(result == "ok" for result in bare.values()), at_least)
        if sockets:
            processes = harness.report(sides[1].trace)["processes"]
            self.assertNotEqual([p for p in processes if p["coverage"] != "blind"], [])
        for side in sides:
            side.remove()
