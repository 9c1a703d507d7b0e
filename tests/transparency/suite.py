# SPDX-License-Identifier: BSD-2-Clause
#
# suite: run the tests of the websockets source distribution and write a JUnit file, as CPython's
# own runner does.  Usage: suite.py FOLDER RESULTS [TEST...]; with TESTs only those.

import glob
import os
import sys
import unittest
import xml.etree.ElementTree as tree


class Recorder(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.root = tree.Element("testsuite")

    def say(self, test, kind=None):
        element = tree.SubElement(self.root, "testcase", name=test.id())
        if kind:
            tree.SubElement(element, kind)

    def addSuccess(self, test):
        self.say(test)

    def addFailure(self, test, err):
        self.say(test, "failure")

    def addError(self, test, err):
        self.say(test, "error")

    def addSkip(self, test, reason):
        self.say(test, "skipped")


def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def main():
    folder, results, only = sys.argv[1], sys.argv[2], set(sys.argv[3:])
    sys.path[:0] = [os.path.join(folder, "src"), folder]
    names = ["tests." + os.path.basename(path)[:-3]
             for path in sorted(glob.glob(os.path.join(folder, "tests", "test_*.py")))]
    recorder = Recorder()
    for test in each(unittest.TestLoader().loadTestsFromNames(names)):
        if not only or test.id() in only:
            test.run(recorder)
    tree.ElementTree(recorder.root).write(results)


main()
