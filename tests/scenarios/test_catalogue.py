# SPDX-License-Identifier: BSD-2-Clause
#
# The shipped catalogue against real servers: each scenario comes out as expected.yaml says, and the
# table of docs/catalogue.md says the same.
#
#     test_catalogue.py --write    puts the table of expected.yaml into docs/catalogue.md

import collections
import glob
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "servers")]

# pylint: disable=wrong-import-position
import yaml

import apps
import golang
import harness
import scenarios

DATA = os.path.join(HERE, "expected.yaml")
PAGE = os.path.join(harness.ROOT, "docs", "catalogue.md")
SHIPPED = os.path.join(harness.ROOT, "share", "scenarios")
BEGIN, END = "<!-- made from expected.yaml -->\n", "<!-- end -->\n"


def expected():
    with open(DATA, encoding="utf-8") as file:
        return yaml.safe_load(file)["servers"]


def names():
    return sorted(os.path.basename(path)[:-5] for path in glob.glob(SHIPPED + "/*.yaml"))


def outcomes(server):
    """What is written down of a server: {scenario: {outcome, says, ...}}."""
    others = server.get("otherwise", {"outcome": "pass"})
    return {name: server.get("scenarios", {}).get(name, others) for name in names()}


def differs(want, failures):
    """Why the messages of the failed runs of one scenario are not what was written down, or None."""
    if want["outcome"] == "pass" and failures:
        return "it failed:\n" + "\n".join(failures)
    if want["outcome"] == "fail" and not failures:
        return "it passed, and is written down as failing: %s" % want["says"]
    if failures and not any(re.search(want["says"], text) for text in failures):
        return "it failed otherwise than with '%s':\n%s" % (want["says"], "\n".join(failures))
    return None


class Outcomes:
    """The catalogue against one server; subclasses say which row of expected.yaml it is."""

    row, path = None, "/echo"

    def command_line(self):
        raise NotImplementedError

    def backend(self):
        """Port of an echo server that is not watched."""
        server = harness.Server(apps.python_command("ws.py", "{port}"), harness.free_port(), shim=False)
        self.addCleanup(server.stop)
        return str(server.start().port)

    def behind(self, name):
        os.chmod(self.dir, 0o755)  # the workers give up root
        return [scenarios.PYTHON, os.path.join(HERE, "launch.py"), name, self.dir, "$port",
                self.backend()]

    def failures(self):
        """{scenario: messages of its failed runs}, of all that ran."""
        done = self.run_test("--catalogue", "--format", "json", "-j", "6", "--path", self.path,
                             "--", *self.command_line(), timeout=500)
        found = collections.defaultdict(list)
        for case in done.json()["cases"]:
            found[case["scenario"]] += case["messages"]
            self.assertIn(case["result"], ("passed", "failed"), done)
        self.assertEqual(sorted(found), names())
        return found

    def test_each_scenario_comes_out_as_it_is_written_down(self):
        want, wrong = outcomes(expected()[self.row]), []
        for name, messages in sorted(self.failures().items()):
            why = differs(want[name], messages)
            if why:
                wrong.append("%s: %s" % (name, why))
        self.assertEqual(wrong, [], "\n".join(wrong))


class Websockets(Outcomes, scenarios.ScenarioCase):
    row = "websockets"

    def command_line(self):
        return apps.python_command("ws.py", "$port")


class Aiohttp(Outcomes, scenarios.ScenarioCase):
    row = "aiohttp"

    def command_line(self):
        return apps.python_command("aio.py", "$port")


class Uvicorn(Outcomes, scenarios.ScenarioCase):
    row = "uvicorn"

    def command_line(self):
        return apps.python_command("asgi.py", "$port", "websockets")


class NodeWs(Outcomes, scenarios.ScenarioCase):
    row = "node-ws"

    def command_line(self):
        self.env.update(apps.node_env())
        return apps.node_command("upgrade.js", "$port")


class NginxStatic(Outcomes, scenarios.ScenarioCase):
    row, path = "nginx-static", "/page"

    def command_line(self):
        return self.behind("nginx")


class NginxProxy(Outcomes, scenarios.ScenarioCase):
    row = "nginx-proxy"

    def command_line(self):
        return self.behind("nginx")


class Apache(Outcomes, scenarios.ScenarioCase):
    row = "apache"

    def command_line(self):
        return self.behind("apache")


class Libwebsockets(Outcomes, scenarios.ScenarioCase):
    row = "libwebsockets"

    def command_line(self):
        program = os.path.join(self.dir, "server")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libwebsockets"], check=True,
                               stdout=subprocess.PIPE, text=True, timeout=30).stdout.split()
        subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-o", program,
                        os.path.join(apps.HERE, "lws", "server.c"), *flags], check=True, timeout=120)
        return [program, "$port"]


class GinDynamic(Outcomes, scenarios.ScenarioCase):
    row, path, shape = "gin-dynamic", "/ws", "cgo"

    def command_line(self):
        return [golang.build("gin", "gin", "newest", self.shape), "127.0.0.1:$port"]


class GinStatic(GinDynamic):
    row, shape = "gin-static", "static"


# ---- the page ----


def mark(want):
    """A cell of the table."""
    sign = {"pass": "ok", "fail": "**fails**", "either": "*either*"}[want["outcome"]]
    return sign + (" [%s]" % want["note"] if "note" in want else "")


def table():
    servers = expected()
    lines = ["| scenario | " + " | ".join(servers) + " |", "|---" * (len(servers) + 1) + "|"]
    for name in names():
        cells = [mark(outcomes(server)[name]) for server in servers.values()]
        lines.append("| `%s` | %s |" % (name, " | ".join(cells)))
    versions = ["- %s: %s" % (name, server["what"]) for name, server in servers.items()]
    return "\n".join(versions + [""] + lines) + "\n"


def page_with(text):
    with open(PAGE, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    return before + BEGIN + "\n" + text + "\n" + END + rest.partition(END)[2]


class Page(unittest.TestCase):
    def test_the_table_of_the_page_is_that_of_the_data(self):
        with open(PAGE, encoding="utf-8") as file:
            self.assertEqual(file.read(), page_with(table()), "test_catalogue.py --write mends it")

    def test_each_note_of_the_table_is_explained_on_the_page(self):
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        notes = {want["note"] for server in expected().values()
                 for want in outcomes(server).values() if "note" in want}
        for note in sorted(notes):
            self.assertRegex(page, r"(?m)^- \*\*\[%s\]\*\* " % re.escape(str(note)))

    def test_what_is_written_down_is_of_scenarios_that_exist_and_says_how_they_fail(self):
        for name, server in expected().items():
            self.assertLessEqual(set(server.get("scenarios", {})), set(names()), name)
            for want in outcomes(server).values():
                if want["outcome"] != "pass":
                    self.assertIn("says", want)
                    self.assertIn("note", want)


class Shipped(unittest.TestCase):
    def test_each_scenario_says_what_an_application_must_do_and_who_says_so(self):
        self.assertGreaterEqual(len(names()), 20)
        for name in names():
            with open(os.path.join(SHIPPED, name + ".yaml"), encoding="utf-8") as file:
                comment = file.read().partition("version:")[0]
            for word in ("An application must: ", "# Source: "):
                self.assertIn(word, comment, name)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        TEXT = page_with(table())
        with open(PAGE, "w", encoding="utf-8") as page_file:
            page_file.write(TEXT)
    else:
        unittest.main()
