# SPDX-License-Identifier: BSD-2-Clause
"""The rows of calls.def are true: prototypes, numbers, and the page made from them."""

import collections
import os
import unittest

import harness
import programs

# Numbers whose name differs from the function's: glibc calls the newer form of the system call.
RENAMED = {"eventfd": "eventfd2", "signalfd": "signalfd4", "pselect": "pselect6"}


class Rows(unittest.TestCase):
    maxDiff = None

    def test_every_prototype_is_the_one_in_libcs_headers(self):
        for cc in ("gcc", "clang"):
            with self.subTest(cc):
                programs.build("prototypes.c", "-fsyntax-only", "-fno-builtin", cc=cc,
                               name="prototypes")

    def test_every_number_is_that_of_its_name(self):
        rows = [r for r in programs.rows() if r.kind == "CALL" and r.nr >= 0]
        source = "#include <sys/syscall.h>\n" + "\n".join(
            "SYS_%s" % RENAMED.get(r.name, r.name) for r in rows)
        done = programs.subprocess.run(["gcc", "-E", "-P", "-x", "c", "-"], input=source, text=True,
                                       stdout=programs.subprocess.PIPE, timeout=programs.TIMEOUT,
                                       check=True)
        numbers = [int(line) for line in done.stdout.split() if line.isdigit()]
        self.assertEqual(numbers, [r.nr for r in rows])

    def test_no_number_has_two_rows(self):
        count = collections.Counter(r.nr for r in programs.rows() if r.kind == "CALL" and r.nr >= 0)
        self.assertEqual([nr for nr, n in count.items() if n > 1], [])

    def test_a_row_that_moves_bytes_says_where_they_are(self):
        for row in programs.rows():
            moves = row.op in ("READ", "WRITE")
            self.assertEqual(row.shape != "NONE", moves, row.name)

    def test_every_variant_is_generated_the_way_its_row_is(self):
        bodies = {r.name: r.body for r in programs.rows()}
        for row in programs.rows():
            if row.kind == "VARIANT":
                self.assertEqual(row.body == "HAND", bodies[row.row] == "HAND", row.name)

    def test_the_page_of_calls_is_up_to_date(self):
        generator = programs.build(os.path.join(harness.ROOT, "docs", "gen", "calls_md.c"),
                                   name="calls_md")
        with open(os.path.join(harness.ROOT, "docs", "calls.md"), encoding="utf-8") as page:
            self.assertEqual(programs.run(generator).stdout, page.read(),
                             "see the head of docs/gen/calls_md.c")


if __name__ == "__main__":
    unittest.main()
