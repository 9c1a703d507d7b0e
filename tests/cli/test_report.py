# SPDX-License-Identifier: BSD-2-Clause
#
# report: what stands in the text at 3 a.m., and what happens when the trace is not what it should be.

import contextlib
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import victim
from harness import SHAKEDOWN, Server, ServerCase, free_port, shakedown, wait_for

BLOCK = re.compile(r"^connection #\d+", re.M)


def blocks(text):
    """The blocks of a text report, each from its rule to the next or to the totals."""
    text = re.split(r"^(?:plain exchanges|findings|coverage)$", text, maxsplit=1, flags=re.M)[0]
    starts = [m.start() for m in BLOCK.finditer(text)]
    return [text[a:b] for a, b in zip(starts, starts[1:] + [len(text)])]


def on_terminal(*args, columns=80, env=None):
    """What the command writes to a terminal of that width."""
    master, slave = pty.openpty()
    import fcntl
    import termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen([SHAKEDOWN, *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                               env={**os.environ, "TERM": "xterm", **(env or {})})
    os.close(slave)
    out = b""
    with contextlib.suppress(OSError):
        while True:
            data = os.read(master, 65536)
            if not data:
                break
            out += data
    os.close(master)
    process.wait(60)
    return out.decode("utf-8").replace("\r\n", "\n")


class Recorded(ServerCase):
    """One recording, made once."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve([victim.program(), "{port}"], free_port())
        victim.record(cls.server)
        cls.server.terminate()
        cls.trace = cls.server.trace

    def report(self, *args, status=0):
        done = shakedown("report", self.trace, *args)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout[-2000:])
        return done.stdout

    def block(self, *args):
        found = blocks(self.report(*args))
        self.assertEqual(len(found), 1, found)
        return found[0]


class WhatItSays(Recorded):
    def test_a_spoiled_upgrade_gets_what_who_why_and_fix(self):
        block = self.block("--path", "/ws[?]spoil=after")
        self.assertIn("http-after-101", block)
        self.assertRegex(block, r"(?m)^  what  ")
        self.assertRegex(block, r"(?m)^  why   ")
        self.assertRegex(block, r"(?m)^  fix   ")
        self.assertRegex(block, r"(?m)^  blame +metrics +.*victim_early_answer\.c:%d\b"
                         % victim.line_of('send_text(r->fd, "HTTP/1.1 200 OK\\r\\nContent-Length: 2'))

    def test_the_timeline_shows_calls_bytes_and_phases(self):
        block = self.block("--path", "/ws[?]spoil=after")
        self.assertRegex(block, r"(?m)^ +\+0\.000 ms +\w+ +<- +\d+ B +before-response +GET /ws\?spoil=after")
        self.assertRegex(block, r"-> +\d+ B +upgraded +HTTP/1\.1 101")

    def test_evidence_is_marked_and_its_bytes_shown_escaped(self):
        block = self.block("--path", "/ws[?]spoil=after")
        self.assertRegex(block, r"(?m)^  > .*\n +sent byte \d+: HTTP/1\.1 200 OK\\r\\n")

    def test_text_written_by_the_server_stands_in_the_timeline(self):
        block = self.block("--path", "/ws[?]spoil=reject")
        self.assertRegex(block, r"stderr .*refused: nobody is logged in\\n")

    def test_a_healthy_attempt_takes_one_line(self):
        text = self.report("--path", "/ws")
        lines = [l for l in text.splitlines() if re.search(r"\bupgraded +GET /ws  websocket", l)]
        self.assertEqual(len(lines), 1, text)
        self.assertIn("frames 2 in 2 out", lines[0])

    def test_totals_count_outcomes_and_what_needs_attention(self):
        last = self.report().strip().splitlines()[-1]
        self.assertRegex(last, r"^9 attempts: \d+ upgraded, .*; \d+ need attention$")

    def test_findings_are_counted(self):
        text = self.report()
        self.assertRegex(text, r"(?m)^findings$")
        self.assertRegex(text, r"(?m)^ +2  critical  http-after-101$")
        self.assertRegex(text, r"(?m)^ +0  error     upgrade-ignored-2xx: 1 beside another$")

    def test_plain_exchanges_are_counted_by_path_without_query(self):
        text = self.report()
        self.assertRegex(text, r"(?m)^ +3 +<\S+ \S+ +<\S+ \S+ +<\S+ \S+ +GET +/plain$")
        self.assertNotIn("q=1", text)

    def test_coverage_of_every_process_is_stated(self):
        self.assertRegex(self.report(), r"(?m)^  %d +victim_early_answer +full +12 connections, "
                         r"9 attempts, gone, its end was not seen$" % self.server.pid)

    def test_nothing_from_the_network_reaches_the_terminal_raw(self):
        text = self.report("--all")
        self.assertIn(r"/\x9b\xff", text)
        for c in text:
            self.assertTrue(c == "\n" or c.isprintable(), repr(c))

    def test_lines_fit_a_hundred_columns(self):
        for line in self.report("--all").splitlines():
            self.assertLessEqual(len(line), 100, line)

    def test_a_terminal_gets_colour_and_its_own_width(self):
        text = on_terminal("report", self.trace, columns=70)
        self.assertIn("\x1b[", text)
        for line in text.splitlines():
            self.assertLessEqual(len(re.sub(r"\x1b\[[0-9;]*m", "", line)), 100, line)
        rules = [re.sub(r"\x1b\[[0-9;]*m", "", l) for l in text.splitlines() if "connection #" in l]
        self.assertEqual({len(r) for r in rules}, {70}, rules)

    def test_no_color_is_respected_and_pipes_get_none(self):
        self.assertNotIn("\x1b", on_terminal("report", self.trace, env={"NO_COLOR": "1"}))
        self.assertNotIn("\x1b", self.report())


class Filters(Recorded):
    def paths(self, *args):
        return sorted(set(re.findall(r"GET (/\S+)", "\n".join(
            l for l in self.report(*args).splitlines() if re.match(r"  (GET|.*#\d+ )", l)))))

    def test_path_takes_a_glob_with_or_without_the_query(self):
        self.assertEqual(self.paths("--path", "*spoil=early"), ["/ws?spoil=early"])
        self.assertEqual(len(self.paths("--path", "/ws")), 8)
        self.assertEqual(self.paths("--path", "/other/*"), [])

    def test_finding_keeps_attempts_that_have_it(self):
        self.assertEqual(self.paths("--finding", "response-before-101"), ["/ws?spoil=early"])
        self.assertEqual(self.paths("--finding", "bad-accept"), ["/ws?spoil=wrong"])

    def test_conn_takes_the_number_the_report_shows(self):
        number = re.search(r"connection #(\d+)", self.block("--path", "*spoil=wrong")).group(1)
        self.assertEqual(self.paths("--conn", number), ["/ws?spoil=wrong"])

    def test_since_keeps_what_began_later(self):
        self.assertEqual(len(self.paths("--since", "1h")), 9)
        self.assertEqual(self.paths("--since", "@%d" % (time.time() + 3600)), [])

    def test_all_shows_healthy_attempts_in_full(self):
        self.assertEqual(len(blocks(self.report("--path", "/ws", "--all"))), 8)

    def test_thresholds_are_options(self):
        done = shakedown("report", self.trace, "--never-answered", "1h", "--close-wait", "2h",
                         "--timer-percent", "5")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_fail_on_looks_at_what_passed_the_filter(self):
        self.report("--fail-on", "critical", status=1)
        self.report("--fail-on", "critical", "--path", "*spoil=reject", status=0)
        self.report("--fail-on", "warning", "--path", "*spoil=reject", status=1)

    def test_a_misspelt_finding_is_refused_with_the_nearest_real_one(self):
        done = shakedown("report", self.trace, "--finding", "bad-acept")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'bad-accept'?", done.stderr)

    def test_wrong_values_are_refused_with_one_sentence(self):
        for args in (["--since", "yesterday"], ["--conn", "x"], ["--fail-on", "bad"],
                     ["--never-answered", "5"], []):
            done = shakedown("report", *([self.trace] if args else []), *args)
            self.assertEqual(done.returncode, 2, args)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertEqual(done.stdout, "")


class BadTraces(Recorded):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-report-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        name = next(n for n in os.listdir(self.trace) if n.endswith(".trace"))
        self.file = os.path.join(self.dir, name)
        with open(os.path.join(self.trace, name), "rb") as f:
            # Behind the last record there is only sparse nothing.
            self.bytes = f.read(8 << 20)

    def write(self, data):
        with open(self.file, "wb") as f:
            f.write(data)
        return self.file

    def refused(self, path, *words):
        done = shakedown("report", path)
        self.assertEqual(done.returncode, 3, done.stderr + done.stdout)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in words:
            self.assertRegex(done.stderr, word)
        self.assertEqual(done.stdout, "")

    def test_a_missing_folder_is_named(self):
        self.refused("/nonexistent/x.trace", "/nonexistent/x.trace", "No such file")

    def test_an_empty_folder_says_what_it_lacks(self):
        self.refused(self.dir, re.escape(self.dir))

    def test_a_foreign_file_is_refused(self):
        self.refused(self.write(b"not a trace, whatever its name says\n" * 400), "not a trace")

    def test_a_newer_trace_is_refused_clearly(self):
        newer = bytearray(self.bytes)
        newer[8:12] = struct.pack("=I", 999)
        self.refused(self.write(newer), "newer")

    def test_a_file_shorter_than_a_header_is_refused(self):
        self.refused(self.write(self.bytes[:100]), re.escape(self.file))

    def test_a_cut_off_file_is_shown_as_far_as_it_goes(self):
        done = shakedown("report", self.write(self.bytes))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cut off", done.stderr)
        self.assertIn("9 attempts", done.stdout)
        self.assertIn("the file is cut off", done.stdout)

    def test_a_bad_file_beside_a_good_one_hides_nothing(self):
        self.write(self.bytes)
        with open(os.path.join(self.dir, "1-2-3.trace"), "wb") as f:
            f.write(b"junk" * 5000)
        done = shakedown("report", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1-2-3.trace", done.stderr)
        self.assertIn("9 attempts", done.stdout)
        gated = shakedown("report", self.dir, "--fail-on", "critical", "--path", "*reject")
        self.assertEqual(gated.returncode, 3, "an unread part must not pass a gate")

    def test_a_spoiled_file_never_crashes_the_report(self):
        recorded = self.bytes.rstrip(b"\0") + bytes(4096)
        seed = 12345
        for _ in range(60):
            data = bytearray(recorded)
            for _ in range(40):
                seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
                data[seed % len(data)] = seed >> 56
            done = shakedown("report", self.write(data), "--format", "json", "--all")
            self.assertIn(done.returncode, (0, 3), done.stderr)

    def test_a_full_disk_under_the_report_is_no_success(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SHAKEDOWN, "report", self.trace], stdin=subprocess.DEVNULL,
                                  stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertIn("cannot write the report", done.stderr)


class Following(unittest.TestCase):
    """report --follow of a server that is still running."""

    def follow(self, trace, *args):
        process = subprocess.Popen([SHAKEDOWN, "report", trace, "--follow", *args],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait(10)

    def read_until(self, process, what):
        lines = []
        for line in process.stdout:
            lines.append(line)
            if re.search(what, line):
                return "".join(lines)
        raise AssertionError("%r never came:\n%s%s" % (what, "".join(lines), process.stderr.read()))

    def test_attempts_appear_while_the_server_runs_and_it_ends_with_it(self):
        with victim.serving() as server:
            process = self.follow(server.trace)
            victim.healthy(server)
            self.read_until(process, r"upgraded +GET /ws  websocket")
            victim.spoil(server, "after")
            self.read_until(process, r"blame +metrics")
            server.terminate()
            self.assertEqual(process.wait(30), 0)
            self.assertIn("every process has ended", process.stderr.read())

    def test_it_waits_for_a_server_that_has_not_begun(self):
        with tempfile.TemporaryDirectory() as place:
            trace = os.path.join(place, "t")
            os.mkdir(trace, 0o700)
            process = self.follow(trace)
            with victim.serving(trace=trace) as server:
                victim.spoil(server, "reject")
                self.read_until(process, "upgrade-rejected")

    def test_interrupting_it_is_no_failure(self):
        with victim.serving() as server:
            process = self.follow(server.trace)
            victim.healthy(server)
            self.read_until(process, "upgraded")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(30), 0)

    def test_each_attempt_is_printed_once(self):
        with victim.serving() as server:
            process = self.follow(server.trace)
            for _ in range(5):
                victim.healthy(server)
            server.terminate()
            out, _ = process.communicate(timeout=30)
            self.assertEqual(len(re.findall(r"upgraded +GET /ws", out)), 5, out)

    def test_fail_on_counts_while_following(self):
        with victim.serving() as server:
            process = self.follow(server.trace, "--fail-on", "critical")
            victim.spoil(server, "after")
            self.read_until(process, "blame")
            server.terminate()
            self.assertEqual(process.wait(30), 1)

    def test_a_report_of_a_live_server_is_complete_so_far(self):
        with victim.serving() as server:
            victim.spoil(server, "reject")
            wait_for(lambda: "1 attempt: 1 refused" in shakedown("report", server.trace).stdout)
            self.assertIn("still running", shakedown("report", server.trace).stdout)


if __name__ == "__main__":
    unittest.main()
