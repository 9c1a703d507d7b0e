# SPDX-License-Identifier: BSD-2-Clause
#
# Results as programs read them, many cases at a time, and the shipped catalogue.

import json
import os
import re
import xml.etree.ElementTree as ElementTree

import scenarios
from scenarios import ASK, ECHO, PLAIN, PYTHON

FAILS = "steps: [{client: {do: [{request: \"/<&>\\\"\"}, {expect: {status: 200}}]}}]\n"


class Output(scenarios.ScenarioCase):
    def mixed(self, *args):
        good = self.write("version: 1\nname: good\nseeds: [1, 2]\n" + PLAIN + ASK, "good.yaml")
        bad = self.write("version: 1\nname: bad\n" + PLAIN + FAILS, "bad<&>.yaml")
        none = self.write("version: 1\nname: none\ntarget: {cmd: [no-such-program]}\n" + ASK, "none.yaml")
        return self.run_test(*args, good, bad, none)

    def test_tap_numbers_its_plan_and_every_case(self):
        done = self.mixed("--format", "tap")
        lines = done.out.splitlines()
        self.assertEqual(done.status, 1)
        self.assertEqual(lines[:2], ["TAP version 13", "1..4"])
        results = [re.match(r"(not ok|ok) (\d+) - (\S+)$", l).groups() for l in lines if re.match("(not )?ok", l)]
        self.assertEqual(results, [("ok", "1", "good/1"), ("ok", "2", "good/2"), ("not ok", "3", "bad"),
                                   ("not ok", "4", "none")])
        inside = False
        for line in lines[2:]:
            if line == "  ---":
                inside = True
            self.assertTrue(line.startswith("  ") if inside else re.match("(not ok|ok|#)", line), line)
            inside = inside and line != "  ..."

    def test_junit_is_well_formed_whatever_names_and_messages_hold(self):
        done = self.mixed("--format", "junit")
        suite = ElementTree.fromstring(done.out).find("testsuite")
        self.assertEqual({k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")},
                         {"tests": "4", "failures": "1", "errors": "1", "skipped": "0"})
        cases = suite.findall("testcase")
        self.assertEqual([c.get("name") for c in cases], ["good/1", "good/2", "bad", "none"])
        self.assertIn("bad<&>.yaml:4:", cases[2].find("failure").text)
        self.assertIn("no-such-program", cases[3].find("error").text)
        self.assertGreater(float(suite.get("time")), 0)

    def test_json_tells_verdicts_messages_and_traces(self):
        cases = json.loads(self.mixed("--format", "json").out)["cases"]
        self.assertEqual([c["result"] for c in cases], ["passed", "passed", "failed", "error"])
        self.assertTrue(os.path.isdir(cases[2]["trace"]))
        self.assertIsNone(cases[0]["trace"])

    def test_cases_run_beside_each_other_and_are_told_in_order(self):
        # Each of the two waits until the other has begun, which only -j 2 can give.
        meet = "touch %s/$seed; until test -e %s/1 -a -e %s/2; do sleep 0.01; done" % ((self.dir,) * 3)
        path = self.write("version: 1\nname: meet\nseeds: [1, 2]\n" + PLAIN +
                          "steps: [{run: {cmd: [sh, -c, '%s'], timeout: 20s}}]\n" % meet)
        done = self.run_test("-j", "2", path)
        self.assertEqual(done.status, 0, done)
        self.assertEqual(re.findall(r"^ok +(\S+)", done.out, re.M), ["meet/1", "meet/2"])

    def test_filter_takes_names(self):
        paths = [self.write("version: 1\nname: %s\n" % name + PLAIN + ASK, name + ".yaml")
                 for name in ("one", "two", "twice")]
        done = self.run_test("--filter", "tw*", "--format", "json", *paths)
        self.assertEqual([c["scenario"] for c in done.json()["cases"]], ["two", "twice"])


class Catalogue(scenarios.ScenarioCase):
    def test_shipped_scenarios_hold_on_websockets(self):
        done = self.run_test("--catalogue", "--path", "/ws", "-j", "2", "--filter", "*-101", "--", PYTHON,
                             os.path.join(scenarios.SERVERS, "ws.py"), "$port", timeout=600)
        self.assertEqual(done.status, 0, done)
        self.assertGreaterEqual(len(done.out.splitlines()), 5)

    def test_every_shipped_scenario_says_what_it_shows(self):
        done = self.run_test("--catalogue", "--list")
        self.assertGreaterEqual(len(done.out.splitlines()), 20)
        for line in done.out.splitlines():
            self.assertRegex(line, r"^[a-z0-9-]+ +[A-Za-z].*\.$")

    def test_a_template_finds_the_bug_it_is_made_for(self):
        # A server that answers a reset connection with its own end.
        serve = ("import socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                 "while True:\n    c = s.accept()[0]\n    c.recv(4000)\n"
                 "    c.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n\\r\\n')\n"
                 "    c.close()\n")
        path = self.write(serve, "serve.py")
        done = self.run_test("--catalogue", "--filter", "rst-in-101", "--", PYTHON, path, "$port")
        self.assertEqual(done.status, 1, done)
        self.assertIn("client 'next'", done.out)

    def test_a_scenario_with_a_target_is_no_template(self):
        path = self.write("version: 1\n" + ECHO + ASK)
        done = self.run_test("--templates", path, "--", "true")
        self.assertEqual(done.status, 2)
        self.assertIn("target of its own", done.err)
