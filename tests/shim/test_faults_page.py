# SPDX-License-Identifier: BSD-2-Clause
"""The page of faults is made from the tables, names everything in them, and its rules are rules."""

import os
import re
import tempfile
import unittest

import harness
import programs
from harness import shakedown


def page():
    with open(os.path.join(harness.ROOT, "docs", "faults.md"), encoding="utf-8") as f:
        return f.read()


class Page(unittest.TestCase):
    maxDiff = None

    def test_the_page_of_faults_is_up_to_date(self):
        generator = programs.build(os.path.join(harness.ROOT, "docs", "gen", "faults_md.c"),
                                   name="faults_md")
        self.assertEqual(programs.run(generator).stdout, page(), "see the head of docs/gen/faults_md.c")

    def test_every_type_of_value_is_explained(self):
        text = page()
        used = set(re.findall(r"^\| `[\w.-]+` \| ([A-Z]+) \|", text, re.M)) | set(
            re.findall(r"^\| `[\w.-]+` \| ([A-Z]+) \| ", text.split("## Under which")[1], re.M))
        explained = {t for cell in re.findall(r"^\| ([A-Z, ]+) \|", text, re.M)
                     for t in cell.split(", ")}
        self.assertGreater(len(used), 10)
        self.assertLessEqual(used, explained)

    def test_every_rule_of_the_page_is_taken(self):
        rules = re.findall(r"^\| [^|`]*(?:`[^`]*`)?[^|`]* \| `([^`]+)` \|$",
                           page().split("## Examples")[1], re.M)
        self.assertGreater(len(rules), 10)
        with tempfile.TemporaryDirectory(prefix="shakedown-faults-") as folder:
            for n, rule in enumerate(rules):
                with self.subTest(rule):
                    done = shakedown("run", "-o", os.path.join(folder, str(n)), "--rule", rule, "--",
                                     "true")
                    self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
