# SPDX-License-Identifier: BSD-2-Clause
#
# CPython's own tests of sockets, selectors and asyncio, while calls move fewer bytes than they could and
# waits end for nothing.  Both are legal, so what fails counts on more than the system promises: short.txt
# lists it with the reason.  Anything else that differs is our doing.

import fnmatch
import os
import unittest

import compare

HERE = os.path.dirname(os.path.abspath(__file__))
SHORT_READS = "rx:short=1"
SHORT = "any:short=1"
# A loop takes no event for an answer; poll before one recv would be taken for a timeout.
WAKE = "wait:wake=spurious:interval=2"


def listed(suite):
    """{pattern: reason} of the rows that concern a suite."""
    with open(os.path.join(HERE, "short.txt"), encoding="utf-8") as rows:
        pairs = [row.rstrip("\n").split(": ", 1) for row in rows if not row.startswith("#")]
    return {pattern: reason for pattern, reason in pairs if pattern.startswith("test.%s." % suite)}


class Broken(compare.Side):
    """The side that lives with faults."""

    def __init__(self, rules):
        super().__init__(shim=True)
        self.rules = rules

    def environment(self, env):
        return {**super().environment(env), "SHAKEDOWN_RULES": self.rules}


class Short(unittest.TestCase):
    def same_but_for_the_list(self, suite, at_least, rules, ignored=()):
        command = [compare.PYTHON, "-m", "test", "--junit-xml", "{results}", "--tempdir", "{dir}",
                   "--timeout", str(compare.TIMEOUT - 20), suite]
        for pattern in ignored:
            command += ["--ignore", pattern]
        sides = compare.Side(shim=False), Broken(rules)
        bare, broken = compare.both(sides, command)
        patterns = listed(suite)
        for pattern in patterns:
            self.assertNotEqual(fnmatch.filter(bare, pattern), [], "%s matches nothing" % pattern)
        left = self.unlisted(bare, broken, patterns)
        for _ in range(compare.AGAIN):
            if not left:
                break
            again = compare.both(sides, command + [w for n in left for w in ("--match", n)])
            left = {n: r for n, r in self.unlisted(*again, patterns).items() if n in left}
        self.assertEqual(left, {}, "(bare, with faults); %s" % sides[1].dir)
        self.assertGreaterEqual(sum(r == "ok" for r in broken.values()), at_least)
        for side in sides:
            side.remove()
        return compare.differing(bare, broken)

    @staticmethod
    def unlisted(bare, broken, patterns):
        return {name: pair for name, pair in compare.differing(bare, broken).items()
                if pair[0] != "ok" or not any(fnmatch.fnmatch(name, p) for p in patterns)}

    def test_sockets_whose_calls_move_one_byte(self):
        hit = self.same_but_for_the_list("test_socket", 350, SHORT, ignored=["*VSOCK*"])
        self.assertIn("test.test_socket.BasicTCPTest.testRecv", hit)

    def test_selectors_that_wake_for_nothing(self):
        self.same_but_for_the_list("test_select", 5, SHORT + ";" + WAKE)

    def test_an_event_loop_that_wakes_for_nothing_and_reads_byte_by_byte(self):
        hit = self.same_but_for_the_list("test_asyncio", 1500, SHORT_READS + ";" + WAKE)
        self.assertIn("test.test_asyncio.test_events.EPollEventLoopTests.test_writer_callback", hit)


if __name__ == "__main__":
    unittest.main()
