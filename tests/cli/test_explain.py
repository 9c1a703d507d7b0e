# SPDX-License-Identifier: BSD-2-Clause
#
# explain: every finding can be looked up, also by somebody who cannot spell it.

import json
import os
import re
import unittest

from harness import ROOT, SEVERITIES, shakedown


def catalogue():
    """Ids and severities, read from the table itself."""
    with open(os.path.join(ROOT, "core/finding/finding.def"), encoding="utf-8") as f:
        return dict(re.findall(r'^FINDING\(\w+, "([a-z0-9-]+)", ([A-Z]+),', f.read(), re.M))


class Explain(unittest.TestCase):
    def test_the_list_holds_every_finding_once_gravest_first(self):
        done = shakedown("explain")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        severity, seen, headings = None, {}, []
        for line in done.stdout.splitlines():
            if line in SEVERITIES:
                severity = line
                headings.append(line)
            elif line.startswith("  "):
                seen[line.split()[0]] = severity.upper()
        self.assertEqual(headings, list(reversed(SEVERITIES)))
        self.assertEqual(seen, catalogue())

    def test_every_finding_says_what_why_and_how_to_fix_it(self):
        for finding in catalogue():
            done = shakedown("explain", finding)
            self.assertEqual(done.returncode, 0)
            for heading in ("What", "Why it matters", "How to fix it", "Evidence",
                            "What a rule can excuse it with"):
                self.assertRegex(done.stdout, r"(?m)^%s\n    \S" % heading, finding)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80, finding)

    def test_several_can_be_asked_for(self):
        first, second = list(catalogue())[:2]
        done = shakedown("explain", second, first)
        self.assertLess(done.stdout.index(second + " ("), done.stdout.index(first + " ("))

    def test_json_says_the_same(self):
        done = shakedown("explain", "--format", "json")
        data = json.loads(done.stdout)
        self.assertEqual(data["version"], 1)
        self.assertEqual({f["id"]: f["severity"].upper() for f in data["findings"]}, catalogue())
        for f in data["findings"]:
            self.assertEqual(set(f), {"id", "severity", "scope", "title", "why", "fix", "evidence", "explained_by"})
            self.assertTrue(all(v for k, v in f.items() if k != "explained_by"), f["id"])
        one = json.loads(shakedown("explain", "--format=json", data["findings"][3]["id"]).stdout)
        self.assertEqual(one["findings"], [data["findings"][3]])

    def test_a_misspelt_finding_gets_the_nearest_one(self):
        done = shakedown("explain", "htp-after-110")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("did you mean 'http-after-101'?", done.stderr)
        done = shakedown("explain", "xyzzy")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'shakedown explain' lists them", done.stderr)


if __name__ == "__main__":
    unittest.main()
