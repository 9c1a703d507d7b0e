# SPDX-License-Identifier: BSD-2-Clause
#
# scenarios: running `shakedown test` on text.  Each call has a folder of its own, removed afterwards; every
# process it starts carries a mark in its environment, so that a test can prove that none is left.

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
import unittest
import uuid

import harness

PYTHON = "/usr/bin/python3"
SERVERS = os.path.join(harness.ROOT, "tests", "servers", "python")

# A plain HTTP server; and the echo of the websockets package, which serves every path.
PLAIN = "target: {cmd: [%s, -m, http.server, --bind, 127.0.0.1, $port]}\n" % PYTHON
ECHO = "target: {cmd: [%s, %s, $port]}\n" % (PYTHON, os.path.join(SERVERS, "ws.py"))
ASK = "steps: [{client: {do: [{request: /}, {expect: {status: 200}}]}}]\n"


def marked(mark):
    """Pids of the processes whose environment holds the mark."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/environ" % pid, "rb") as environ:
                if mark.encode() in environ.read():
                    found.append(int(pid))
    return found


class Done:
    """What a finished `shakedown test` said."""

    def __init__(self, process):
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return "status %d\n%s%s" % (self.status, self.out, self.err)


class ScenarioCase(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-scenario-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.count = itertools.count()
        self.mark = "MARK=%s" % uuid.uuid4()
        name, _, value = self.mark.partition("=")
        self.env = dict(os.environ, **{name: value})

    def write(self, text, name="case.yaml"):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def command(self, *args):
        self.out = os.path.join(self.dir, "out%d" % next(self.count))
        return [harness.SHAKEDOWN, "test", "-o", self.out, *args]

    def run_test(self, *args, timeout=120):
        done = Done(subprocess.run(self.command(*args), stdin=subprocess.DEVNULL, env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   timeout=timeout, check=False, cwd=self.dir))
        self.assertEqual(marked(self.mark), [], "processes were left behind\n%s" % done)
        return done

    def scenario(self, text, *args):
        """Run a scenario without its first line, `version: 1`."""
        return self.run_test(self.write("version: 1\n" + text), *args)

    def passes(self, text, *args):
        done = self.scenario(text, *args)
        self.assertEqual(done.status, 0, done)
        return done

    def fails(self, text, *words):
        """It ends with 1, having said all of these words."""
        done = self.scenario(text)
        self.assertEqual(done.status, 1, done)
        for word in words:
            self.assertIn(word, done.out)
        return done
