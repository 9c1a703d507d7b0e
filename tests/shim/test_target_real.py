# SPDX-License-Identifier: BSD-2-Clause
"""What core/target says of real programs is what other tools, and the programs themselves, say of them."""

import functools
import glob
import os
import re
import shutil
import subprocess
import unittest

import harness
import programs

# Calls the network goes through, and names of functions the doors look for.
NAMES = ["main.main", "main.outer", "net/http.(*response).WriteHeader", "net/http.(*conn).serve",
         "runtime.main", "syscall.read", "no.such"]
SITE_NAMES = ("internal/runtime/syscall/linux.Syscall6", "internal/runtime/syscall.Syscall6",
              "runtime/internal/syscall.Syscall6")

# Prints, for every tenth byte of its functions, what Go's runtime calls that place.
GO_PROGRAM = """package main

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"runtime"
)

type box struct{ v int }

//go:noinline
func (b *box) get() int { return b.v }

func small(n int) int {
	if n > 3 {
		return n / 3
	}
	return n + 1
}

func middle(n int) int { return small(n) + small(n*n) }

//go:noinline
func outer(n int) int { return middle(n) * 2 }

func show(f any) {
	entry := reflect.ValueOf(f).Pointer()
	for pc := entry; runtime.FuncForPC(pc+1) != nil && runtime.FuncForPC(pc+1).Entry() == entry; pc++ {
		frame, _ := runtime.CallersFrames([]uintptr{pc + 1}).Next()
		if frame.Line == 0 {
			continue // the padding behind a function
		}
		fmt.Printf("%x\\t%s\\t%s\\t%d\\n", pc-entry, frame.Function, frame.File, frame.Line)
	}
}

func main() {
	if outer(len(os.Args)) == 99 {
		http.ListenAndServe("127.0.0.1:0", nil)
	}
	show(outer)
	show((*box).get)
	show(http.Error)
	show(http.NewRequest)
}
"""
SHOWN = ["main.outer", "main.(*box).get", "net/http.Error", "net/http.NewRequest"]

C_PROGRAM = r"""
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void *nothing(void *arg) { return arg; }

int main(int argc, char **argv)
{
	char b[8];
	struct iovec v = {b, 1};
	struct epoll_event e;
	pthread_t t;
	int s = 0;

	pthread_create(&t, 0, nothing, 0);
	pthread_join(t, 0);
	if (argc > 1) {
		s = accept4(accept(s, 0, 0), 0, 0, 0);
		return (int)(read(s, b, 1) + write(s, b, 1) + writev(s, &v, 1) + recv(s, b, 1, 0) +
			     send(s, b, 1, 0) + connect(s, 0, 0) + epoll_wait(s, &e, 1, 0) +
			     epoll_ctl(s, 1, 1, &e) + close(s) + syscall(SYS_gettid));
	}
	return 0;
}
"""


@functools.lru_cache(maxsize=None)
def printer():
    core = sorted(glob.glob(os.path.join(harness.ROOT, "core", "target", "elf.c")) +
                  glob.glob(os.path.join(harness.ROOT, "core", "target", "go*.c")) +
                  glob.glob(os.path.join(harness.ROOT, "core", "target", "site*.c")))
    return programs.build("target_print.c", *core)


def ask(what, path, *names, given=""):
    done = subprocess.run([printer(), what, path, *names], input=given, stdout=subprocess.PIPE,
                          text=True, timeout=programs.TIMEOUT, check=True)
    return [line.split(None if what != "frames" else "\t") for line in done.stdout.splitlines()]


def toolchains():
    """The go commands of this machine: on PATH, and where Debian puts them."""
    found = [shutil.which("go")] + glob.glob("/usr/lib/go-*/bin/go")
    return sorted({os.path.realpath(path) for path in found if path})


SHAPES = {
    "static": ([], "0"),
    "stripped": (["-ldflags=-s -w"], "0"),
    "external-pie": (["-buildmode=pie", "-ldflags=-linkmode=external"], "1"),
}


class Go(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.go = toolchains()
        if not cls.go:
            harness.skip("no-go")

    @functools.lru_cache(maxsize=None)
    def build(self, go, shape):
        flags, cgo = SHAPES[shape]
        place = os.path.join(programs.folder(), "go-%d" % self.go.index(go))
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, "main.go"), "w", encoding="ascii") as file:
            file.write(GO_PROGRAM)
        with open(os.path.join(place, "go.mod"), "w", encoding="ascii") as file:
            file.write("module example.org/shown\n\ngo 1.18\n")
        env = dict(os.environ, CGO_ENABLED=cgo, GOTOOLCHAIN="local", GOWORK="off", GOFLAGS="")
        path = os.path.join(place, shape)
        done = subprocess.run([go, "build", "-o", path, *flags, "."], cwd=place, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return path

    def each(self, check):
        """check(program, the same program with symbols)"""
        for go in self.go:
            for shape in SHAPES:
                with self.subTest(go=go, shape=shape):
                    check(self.build(go, shape),
                          self.build(go, "static" if shape == "stripped" else shape))

    def test_sites_and_functions_are_where_the_symbols_are(self):
        def check(path, named):
            symbols = {}
            for row in re.findall(r"(?m)^([0-9a-f]+) [tT] (.+)$", programs.run("nm", named).stdout):
                symbols[row[1]] = int(row[0], 16)
            if path != named:  # a note less: everything may move, by as much as main.main
                main = ask("go", path, "main.main")[-1]
                moved = int(main[2], 16) - symbols["main.main"]
                symbols = {name: address + moved for name, address in symbols.items()}
            said = ask("go", path, *NAMES)
            sites = [int(row[1], 16) for row in said if row[0] == "site"]
            self.assertEqual(sites, [symbols[n] for n in SITE_NAMES if n in symbols])
            self.assertIn(["text", hex(symbols["runtime.text"])], [row[:2] for row in said])
            for row in said:
                if row[0] == "function":
                    self.assertEqual(int(row[2], 16), symbols.get(row[1], 0), row[1])
        self.each(check)

    def test_a_goroutines_number_and_thread_are_where_the_debug_information_says(self):
        def member(text, struct, name):
            return re.search(r"DW_AT_name\s*: (?:\(.*?\): )?runtime\.%s\n.*?"
                             r"DW_AT_name\s*: (?:\(.*?\): )?%s\n.*?"
                             r"DW_AT_data_member_location: (\d+)" % (struct, name), text, re.S)[1]
        for go in self.go:
            path = self.build(go, "static")
            text = programs.run("readelf", "--debug-dump=info", path).stdout
            rows = {row[0]: row[1:] for row in ask("go", path)}
            self.assertEqual(rows["layout"], [member(text, "g", "goid"), member(text, "g", "m"),
                                              member(text, "m", "procid")], go)

    def test_every_byte_of_a_function_has_the_frame_go_gives_it(self):
        def check(path, _):
            done = programs.run(path)
            self.assertEqual(done.returncode, 0, done.stderr)
            entries = [int(row[2], 16) for row in ask("go", path, *SHOWN) if row[0] == "function"]
            want, which = [], -1
            for line in done.stdout.splitlines():
                offset, *place = line.split("\t")
                which += offset == "0"
                want.append(["%x" % (entries[which] + int(offset, 16)), *place])
            self.assertGreater(len(want), 300)
            seen = {}
            for row in ask("frames", path, given="\n".join(row[0] for row in want)):
                seen.setdefault(row[0], row)  # the innermost comes first
            for row in want:
                self.assertEqual(seen.get(row[0]), row)
        self.each(check)

    def test_inlined_calls_name_their_callers(self):
        def check(path, _):
            row = ask("go", path, "main.outer")[-1]
            entry = int(row[2], 16)
            chains = {}
            for pc, name, _, line in ask("frames", path, given="\n".join(
                    "%x" % pc for pc in range(entry, entry + 64))):
                chains.setdefault(pc, []).append((name, int(line)))
            self.assertIn([("main.small", 20), ("main.middle", 23), ("main.outer", 26)],
                          list(chains.values()))
        self.each(check)


class Static(unittest.TestCase):
    @functools.lru_cache(maxsize=None)
    def build(self, compiler):
        path = os.path.join(programs.folder(), "static-" + compiler)
        done = subprocess.run([compiler, "-O2", "-static", "-x", "c", "-", "-o", path],
                              input=C_PROGRAM, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=programs.TIMEOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return path

    @functools.lru_cache(maxsize=None)
    def instructions(self, path):
        """address -> text of the instruction, as objdump reads them."""
        found = {}
        for line in programs.run("objdump", "-d", "--no-show-raw-insn", path).stdout.splitlines():
            row = re.match(r"^\s*([0-9a-f]+):\t(.*?)\s*$", line)
            if row:
                found[int(row[1], 16)] = row[2]
        return found

    def sites(self, path):
        said = ask("sites", path)
        return [[int(v, 0) for v in row[1:]] for row in said if row[0] == "site"], said[-1]

    def both(self):
        for compiler in ("gcc", "musl-gcc"):
            with self.subTest(compiler):
                yield self.build(compiler)

    def test_a_site_is_whole_instructions_around_a_syscall(self):
        for path in self.both():
            code = self.instructions(path)
            sites, _ = self.sites(path)
            self.assertTrue(sites)
            for address, size, before, nr, _ in sites:
                self.assertEqual(code.get(address + before), "syscall", hex(address))
                self.assertIn(address, code)
                self.assertIn(address + size, code)
                self.assertGreaterEqual(size, 5)
                if before == 5:
                    self.assertRegex(code[address], r"mov +\$0x%x,%%eax" % nr)

    def test_nothing_jumps_into_a_site(self):
        for path in self.both():
            sites, _ = self.sites(path)
            inside = {address + i for address, size, *_ in sites for i in range(1, size)}
            for address, text in self.instructions(path).items():
                to = re.match(r"(?:notrack )?(?:j[a-z]+|call|loop[a-z]*) +([0-9a-f]+) <", text)
                if to and int(to[1], 16) in inside:
                    self.fail("%x: %s" % (address, text))

    def test_every_syscall_is_a_site_or_counted_as_refused(self):
        for path in self.both():
            sites, totals = self.sites(path)
            calls = sum(text == "syscall" for text in self.instructions(path).values())
            self.assertEqual(int(totals[1]), len(sites))
            # A call of no known function and without its number before it is not even counted.
            self.assertLessEqual(int(totals[1]) + int(totals[2]), calls)
            self.assertGreater(len(sites), calls * 0.7)

    def test_the_calls_of_a_server_are_among_the_sites(self):
        numbers = {s[3] for s in self.sites(self.build("gcc"))[0]}
        for nr, name in ((0, "read"), (1, "write"), (3, "close"), (20, "writev"), (42, "connect"),
                         (43, "accept"), (44, "sendto"), (45, "recvfrom"), (232, "epoll_wait"),
                         (233, "epoll_ctl"), (288, "accept4")):
            self.assertIn(nr, numbers, name)

    def test_glibc_programs_keep_their_sites_when_they_are_stripped(self):
        path = self.build("gcc")
        stripped = path + ".stripped"
        programs.run("strip", "-o", stripped, path)
        whole, _ = self.sites(path)
        left, _ = self.sites(stripped)
        self.assertEqual([s for s in left if s not in whole], [])
        self.assertGreater(len(left), len(whole) * 0.9)

    def test_musl_programs_have_none_when_they_are_stripped(self):
        path = self.build("musl-gcc")
        stripped = path + ".stripped"
        programs.run("strip", "-o", stripped, path)
        sites, totals = self.sites(stripped)
        self.assertEqual(sites, [])
        self.assertGreater(int(totals[2]), 0, "and says so")


if __name__ == "__main__":
    unittest.main()
