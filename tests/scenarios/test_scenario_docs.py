# SPDX-License-Identifier: BSD-2-Clause
#
# The page about scenarios, the schema, and the library for tests in C are what they say they are.

import glob
import json
import os
import re
import subprocess

import jsonschema
import yaml

import harness
import scenarios

DOCS = os.path.join(harness.ROOT, "docs")


def text_of(*path):
    with open(os.path.join(harness.ROOT, *path), encoding="utf-8") as file:
        return file.read()


def typed(tree):
    """As YAML 1.2 reads it: numbers are numbers, and `on` and `no` are words."""
    if isinstance(tree, dict):
        return {key: typed(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [typed(value) for value in tree]
    return int(tree) if tree.isdigit() else tree


class Docs(scenarios.ScenarioCase):
    def keys(self, what):
        tool = os.path.join(self.dir, "keys")
        subprocess.run(["cc", "-I.", "docs/gen/scenario_keys.c", "-o", tool], cwd=harness.ROOT, check=True)
        return subprocess.run([tool, what], stdout=subprocess.PIPE, text=True, check=True).stdout

    def test_the_tables_and_the_schema_are_up_to_date(self):
        self.assertTrue(text_of("docs", "scenarios.md").endswith("\n" + self.keys("md")),
                        "see docs/gen/scenario_keys.c")
        self.assertEqual(text_of("docs", "scenario.schema.json"), self.keys("schema"))

    def test_every_example_of_the_pages_loads(self):
        text = text_of("docs", "scenarios.md") + text_of("docs", "recipes", "ci.md")
        examples = re.findall(r"```yaml\n(version.*?)```", text, re.S)
        self.assertGreaterEqual(len(examples), 3)
        for n, example in enumerate(examples):
            with self.subTest(n):
                done = self.run_test("--list", self.write(example))
                self.assertEqual(done.status, 0, done)

    def test_the_schema_agrees_with_the_loader(self):
        schema = json.loads(text_of("docs", "scenario.schema.json"))
        check = jsonschema.Draft202012Validator(schema)
        start = os.path.join(self.dir, "start.yaml")
        self.run_test("--init", start)
        for path in (start, os.path.join(harness.ROOT, "tests/fuzz/corpus/scenario/all.yaml"),
                     *glob.glob(os.path.join(harness.ROOT, "share/scenarios/*.yaml"))):
            with self.subTest(path), open(path, encoding="utf-8") as file:
                tree = typed(yaml.load(file, Loader=yaml.BaseLoader))
                self.assertEqual([e.message for e in check.iter_errors(tree)], [])
        self.assertTrue(list(check.iter_errors({"version": 1, "targt": {}})))


class FromC(scenarios.ScenarioCase):
    def test_the_cmocka_example_is_built_against_what_is_installed_and_passes(self):
        root = os.path.join(self.dir, "root")
        subprocess.run(["sh", "mk/install.sh", "install", root, "/usr/bin", "/usr/lib", "/usr/share/man",
                        "/usr/lib/pkgconfig", "/usr", "0"], cwd=harness.ROOT, check=True)
        env = dict(self.env, PKG_CONFIG_PATH=os.path.join(root, "usr/lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=root,
                   PATH=os.path.join(root, "usr/bin") + ":" + os.environ["PATH"])
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "shakedown"], env=env, check=True,
                               stdout=subprocess.PIPE, text=True).stdout.split()
        test = os.path.join(self.dir, "slow_answer")
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror",
                        os.path.join(root, "usr/share/shakedown/examples/slow_answer.c"), *flags, "-lcmocka",
                        "-o", test], env=env, check=True)
        done = subprocess.run([test, scenarios.PYTHON, os.path.join(scenarios.SERVERS, "ws.py"),
                               str(harness.free_port())], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(scenarios.marked(self.mark), [])
        listed = subprocess.run([os.path.join(root, "usr/bin/shakedown"), "test", "--catalogue", "--list"],
                                stdout=subprocess.PIPE, text=True, check=False)
        self.assertIn("rst-in-101", listed.stdout)
