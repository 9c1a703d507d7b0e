# SPDX-License-Identifier: BSD-2-Clause
#
# What is wrong with a scenario is said with file, line and column before anything starts.

import os
import re

import scenarios

HEAD = "target: {cmd: [touch, started]}\n"
STEPS = "steps: [{sleep: 1ms}]\n"

# name: (text behind `version: 1`, line:column, words of the sentence)
WRONG = {
    "a misspelt key": ("targt: {cmd: [x]}\n" + STEPS, "2:1", "did you mean 'target'?"),
    "a misspelt step": (HEAD + "steps:\n  - slep: 1s\n", "4:5", "did you mean 'sleep'?"),
    "a misspelt action": (HEAD + "steps:\n  - client:\n      do:\n        - upgrad: /ws\n", "6:11",
                          "did you mean 'upgrade'?"),
    "a duplicate key": (HEAD + STEPS + "settle: 1s\nsettle: 2s\n", "5:1", "is there already, in line 4"),
    "an anchor": (HEAD + "steps: &a [{sleep: 1s}]\n", "3:8", "anchors (&), aliases (*)"),
    "an alias": (HEAD + "steps: *a\n", "3:8", "anchors (&), aliases (*)"),
    "a tag": (HEAD + "steps: !!seq []\n", "3:8", "tags (!)"),
    "a second document": (HEAD + STEPS + "---\nversion: 1\n", "4:1", "second document"),
    "no YAML": (HEAD + "steps: [{sleep: 1s}\n", "4:1", "did not find expected"),
    "a tab": (HEAD + "steps:\n\t- sleep: 1s\n", "4:1", "cannot start any token"),
    "a list instead of a mapping": ("target: [x]\n" + STEPS, "2:9", "'target' must be a mapping"),
    "a missing unit": (HEAD + "steps: [{sleep: 300}]\n", "3:17", "has no unit"),
    "seeds out of range": (HEAD + STEPS + "seeds: [1, 99999999999999999999]\n", "4:12", "a seed must be"),
    "a seed of zero": (HEAD + STEPS + "seeds: 0..3\n", "4:8", "'seeds' must be"),
    "too many seeds": (HEAD + STEPS + "seeds: 1..1000000\n", "4:8", "no more than 10,000"),
    "seeds without an end": (HEAD + STEPS + "seeds: 1..\n", "4:8", "must have an end"),
    "a seed twice": (HEAD + STEPS + "seeds: [4, 5, 4]\n", "4:15", "in the list already"),
    "a wrong fault": (HEAD + "rules: {a: \"tx:dealy=3ms\"}\n" + STEPS, "3:16", "delay"),
    "a wrong phase in a mapping": (
        HEAD + "rules:\n  a: {site: tx@respons-head, fault: reset}\n" + STEPS, "4:16", "response-head"),
    "a time without a unit in a mapping": (
        HEAD + "rules:\n  a: {site: tx, fault: {delay: {time: 300}}}\n" + STEPS, "4:39", "unit"),
    "a wrong match in a mapping": (
        HEAD + "rules:\n  a: {site: tx, fault: reset, match: {paht: /ws}}\n" + STEPS, "4:39", "path"),
    "an impossible fault": (HEAD + "rules: {a: \"tx:duplicate\"}\n" + STEPS, "3:16", "byte stream"),
    "a rule with a name that is none": (HEAD + "rules: {a b: \"tx:drop\"}\n" + STEPS, "3:9",
                                        "cannot be called 'a b'"),
    "an unknown rule": (HEAD + "rules: {slow: \"tx:delay=3ms\"}\nsteps: [{on: slwo}]\n", "4:14",
                        "did you mean 'slow'?"),
    "an unknown client": (HEAD + STEPS + "expect: [{client: {a: {within: 1s}}}]\n", "4:20",
                          "there is no client 'a'"),
    "an unknown finding": (HEAD + STEPS + "expect: [{findings: {absent: http-after-202}}]\n", "4:30",
                           "did you mean 'http-after-101'?"),
    "an unknown phase": (HEAD + "steps: [{wait: {phase: upgrade}}]\n", "3:24", "did you mean 'upgraded'?"),
    "an unknown error": (HEAD + STEPS + "expect: [{never: {call: write, result: EPIP}}]\n", "4:40",
                         "no error of that name"),
    "a contradiction": (HEAD + STEPS[:-2] + ", {client: {name: a, do: [{upgrade: {at_least: 2s, "
                        "within: 1s}}]}}]\n", "3:80", "shorter than 'at_least'"),
    "two keys in a step": (HEAD + "steps:\n  - sleep: 1s\n    on: all\n", "5:5", "has one key"),
    "a version of the future": (HEAD + STEPS + "name: x\n", "1:10", "this is version 1"),
    "no steps": (HEAD, "1:1", "there are no steps"),
    "no target": (STEPS, "1:1", "there is no target"),
    "a sweep without n": (HEAD + STEPS + "sweep: {rule: \"recv:eintr\"}\n", "4:15", "must hold $n"),
    "a sweep backwards": (HEAD + STEPS + "sweep: {rule: \"recv:eintr:when=$n\", n: 9..2}\n", "4:40", "range"),
    "odd hexadecimal": (HEAD + "steps: [{client: {do: [{send: {hex: 0d0}}]}}]\n", "3:37", "hexadecimal"),
    "spin without settle": (HEAD + STEPS + "expect: [{server: {spin: no}}]\n", "4:20", "settle"),
    "a port too high": ("target: {cmd: [x], port: 70000}\n" + STEPS, "2:26", "at most 65535"),
}


class Input(scenarios.ScenarioCase):
    def test_everything_wrong_is_shown_at_its_place_before_a_server_starts(self):
        for name, (text, place, words) in WRONG.items():
            with self.subTest(name):
                version = "version: 2\n" if "future" in name else "version: 1\n"
                path = self.write(version + text)
                done = self.run_test(path)
                self.assertEqual(done.status, 2, done)
                self.assertTrue(done.err.startswith("%s:%s: " % (path, place)), done.err)
                self.assertIn(words, done.err)
                self.assertEqual(done.err.count("\n"), 1, done.err)
                self.assertFalse(os.path.exists(os.path.join(self.dir, "started")))

    def test_a_bomb_of_aliases_and_a_tower_of_lists_are_refused_at_once(self):
        bomb = "a: &a [x, x, x, x]\n" + "".join(
            "%s: &%s [*%s, *%s, *%s, *%s]\n" % (n, n, p, p, p, p)
            for p, n in zip("abcdefghij", "bcdefghijk"))
        self.assertIn("anchors", self.run_test(self.write(bomb)).err)
        done = self.run_test(self.write("version: 1\nsteps: " + "[" * 900 + "]" * 900))
        self.assertEqual(done.status, 2)
        self.assertIn("nested too deeply", done.err)

    def test_all_files_are_checked_before_the_first_runs(self):
        good = self.write("version: 1\n" + HEAD + STEPS, "good.yaml")
        bad = self.write("version: 1\n" + HEAD, "bad.yaml")
        done = self.run_test(good, bad)
        self.assertEqual(done.status, 2)
        self.assertIn("bad.yaml:1:1", done.err)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "started")))

    def test_what_is_no_scenario_file_is_told(self):
        with open(os.path.join(self.dir, "bytes.yaml"), "wb") as file:
            file.write(b"version: 1\nname: \xff\xfe\n")
        for path, words in (("absent.yaml", "cannot be read"), ("bytes.yaml", "UTF-8"), (".", "is no file"),
                            ("/dev/null", "is no file")):
            with self.subTest(path):
                done = self.run_test(path)
                self.assertIn(done.status, (2, 3))
                self.assertIn(words, done.err)

    def test_terminal_escapes_in_a_file_do_not_reach_the_terminal(self):
        done = self.run_test(self.write('version: 1\n"st\\e[31meps": 1\n'))
        self.assertEqual(done.status, 2)
        self.assertNotIn("\x1b", done.err)

    def test_init_writes_a_scenario_that_loads_and_never_overwrites(self):
        path = os.path.join(self.dir, "new.yaml")
        self.assertEqual(self.run_test("--init", path).status, 0)
        done = self.run_test("--list", path)
        self.assertEqual((done.status, done.out.split()[0]), (0, "slow-101"))
        with open(path, "w", encoding="utf-8") as file:
            file.write("mine\n")
        done = self.run_test("--init", path)
        self.assertEqual(done.status, 2)
        self.assertIn("is there already", done.err)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine\n")

    def test_options_that_make_no_sense_are_refused(self):
        path = self.write("version: 1\n" + HEAD + STEPS)
        for args in (("--seed", "0", path), ("-j", "0", path), ("--port", "0", path), (), ("--catalogue",),
                     ("--filter", "other*", path), ("--timeout", "3", path), ("--format", "html", path)):
            with self.subTest(args):
                done = self.run_test(*args)
                self.assertEqual(done.status, 2, done)
                self.assertTrue(re.match(r"shakedown: ", done.err), done)
