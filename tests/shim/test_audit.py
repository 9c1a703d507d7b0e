# SPDX-License-Identifier: BSD-2-Clause
"""The library exports what calls.def says, needs nothing, and stays within its stack."""

import collections
import functools
import glob
import os
import re
import unittest

import harness
import programs
from harness import LIB

PRIVATE_LIMIT = 8 * 1024  # bytes of a private stack of 16 KiB; a signal's frame may need the rest
FRAME_LIMIT = 512  # bytes of one function
STACK_LIMIT = 1024  # bytes of the deepest chain of calls below an exported function

# What the stack rule does not hold for, and why.
OUTSIDE_OF_CALLS = {"start", "end"}  # constructor and destructor: on the main thread's own stack
LIKE_LIBC = {"execl", "execlp", "execle", "execve", "execv", "execvp", "execvpe", "execveat",
             "fexecve", "posix_spawn", "posix_spawnp"}  # libc's own take more than a page there

# Stubs under one name, each of which pushes one word.
MANY_ENTRIES = {"static_stubs"}

# What a call of a static program takes besides the frames: the red zone it keeps clear of, the stub's
# word, struct static_room, and evenness.
BELOW_A_SITE = 128 + 8 + 112 + 8
SITE_LIMIT = 1280  # in all: the red zone and every register come on top of the engine's budget

# Recursion that ends: a failed append reports itself, and the bit it sets in the header stops the
# second report.
ONCE_AGAIN = {"recorder_cover", "recorder_begin", "reserve"}


class Exports(unittest.TestCase):
    def test_exported_names_are_exactly_those_of_the_table(self):
        ours = {name for _, kind, name, _ in programs.symbols(LIB, "--defined-only")}
        self.assertEqual(ours, programs.exported())

    def test_every_name_is_a_plain_function(self):
        for _, kind, name, version in programs.symbols(LIB, "--defined-only"):
            self.assertEqual((kind, version), ("T", ""), name)

    def test_libc_has_every_name_that_is_not_optional(self):
        for row in programs.rows():
            if row.exported and row.klass != "OPTIONAL":
                self.assertIn(row.name, programs.libc_symbols(), "calls.def: no such name in libc")

    def test_every_fortified_sibling_is_overridden(self):
        libc = programs.libc_symbols()
        for name in programs.exported():
            for sibling in ("__%s_chk" % name, "__%s_2" % name):
                if sibling in libc:
                    self.assertIn(sibling, programs.exported())

    def test_no_other_name_of_an_overridden_function_is_left_open(self):
        """Aliases: names at the same address in libc, and the 64-bit and nocancel spellings."""
        libc, ours = programs.libc_symbols(), programs.exported()
        by_address = collections.defaultdict(set)
        for name, address in libc.items():
            by_address[address].add(name)
        for name in ours & set(libc):
            siblings = by_address[libc[name]] | {
                s for s in ("__" + name, name + "64", "__%s64" % name, "__%s_nocancel" % name)
                if s in libc}
            with self.subTest(name):
                self.assertEqual(siblings - ours, set())


class Needs(unittest.TestCase):
    @functools.lru_cache(maxsize=None)
    def readelf(self, *flags):
        return programs.run("readelf", "-W", *flags, LIB).stdout

    def test_nothing_is_imported_but_dlsym_weakly_and_without_a_version(self):
        undefined = [(kind, name, version) for _, kind, name, version in
                     programs.symbols(LIB, "--undefined-only")]
        self.assertEqual(undefined, [("w", "dlsym", "")])

    def test_no_other_library_is_needed(self):
        self.assertNotIn("(NEEDED)", self.readelf("-d"))

    def test_no_symbol_versions(self):
        for tag in ("VERNEED", "VERDEF", "VERSYM"):
            self.assertNotIn(tag, self.readelf("-d"))

    def test_loaders_of_both_libcs_find_a_hash_table(self):
        self.assertIn("(GNU_HASH)", self.readelf("-d"))
        self.assertIn("(HASH)", self.readelf("-d"))

    def test_no_thread_local_storage_and_no_indirect_functions(self):
        self.assertNotIn(" TLS ", self.readelf("-l"))
        self.assertNotIn("IRELATIV", self.readelf("-r"))
        self.assertNotIn(" IFUNC ", self.readelf("-s"))

    def test_nothing_is_writable_that_need_not_be(self):
        self.assertNotIn("TEXTREL", self.readelf("-d"))
        self.assertIn("GNU_RELRO", self.readelf("-l"))
        self.assertIn("BIND_NOW", self.readelf("-d"))
        stack = re.search(r"GNU_STACK.*", self.readelf("-l"))
        self.assertIn("RW ", stack[0])

    def test_unwind_tables_are_there(self):
        """Cancellation and blame go through our frames."""
        self.assertIn("GNU_EH_FRAME", self.readelf("-l"))

    def test_no_floating_point_register_is_touched(self):
        code = programs.run("objdump", "-d", "--no-show-raw-insn", LIB).stdout
        self.assertEqual(re.findall(r"^.*%[xyz]mm\d.*$", code, re.M)[:3], [])


class Stack(unittest.TestCase):
    """Read from the compiler's .su files and the calls in the linked library."""

    @classmethod
    def setUpClass(cls):
        cls.frames, cls.kinds = {}, {}
        folder = os.path.join(os.path.dirname(os.path.realpath(LIB)), "guest")
        files = glob.glob(os.path.join(folder, "**", "*.su"), recursive=True)
        if not files:
            raise AssertionError("no .su files under %s: was the guest built by gcc?" % folder)
        for path in files:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    where, size, kind = line.rstrip("\n").split("\t")
                    name = where.rsplit(":", 1)[1]
                    if int(size) >= cls.frames.get(name, -1):
                        cls.frames[name], cls.kinds[name] = int(size), kind
        cls.calls = cls.call_graph()

    @classmethod
    def call_graph(cls):
        """function -> {(callee, whether the caller's frame is still there)}

        Frames of the assembly file, which no .su file tells, are counted from its pushes.
        """
        code = programs.run("objdump", "-d", "--no-show-raw-insn", LIB).stdout
        graph, here, pushed = collections.defaultdict(set), None, {}
        for line in code.splitlines():
            start = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
            if start:
                here = start[1]
                pushed[here] = 8
                continue
            if re.search(r"\spush\s", line):
                pushed[here] += 8
            call = re.search(r"\s(call|j[a-z]+)\s+[0-9a-f]+ <([^>+]+?)(?:@plt)?>", line)
            if call and call[2] != here:
                # A jump to another function releases the frame first; one to a cold part does not.
                cold = ".cold" in call[2] or ".cold" in here
                graph[here].add((call[2], call[1] == "call" or cold))
        for name, size in pushed.items():
            if name.split(".")[0] not in cls.frames:
                cls.frames[name] = size
        return graph

    def frame(self, name):
        if ".cold" in name:
            return 0  # runs in the frame of the function it was split from
        return self.frames.get(name, self.frames.get(name.split(".")[0], 8))

    def deepest(self, name, above=(), again=False):
        """(bytes, chain of functions) of the deepest chain of calls from name."""
        if name in above:
            if name.split(".")[0] not in ONCE_AGAIN and ".cold" not in above[-1]:
                self.fail("recursion: " + " -> ".join(above + (name,)))
            if again or ".cold" in above[-1]:
                return 0, ()
            above, again = above[:above.index(name)], True
        if (name, again) not in self.memo:
            most, chain = self.frame(name), ()
            for callee, nested in self.calls.get(name, ()):
                if callee in LIKE_LIBC:
                    continue
                size, below = self.deepest(callee, above + (name,), again)
                size += self.frame(name) if nested else 0
                if size > most:
                    most, chain = size, below
            self.memo[name, again] = most, (name,) + chain
        return self.memo[name, again]

    memo = {}

    def test_every_frame_is_small(self):
        exempt = set(LIKE_LIBC) | {"exec_run", "exec_search"} | MANY_ENTRIES
        large = {n: s for n, s in self.frames.items() if s > FRAME_LIMIT and n not in exempt}
        self.assertEqual(large, {})

    def test_no_frame_grows_at_run_time(self):
        exempt = set(LIKE_LIBC) | {"exec_run"}
        grows = {n for n, k in self.kinds.items() if k == "dynamic" and n not in exempt}
        self.assertEqual(grows, set())

    def test_the_deepest_chain_of_calls_stays_within_the_budget(self):
        over = {}
        for name in programs.exported() - LIKE_LIBC:
            size, chain = self.deepest(name)
            if size > STACK_LIMIT:
                over[name] = "%d bytes: %s" % (size, " > ".join(
                    "%s(%d)" % (n, self.frame(n)) for n in chain))
        worst = sorted(over.values(), key=lambda s: -int(s.split()[0]))
        self.assertEqual(worst[:5], [], "%d exported functions" % len(over))

    def test_a_call_of_a_static_program_stays_within_the_budget(self):
        size, chain = self.deepest("site")
        self.assertIn("engine_enter", {callee for callee, _ in self.calls["static_enter"]})
        self.assertLessEqual(size + BELOW_A_SITE, SITE_LIMIT, " > ".join(
            "%s(%d)" % (n, self.frame(n)) for n in chain))

    def test_what_runs_on_a_private_stack_of_the_go_door_fits_it_with_room_for_a_signal(self):
        for name, calls in (("go_pre_registers", "go_enter"), ("go_post_0", "go_exit"),
                            ("witness", "go_witnessed")):
            self.assertIn(calls, {callee for callee, _ in self.calls[name]})
            size, chain = self.deepest(name)
            self.assertLessEqual(size, PRIVATE_LIMIT, " > ".join(
                "%s(%d)" % (n, self.frame(n)) for n in chain))


if __name__ == "__main__":
    unittest.main()
