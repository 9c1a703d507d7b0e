# SPDX-License-Identifier: BSD-2-Clause
#
# Help, man pages, completion and the recipes: what they name exists.

import glob
import os
import re
import shutil
import subprocess
import unittest

from harness import ROOT, SHAKEDOWN, shakedown

VERBS = ("run", "rules", "report", "explain", "doctor")


class Help(unittest.TestCase):
    def test_help_is_a_result_and_no_error(self):
        for args in (["help"], ["--help"], ["-h"], *(["help", v] for v in VERBS),
                     *([v, "--help"] for v in VERBS), *([v, "-h"] for v in VERBS)):
            done = shakedown(*args)
            self.assertEqual((done.returncode, done.stderr), (0, ""), args)
            self.assertTrue(done.stdout.startswith("usage: shakedown "), args)

    def test_help_wins_over_a_mistake_beside_it(self):
        self.assertEqual(shakedown("run", "--nonsense", "--help").returncode, 0)

    def test_help_of_the_command_behind_run_is_not_ours(self):
        done = subprocess.run([SHAKEDOWN, "run", "-q", "-o", "/dev/null/x", "--", "ls", "--help"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (125, ""))

    def test_version_is_one_line(self):
        done = shakedown("--version")
        self.assertRegex(done.stdout, r"\Ashakedown \d+\.\d+\.\d+\n\Z")

    def test_man_pages_render_without_a_complaint(self):
        for args in ([], *([v] for v in VERBS)):
            page = shakedown("man", *args).stdout
            self.assertTrue(page.startswith(".TH SHAKEDOWN"))
            if shutil.which("groff"):
                done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z"], input=page, text=True,
                                      stderr=subprocess.PIPE, check=True)
                self.assertEqual(done.stderr, "")


class Completion(unittest.TestCase):
    def complete(self, *words):
        script = ('source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _shakedown; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, "bash",
                               os.path.join(ROOT, "share/completions/shakedown.bash"), SHAKEDOWN,
                               *words], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.split()

    def test_verbs_options_values_and_findings_are_completed(self):
        self.assertEqual(self.complete("r"), ["run", "rules", "report"])
        self.assertEqual(self.complete("help", "do"), ["doctor"])
        self.assertEqual(self.complete("run", "--max"), ["--max-trace="])
        self.assertEqual(self.complete("run", "--keep", "f"), ["first"])
        self.assertEqual(self.complete("run", "--keep", "=", "l"), ["last"])
        self.assertEqual(self.complete("explain", "http-aft"), ["http-after-101"])

    def test_behind_two_dashes_commands_are_completed(self):
        self.assertIn("printf", self.complete("run", "--", "print"))


class Recipes(unittest.TestCase):
    def recipes(self):
        for path in glob.glob(os.path.join(ROOT, "docs/recipes/*.md")):
            with open(path, encoding="utf-8") as f:
                yield os.path.basename(path), f.read()

    def test_there_is_one_for_each_way_to_start_a_server(self):
        self.assertLessEqual({"systemd.md", "docker.md", "nginx.md", "gunicorn-uvicorn.md", "node.md",
                              "debugger.md"}, {name for name, _ in self.recipes()})

    def test_findings_they_name_exist(self):
        known = set(shakedown("words", "explain").stdout.split())
        for name, text in self.recipes():
            for finding in re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", text):
                self.assertIn(finding, known, name)

    def test_options_of_ours_they_name_exist(self):
        for name, text in self.recipes():
            for verb, rest in re.findall(r"shakedown (run|report|explain|doctor)\b([^\n`]*)", text):
                known = shakedown("words", verb).stdout.replace("=", "").split()
                for word in rest.split(" -- ")[0].split():
                    if word.startswith("-") and word != "--":
                        self.assertIn(word, known, "%s: %s%s" % (name, verb, rest))

    def test_variables_they_name_exist(self):
        known = shakedown("help").stdout
        for name, text in self.recipes():
            for variable in re.findall(r"SHAKEDOWN_[A-Z_]+", text):
                self.assertIn(variable + " ", known, name)


if __name__ == "__main__":
    unittest.main()
