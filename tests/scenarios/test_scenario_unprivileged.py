# SPDX-License-Identifier: BSD-2-Clause
#
# Faults need no rights: in a user namespace without any capability, with no new privileges and a
# container's filter, scenarios run as ever, and so do rules of `shakedown run`.

import os
import subprocess
import sys

import harness
import scenarios
from scenarios import ECHO

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "shim"))
import programs  # noqa: E402  pylint: disable=wrong-import-position
from test_filtered import ALLOW, LOCK_IN, RARE, filter_of  # noqa: E402  pylint: disable=wrong-import-position

REFUSE = 0x00050001  # EPERM
CONTAINED = ["unshare", "--user", "--map-user=1000", "--map-group=1000",
             "setpriv", "--no-new-privs",
             sys.executable, "-c", LOCK_IN, filter_of(RARE, REFUSE, ALLOW)]
SLOW = """rules: {slow: "tx@response-head:delay=300ms:path=/slow", bits: "rx@request-head:slice=1"}
steps:
  - on: all
  - client: {do: [{upgrade: {path: /slow, at_least: 280ms}}, {frame: hello}, {expect: {frame: hello}}, {close: {}}]}
"""


class Unprivileged(scenarios.ScenarioCase):
    def setUp(self):
        super().setUp()
        status = subprocess.run([*CONTAINED, "/bin/cat", "/proc/self/status"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if status.returncode:
            harness.skip("no-namespaces")
        for line in ("CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1",
                     "Seccomp:\t2", "Uid:\t1000\t"):
            self.assertIn(line, status.stdout)

    def command(self, *args):
        return [*CONTAINED, *super().command(*args)]

    def test_a_scenario_passes_without_any_capability(self):
        self.passes(ECHO + SLOW)

    def test_a_static_program_is_reached_without_tracing(self):
        server = programs.build("static_server.c", "-static", "-pthread", name="static_server-contained")
        self.passes("target: {cmd: [%s, $port]}\nrules: {slow: \"tx@response-head:delay=300ms\"}\n"
                    "steps: [{on: all}, {client: {name: a, do: [{request: /bad}, {expect: {status: 200}}]}}]\n"
                    "expect: [{client: {a: {at_least: 280ms}}}]\n" % server)

    def test_rules_of_run_are_in_force_and_can_be_changed(self):
        port, trace = harness.free_port(), os.path.join(self.dir, "t")
        words = [*CONTAINED, harness.SHAKEDOWN, "run", "-q", "-o", trace, "--rule",
                 "cut=tx@response-head+17:reset", "--", scenarios.PYTHON, "-m", "http.server",
                 "--bind", "127.0.0.1", str(port)]
        with harness.Server(words, port, shim=False, cwd=self.dir):
            with harness.Client(port) as c:
                c.send(harness.request_bytes("/"))
                with self.assertRaises((OSError, EOFError)):
                    c.recv_response()
            pid = os.path.basename(harness.wait_for(lambda: [
                n for n in os.listdir(trace) if n.endswith(".trace")])[0]).split("-")[0]
            done = harness.shakedown("rules", pid, "off", "cut")
            self.assertEqual(done.returncode, 0, done.stderr)
            with harness.Client(port) as c:
                c.send(harness.request_bytes("/"))
                self.assertEqual(c.recv_response()[0].status, 200)
