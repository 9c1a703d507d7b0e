# SPDX-License-Identifier: BSD-2-Clause
#
# Scenarios against real servers: what passes passes, and what does not hold fails with its place and reason.

import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import harness
import scenarios
from scenarios import ASK, ECHO, PLAIN, PYTHON

SLOW = "rules: {slow: \"tx@response-head:delay=300ms:path=/slow:times=1\"}\n"
TWO = """steps:
  - on: slow
  - client: {name: a, background: yes, do: [{upgrade: {path: /slow, at_least: 280ms}}, {close: {}}]}
  - wait: {hits: slow}
  - client: {name: b, do: [{upgrade: {path: /b}}, {frame: hello}, {expect: {frame: hello}}]}
  - wait: {client: a}
"""


class Run(scenarios.ScenarioCase):
    def test_a_delay_of_one_client_does_not_touch_another(self):
        self.passes(ECHO + SLOW + TWO + "settle: 200ms\nexpect: [{hits: {slow: ==1}}, "
                    "{client: {a: {at_least: 280ms}, b: {within: 250ms}}}, "
                    "{server: {state: running, fd_leak: 0, spin: no}}, {findings: {absent: error}}]\n")

    def test_an_isolation_that_does_not_hold_fails_with_both_times(self):
        done = self.fails(ECHO + SLOW + TWO + "expect: [{client: {a: {within: 200ms}}}]\n",
                          "case.yaml:10:32: client 'a' took ", "200 ms at most were expected")
        self.assertIn("shakedown report", done.out)

    def test_a_rule_that_never_acts_makes_the_scenario_vacuous(self):
        rule = "rules: {slow: \"tx:delay=1ms:path=/nowhere\"}\n"
        steps = "steps: [{on: slow}, {client: {do: [{upgrade: /}]}}]\n"
        self.fails(ECHO + rule + steps, "case.yaml:3:15: vacuous: the rule 'slow' never acted")
        self.fails(ECHO + rule + steps + "expect: [{hits: {slow: '>=1'}}]\n", "case.yaml:5:24", "vacuous")
        self.passes(ECHO + rule + steps + "expect: [{hits: {slow: any}}]\n")
        self.passes(ECHO + rule + steps.replace("{on: slow}, ", ""))

    def test_rules_are_off_before_their_step_and_after_it(self):
        self.passes(ECHO + "rules: {cut: \"tx@response-head:reset\"}\n"
                    "steps:\n"
                    "  - client: {do: [{upgrade: /}, {close: {}}]}\n"
                    "  - on: all\n"
                    "  - client: {do: [{upgrade: {path: /, status: none}}, {expect: {end: reset}}]}\n"
                    "  - off: all\n"
                    "  - client: {do: [{upgrade: /}, {close: {}}]}\n"
                    "expect: [{hits: {cut: ==1}}, {outcome: {is: upgraded, count: '>=2'}}]\n")

    def test_a_held_direction_goes_on_when_it_is_released(self):
        self.passes(ECHO + "rules: {clog: \"tx@response-head:hold=release.gate\"}\n"
                    "steps:\n"
                    "  - on: clog\n"
                    "  - client: {name: a, background: yes, do: [{upgrade: /}, {close: {}}]}\n"
                    "  - wait: {hits: clog}\n"
                    "  - release: gate\n"
                    "  - wait: {client: a}\n")

    def test_each_seed_is_a_case_and_one_can_be_run_again_alone(self):
        text = PLAIN + ASK + "seeds: 3..5\n"
        done = self.passes(text, "--format", "json")
        self.assertEqual([c["seed"] for c in done.json()["cases"]], [3, 4, 5])
        done = self.passes(text, "--format", "json", "--seed", "77")
        self.assertEqual([c["seed"] for c in done.json()["cases"]], [77])

    def test_a_seed_draws_the_same_faults_again(self):
        text = (ECHO + "rules: {maybe: \"tx@response-head:delay=1ms:p=50%\"}\nsteps:\n  - on: maybe\n"
                + "  - client: {do: [{upgrade: /}, {close: {}}]}\n" * 12
                + "expect: [{hits: {maybe: ==99}}]\n")
        hits = [self.scenario(text, "--seed", str(seed)).out.split("acted ")[1].split()[0]
                for seed in (5, 5, 5, 6, 7, 8)]
        self.assertEqual(len(set(hits[:3])), 1, hits)
        self.assertGreater(len(set(hits)), 1, hits)

    def test_a_failure_can_be_repeated_with_the_decisions_of_its_trace(self):
        text = (ECHO + "rules: {maybe: \"tx@response-head:delay=1ms:p=50%\"}\nsteps:\n  - on: maybe\n"
                + "  - client: {do: [{upgrade: /}, {close: {}}]}\n" * 12
                + "expect: [{hits: {maybe: ==99}}]\n")
        done = self.scenario(text, "--seed", "5")
        trace = re.search(r"with its decisions: .* --seed 5 --replay (\S+) ", done.out).group(1)
        acted = done.out.split("acted ")[1].split()[0]
        other = self.scenario(text, "--seed", "6", "--replay", trace)
        self.assertEqual(other.out.split("acted ")[1].split()[0], acted, other)
        self.assertEqual(self.scenario(text, "--replay", self.dir + "/nowhere").status, 2)
        self.assertEqual(self.scenario(ECHO + ASK, "--replay", trace).status, 2)

    def test_clients_that_race_are_told_of_conn_key(self):
        text = (ECHO + "rules: {maybe: \"tx@response-head:delay=1ms%s\"}\nsteps:\n  - on: maybe\n"
                + "".join("  - client: {name: %s, background: yes, do: [{upgrade: /}, {close: {}}]}\n" % c for c in "ab")
                + "expect: [{hits: {maybe: any}}]\n")
        self.assertIn("case.yaml:3:16: note: clients in the background race", self.passes(text % ":p=50%").err)
        for same in (":p=50%:conn-key=path", ""):
            self.assertEqual(self.passes(text % same).err, "")

    def test_a_sweep_ends_when_its_rule_is_not_reached_any_more(self):
        done = self.passes(ECHO + "steps: [{client: {do: [{upgrade: /}, {close: {}}]}}]\n"
                           "sweep: {rule: \"recv:eintr:when=$n\", n: 1.., until: not-reached}\n",
                           "--format", "json")
        self.assertGreaterEqual(done.json()["cases"][0]["rounds"], 3)
        self.fails(ECHO + "steps: [{sleep: 1ms}]\nsweep: {rule: \"recv:eintr:when=$n\"}\n",
                   "vacuous: the rule of the sweep never acted")
        self.fails(ECHO + "steps: [{client: {do: [{upgrade: /}, {close: {}}]}}]\n"
                   "sweep: {rule: \"recv:error=EPIPE:when=$n\", n: 1..3}\n", "(n = 1)")

    def test_the_rule_of_a_sweep_is_in_force_before_the_server_listens(self):
        # A server that asks itself for something while it starts, and cannot start without an answer.
        serve = ("import socket, sys, threading\ns = socket.create_server(('127.0.0.1', 0))\n"
                 "a = socket.create_connection(s.getsockname())\nb = s.accept()[0]\n"
                 "a.send(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')\n"
                 "b.recv(1000)\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                 "while True:\n    s.accept()\n")
        self.write(serve, "serve.py")
        self.fails("target: {cmd: [%s, serve.py, $port]}\nsteps: [{sleep: 1ms}]\n" % PYTHON +
                   "sweep: {rule: \"recv:error=ECONNRESET:when=$n\"}\n",
                   "before it listened (n = 1)", "ConnectionResetError")

    def test_a_server_that_never_listens_is_told(self):
        self.fails("target: {cmd: [sleep, '60'], ready: {within: 300ms}}\n" + ASK,
                   "case.yaml:2:9: the server does not listen within 0.3 s")
        self.fails("target: {cmd: [sh, -c, 'echo out of ideas; exit 7']}\n" + ASK,
                   "the server ended with status 7 before it listened", "server: out of ideas")

    def test_a_server_that_crashes_is_told_by_its_signal(self):
        crash = ("import os, socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                 "c = s.accept()[0]\nc.recv(100)\nos.abort()\n")
        self.write(crash, "crash.py")
        self.fails("target: {cmd: [%s, crash.py, $port]}\n" % PYTHON + ASK, "killed by SIGABRT")
        self.passes("target: {cmd: [%s, crash.py, $port]}\n" % PYTHON +
                    "steps: [{client: {do: [{request: /}, {expect: {end: any}}]}}, {sleep: 200ms}]\n"
                    "expect: [{server: {state: exited, exit: 134}}]\n")

    def test_a_client_that_hangs_is_killed_and_named(self):
        self.fails(PLAIN + "steps: [{run: {name: a, cmd: [sleep, '60'], timeout: 300ms}}]\n",
                   "case.yaml:3:15: run 'a' hung")
        self.fails(PLAIN + "steps: [{client: {name: c, timeout: 300ms, do: [{expect: {status: 200}}]}}]\n",
                   "client 'c': an answer did not come: the time was up")

    def test_a_case_ends_at_its_timeout(self):
        done = self.scenario(PLAIN + "steps: [{sleep: 60s}]\n", "--timeout", "4s")
        self.assertEqual(done.status, 1, done)
        self.assertIn("case.yaml:3:17: the case took longer than --timeout allows", done.out)

    def test_a_command_that_is_not_there_is_our_failure_not_the_servers(self):
        done = self.scenario("target: {cmd: [no-such-program]}\n" + ASK)
        self.assertEqual(done.status, 3, done)
        self.assertIn("no-such-program", done.out)

    def test_programs_know_the_address_and_their_end_is_judged(self):
        ask = "import os, urllib.request as u; print(u.urlopen('http://127.0.0.1:%s' % os.environ['PORT']).status)"
        self.write(ask, "ask.py")
        self.passes(PLAIN + "steps: [{run: {name: a, cmd: [%s, ask.py]}}]\n"
                    "expect: [{run: {a: {exit: 0, output: '200'}}}]\n" % PYTHON)
        self.passes(PLAIN + "steps: [{run: {name: a, cmd: [sh, -c, exit 3]}}]\nexpect: [{run: {a: {exit: 3}}}]\n")
        self.fails(PLAIN + "steps: [{run: {cmd: [sh, -c, 'echo no; exit 3']}}]\n", "ended with status 3", "no")
        self.fails(PLAIN + "steps: [{run: {cmd: [no-such-client]}}]\n", "cannot be executed")

    def test_a_leaked_descriptor_and_a_spinning_server_are_found(self):
        serve = ("import os, socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nkept = []\n"
                 "while True:\n    c = s.accept()[0]\n    c.recv(1000)\n    if sys.argv[2] == 'leak': kept.append(c)\n"
                 "    c.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')\n    c = None\n"
                 "    while sys.argv[2] == 'spin': pass\n")
        self.write(serve, "serve.py")
        for how, ok in (("well", True), ("leak", False), ("spin", False)):
            with self.subTest(how):
                done = self.scenario("target: {cmd: [%s, serve.py, $port, %s]}\n" % (PYTHON, how) + ASK +
                                     "settle: 600ms\nexpect: [{server: {fd_leak: %s, spin: no}}]\n"
                                     % (1 if how == "spin" else 0))
                self.assertEqual(done.status, 0 if ok else 1, done)
                self.assertIn({"well": "1 passed", "leak": "descriptors more", "spin": "the server spins"}[how],
                              done.out)

    def test_findings_outcomes_and_phases_are_judged_from_the_trace(self):
        ask = ("steps: [{client: {do: [{upgrade: {path: /private, status: 401}}]}}, "
               "{client: {do: [{upgrade: /}, {close: {}}]}}]\n")
        self.passes(ECHO + ask + "expect: [{outcome: {path: /private, is: refused}}, "
                    "{outcome: {path: /, is: upgraded, count: 1}}, "
                    "{phase: {where: {upgrade: yes}, before-response: {within: 10s}}}]\n")
        self.fails(ECHO + ask + "expect: [{outcome: {is: upgraded}}]\n",
                   "1 attempts had another outcome: refused")
        self.fails(ECHO + ask + "expect: [{phase: {where: {path: /}, frames: {at_least: 20s}}}]\n",
                   "the phase frames of connection", "took only")
        self.fails(ECHO + ask + "expect: [{findings: {present: http-after-101}}]\n",
                   "case.yaml:4:31: there is no finding http-after-101")

    def test_a_delay_counts_towards_the_phase_its_rule_names(self):
        text = (ECHO + "rules: {slow: \"tx@response-head:delay=300ms:path=/ws\"}\nsteps: [{on: slow}, "
                "{client: {do: [{upgrade: /ws}, {close: {}}]}}, {client: {do: [{upgrade: /other}, {close: {}}]}}]\n"
                "expect: [{phase: {where: {path: %s}, %s: {%s: 250ms}}}]\n")
        self.passes(text % ("/ws", "response-head", "at_least"))
        self.passes(text % ("/ws", "before-response", "within"))
        self.fails(text % ("/other", "response-head", "at_least"), "the phase response-head", "took only")

    def test_a_phase_is_awaited_by_its_path(self):
        steps = (ECHO + "steps:\n  - client: {name: a, background: yes, do: [{upgrade: /ws}, {pause: %s}, {close: {}}]}\n"
                 "  - wait: {phase: frames, path: %s, within: 5s}\n  - wait: {client: a}\n")
        self.passes(steps % ("100ms", "/ws"))
        self.fails(steps % ("100ms", "/nowhere"), "case.yaml:5:11: no exchange entered the phase frames in time")

    def test_what_our_own_fault_explains_is_not_found_in_the_server(self):
        ask = ("steps: [%s{client: {do: [{upgrade: {path: /private, status: any}}]}}]\n"
               "expect: [{findings: {absent: info}}]\n")
        garble = "rules: {garble: \"rx@request-head:corrupt=40\"}\n"
        self.fails(ECHO + garble + ask % "", "upgrade-rejected")
        self.passes(ECHO + garble + ask % "{on: garble}, ")

    def test_an_error_of_a_call_that_must_never_come_is_found(self):
        text = (ECHO + "rules: {pipe: \"tx@frames:error=EPIPE:times=1\"}\nsteps: [{on: pipe}, {client: {name: a, do: "
                "[{upgrade: /}, {frame: hello}, {expect: {end: any}}]}}]\n"
                "expect: [{client: {a: {result: any}}}, {never: {result: %s}}]\n")
        self.passes(text % "ENETDOWN")
        self.fails(text % "EPIPE", "failed with EPIPE")

    def test_a_call_that_must_not_be_made_at_all_is_found(self):
        text = (ECHO + "steps: [{client: {do: [{upgrade: /}, {close: {}}]}}]\nexpect: [{never: {call: %s}}]\n")
        self.fails(text % "close", "case.yaml:4:18: the server called close")
        self.passes(text % "sendfile")

    def test_a_server_of_ipv6_alone_is_found_and_asked_there(self):
        serve = ("import socket, sys\ns = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6)\n"
                 "while True:\n    c = s.accept()[0]\n    c.recv(1000)\n"
                 "    c.send(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')\n    c.close()\n")
        self.write(serve, "serve.py")
        self.passes("target: {cmd: [%s, serve.py, $port]}\n" % PYTHON +
                    "steps: [{client: {do: [{request: /}, {expect: {status: 204}}]}}]\n")

    def test_a_unix_socket_is_a_place_to_listen(self):
        serve = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n"
                 "while True:\n    c = s.accept()[0]\n    c.recv(1000)\n"
                 "    c.send(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')\n    c.close()\n")
        self.write(serve, "serve.py")
        self.passes("target: {cmd: [%s, serve.py, $dir/sock], ready: {listen: $dir/sock}}\n" % PYTHON +
                    "steps: [{client: {do: [{request: /}, {expect: {status: 204}}, {expect: {end: eof}}]}}]\n")

    def test_a_kept_trace_is_shown_by_the_command_that_is_printed(self):
        done = self.fails(ECHO + "steps: [{client: {do: [{upgrade: {path: /, status: 200}}]}}]\n",
                          "expected status 200, got 'HTTP/1.1 101 Switching Protocols'")
        line = next(l for l in done.out.splitlines() if "its trace: " in l)
        report = subprocess.run(line.partition(": ")[2], shell=True, capture_output=True, text=True, check=False)
        self.assertEqual(report.returncode, 0, report.stderr)
        self.assertIn("101", report.stdout)
        self.assertTrue(os.listdir(self.out))

    def test_what_passed_leaves_nothing_unless_it_is_asked_for(self):
        self.passes(PLAIN + ASK)
        self.assertFalse(os.path.exists(self.out))
        self.passes(PLAIN + ASK + "report: [trace.json, trace.txt]\n", "--keep")
        (case,) = os.listdir(self.out)
        self.assertLessEqual({"trace", "server.log", "trace.json", "trace.txt"},
                             set(os.listdir(os.path.join(self.out, case))))


    def test_reports_stay_when_the_case_has_passed(self):
        os.mkdir(os.path.join(self.dir, "out"))
        ask = "steps: [{client: {do: [{upgrade: /ws}, {close: {}}]}}]\n"
        done = self.passes(ECHO + ask + "report: [trace.jsonl, summary.md, junit.xml, out/$seed.md]\n")
        folder = re.search(r"reports: (\S+)", done.out).group(1)
        self.assertEqual(set(os.listdir(folder)), {"trace.jsonl", "summary.md", "junit.xml"})
        with open(os.path.join(folder, "trace.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([line["outcome"] for line in lines], ["upgraded"])
        suite = ElementTree.parse(os.path.join(folder, "junit.xml")).getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("1", "0"))
        for path in (os.path.join(folder, "summary.md"), os.path.join(self.dir, "out", "1.md")):
            with open(path, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith("# case: passed\n"))

    def test_a_report_of_a_failure_says_what_did_not_hold(self):
        self.fails(ECHO + "steps: [{client: {do: [{upgrade: {path: /, status: 200}}]}}]\nreport: [a.md, a.xml]\n")
        (case,) = os.listdir(self.out)
        for name, words in (("a.md", "expected status 200"), ("a.xml", "<failure")):
            with open(os.path.join(self.out, case, name), encoding="utf-8") as file:
                self.assertIn(words, file.read())


class Interrupted(scenarios.ScenarioCase):
    """Whatever happens to us, the server does not outlive us."""

    def begin(self, *args):
        path = self.write("version: 1\n" + PLAIN + "steps: [{run: {cmd: [touch, %s]}}, {sleep: 60s}]\n"
                          % os.path.join(self.dir, "running"))
        process = subprocess.Popen(self.command(*args, path), env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        self.addCleanup(process.kill)
        harness.wait_for(lambda: os.path.exists(os.path.join(self.dir, "running")), "the first step")
        return process

    def test_interrupt_stops_the_server_and_keeps_the_trace(self):
        process = self.begin()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, out + err)
        self.assertEqual(scenarios.marked(self.mark), [])
        self.assertIn("interrupted", out)
        trace = out.partition("its trace: ")[2].split()[2]
        self.assertTrue(os.path.isdir(trace), out)

    def test_the_whole_group_of_a_terminal_may_be_interrupted(self):
        process = self.begin()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(scenarios.marked(self.mark), [])

    def test_killed_without_a_word_it_leaves_no_server(self):
        process = self.begin()
        process.kill()
        process.communicate(timeout=30)
        harness.wait_for(lambda: not scenarios.marked(self.mark), "the end of the server")
