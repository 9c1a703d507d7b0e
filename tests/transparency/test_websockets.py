# SPDX-License-Identifier: BSD-2-Clause
#
# The tests shipped in the source distribution of the Python package websockets give the same
# results with and without the shim.  The distribution comes from PyPI, checked against the hash
# in websockets.txt, and is kept below build/ for the next run.

import glob
import os
import subprocess
import tarfile
import unittest

import compare
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(harness.ROOT, "build", "cache")


def distribution():
    """The folder of the unpacked distribution; skips aloud where PyPI cannot be reached."""
    archives = glob.glob(os.path.join(CACHE, "websockets-*.tar.gz"))
    if not archives:
        os.makedirs(CACHE, exist_ok=True)
        pip = subprocess.run(
            [compare.PYTHON, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-binary", ":all:", "--no-deps", "--no-build-isolation", "--require-hashes",
             "--dest", CACHE, "--requirement", os.path.join(HERE, "websockets.txt")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300, check=False)
        archives = glob.glob(os.path.join(CACHE, "websockets-*.tar.gz"))
        if not archives:
            if "hash" in pip.stdout.lower():
                raise AssertionError(pip.stdout)
            harness.skip("websockets-sdist", pip.stdout.strip().splitlines()[-1])
    # Its bytes are those of the hash above, so its paths can be trusted.
    with tarfile.open(archives[0]) as archive:
        archive.extractall(CACHE)
    return archives[0][:-len(".tar.gz")]


class Websockets(unittest.TestCase):
    def test_the_tests_of_the_distribution_give_the_same_results(self):
        sides = compare.Side(shim=False), compare.Side(shim=True)
        bare = compare.assert_same(
            self, sides,
            [compare.PYTHON, os.path.join(HERE, "suite.py"), distribution(), "{results}"],
            lambda names: names)
        self.assertGreaterEqual(sum(result == "ok" for result in bare.values()), 80)
        for side in sides:
            side.remove()


if __name__ == "__main__":
    unittest.main()
