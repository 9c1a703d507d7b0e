# SPDX-License-Identifier: BSD-2-Clause
"""docs/trace-format.md is true: its tables are the layout, and the reader in it reads."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import counter
from harness import LIB, ROOT, preload_env

PAGE = os.path.join(ROOT, "docs", "trace-format.md")
KILLER = os.path.join(counter.PROGRAMS, "trace_killer")
TRACE = os.path.join(ROOT, "core", "trace")


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def structs(page):
    """{name: (size, [(offset, size, field)])} of the page's tables."""
    found = {}
    for name, size, rest in re.findall(r"`struct (trace_\w+)`, (\d+) bytes(.*?)(?=\n#|\Z)", page, re.S):
        table = re.search(r"\n\n(\|.*?)(?:\n\n|\Z)", rest, re.S).group(1)
        rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", table, re.M)
        found[name] = int(size), [(int(o), int(s), f) for o, s, f in rows]
    return found


class Page(unittest.TestCase):
    def test_every_structure_of_the_layout_has_a_table_without_a_gap(self):
        tables = structs(text(PAGE))
        layout = re.sub(r"/\*.*?\*/", "", text(os.path.join(TRACE, "layout.h")), flags=re.S)
        self.assertEqual(set(tables), set(re.findall(r"struct (trace_\w+) \{", layout)))
        for name, (size, rows) in tables.items():
            end = 0
            for offset, length, field in rows:
                self.assertEqual(offset, end, "%s.%s" % (name, field))
                end = offset + length
            self.assertEqual(end, size, name)

    def test_every_offset_and_size_is_that_of_the_compiler(self):
        lines = ['#include "core/trace/layout.h"']
        for name, (size, rows) in structs(text(PAGE)).items():
            name = "struct " + name
            lines.append('_Static_assert(sizeof(%s) == %d, "%s");' % (name, size, name))
            for offset, length, field in rows:
                lines.append('_Static_assert(offsetof(%s, %s) == %d && sizeof(((%s *)0)->%s) == %d, '
                             '"%s.%s");' % (name, field, offset, name, field, length, name, field))
        self.assertGreater(len(lines), 100)
        done = subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", "-I", ROOT, "-x", "c", "-"],
                              input="\n".join(lines), text=True, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_kinds_and_coverage_reasons_are_those_of_the_tables(self):
        page = text(PAGE)
        kinds = re.findall(r'^RECORD\(\w+, (\d+), "([^"]+)", (\w+), "([^"]+)"\)',
                           text(os.path.join(TRACE, "record.def")), re.M)
        for number, name, struct, says in kinds:
            self.assertIn("| %s | %s | `%s` | %s |\n" % (number, name, struct, says), page)
        reasons = re.findall(r'^COVERAGE_REASON\(\w+, 1u << (\d+), "([^"]+)", "([^"]+)"\)',
                             text(os.path.join(TRACE, "coverage.def")), re.M)
        for bit, name, says in reasons:
            self.assertIn("| %s | %s | %s |\n" % (bit, name, says), page)
        self.assertGreater(min(len(kinds), len(reasons)), 8)


class Reader(unittest.TestCase):
    def test_the_reader_on_the_page_reads_every_record_of_a_killed_server(self):
        folder = tempfile.mkdtemp(prefix="shakedown-format-")
        self.addCleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        trace = os.path.join(folder, "server.trace")
        env = preload_env(trace)
        env["LD_PRELOAD"] = shutil.copy(LIB, folder)
        server, port = counter.start(env)
        try:
            for number in range(20):
                self.assertTrue(counter.exchange(port, number))
            killer = subprocess.run([KILLER, str(server.pid), trace, "1", "0"], text=True,
                                    stdout=subprocess.PIPE, timeout=60, check=False)
        finally:
            counter.stop(server)
        after = int(re.search(r" after (\d+) ", killer.stdout).group(1))
        program = re.search(r"```python\n(.*?)```", text(PAGE), re.S).group(1)
        path, = glob.glob(os.path.join(trace, "*.trace"))
        done = subprocess.run([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0)
        kinds = [line.split()[0] for line in done.stdout.splitlines()]
        self.assertEqual(len(kinds), after)
        self.assertEqual(kinds.count("1"), 20)  # one OPEN for each connection
        # Each request and each answer; the last answer can reach the client before its record is made.
        self.assertGreaterEqual(kinds.count("2"), 39)


if __name__ == "__main__":
    unittest.main()
