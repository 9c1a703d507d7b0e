# SPDX-License-Identifier: BSD-2-Clause
"""Rules are refused before anything starts, in force before main, and changed while a server runs."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import LIB, shakedown

SERVER = r"""
import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    c.close()
"""


class Folder(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-rules-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def run_it(self, *args, **env):
        env = dict(os.environ, **env)
        return shakedown("run", *args, "--", "touch", "started", cwd=self.dir, env=env)

    def refused(self, done, *words):
        """Exit status 2, the words on stderr, and nothing was started or left behind."""
        self.assertEqual(done.returncode, 2, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.path("started")))
        self.assertEqual([n for n in os.listdir(self.dir) if n.endswith(".trace")], [])


class Refusal(Folder):
    def test_a_rule_that_is_empty_is_refused(self):
        for text in ("", " ; "):
            self.refused(self.run_it("-r", text), "--rule is empty")

    def test_a_wrong_word_is_shown_with_a_caret_and_the_valid_ones(self):
        done = self.run_it("-r", "tx@response-head:dealy=3ms")
        self.refused(done, "--rule:1:18: ", "'dealy'", "\n    tx@response-head:dealy=3ms\n",
                     "\n                     ^~~~~\n", "valid here: delay")

    def test_a_mistake_in_a_file_has_its_line_and_column(self):
        path = self.write("r.txt", "# two rules\nrx:slice=1460\n\ttx@frame:drop\n")
        self.refused(self.run_it("--rules", path), path + ":3:5: ", "'frame'", "frames")

    def test_the_mistake_is_found_in_the_source_it_came_from(self):
        path = self.write("r.txt", "rx:slice=1460\n")
        self.refused(self.run_it("--rules", path, "-r", "tx:short", "-r", "tx:shrt"), "--rule:1:4: ")
        self.refused(self.run_it("-r", "tx:short", SHAKEDOWN_RULES="tx:shrt"), "SHAKEDOWN_RULES:1:4: ")

    def test_names_are_unique_among_all_sources(self):
        path = self.write("r.txt", "slow=rx:slice=1460\n")
        self.refused(self.run_it("--rules", path, "-r", "slow=tx:short"), "--rule:1:1: ", "slow")

    def test_escapes_of_a_terminal_do_not_get_through(self):
        done = self.run_it("-r", "tx:\x1bred")
        self.refused(done, "--rule:1:4: ")
        self.assertNotIn("\x1b", done.stderr)

    def test_files_that_cannot_be_read_and_seeds_out_of_range(self):
        self.refused(self.run_it("--rules", self.path("none")), "none", "cannot be read")
        self.refused(self.run_it("--rules", self.dir), "cannot be read")
        for seed in ("18446744073709551616", "-1", "x", ""):
            self.refused(self.run_it("--seed", seed), "--seed")

    def test_the_seccomp_door_carries_no_rules(self):
        self.refused(self.run_it("--door", "seccomp", "-r", "rx:slice=1460"), "--door seccomp")

    def test_a_replay_of_nothing_is_refused(self):
        self.refused(self.run_it("--replay", self.path("none")), "--replay")

    def test_under_a_bare_preload_a_wrong_rule_costs_one_line_and_nothing_is_watched(self):
        for env, words in (({"SHAKEDOWN_RULES": "rx:slice=1;\ntx:shrt"}, "SHAKEDOWN_RULES:2:4: "),
                           ({"SHAKEDOWN_RULES_FILE": self.write("r.txt", "\n\ntx:shrt\n")}, "r.txt:3:4: "),
                           ({"SHAKEDOWN_RULES_FILE": self.path("none")}, "cannot be opened"),
                           ({"SHAKEDOWN_SEED": "99999999999999999999"}, "SHAKEDOWN_SEED")):
            with self.subTest(words):
                env = dict(os.environ, LD_PRELOAD=LIB, SHAKEDOWN_TRACE=self.path("t.trace"), **env)
                done = subprocess.run(["cat", "/proc/self/maps"], env=env, text=True,
                                      capture_output=True, check=False)
                self.assertEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertEqual("(valid: " in done.stderr, words.endswith(":4: "), done.stderr)
                self.assertNotIn(".control", done.stdout)
                env["SHAKEDOWN_QUIET"] = "1"
                done = subprocess.run(["true"], env=env, text=True, capture_output=True, check=False)
                self.assertEqual(done.stderr, "")


class Idle(Folder):
    """What a run says about its rules at its end."""

    def test_a_run_names_every_rule_that_never_acted(self):
        done = self.run_it("-r", "one=tx:short; two=tx:eagain", "-r", "off=rx:short")
        self.assertEqual(done.returncode, 0)
        for name in ("one", "two", "off"):
            self.assertEqual(done.stderr.count("rule '%s' never acted" % name), 1, done.stderr)
        self.assertNotIn("never acted", self.run_it("-q", "-r", "tx:short").stderr)
        self.assertNotIn("never acted", self.run_it().stderr)

    def test_rules_that_are_off_are_told_apart(self):
        done = self.run_it("--off", "-r", "one=tx:short")
        self.assertIn("rule 'one' never acted: it is off", done.stderr)


class InForce(Folder):
    """What a process finds when it starts."""

    def maps(self, *wrap, **env):
        env = dict(os.environ, LD_PRELOAD=LIB, SHAKEDOWN_TRACE=self.path("t.trace"), **env)
        done = subprocess.run([*wrap, "cat", "/proc/self/maps"], env=env, text=True, cwd=self.dir,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted({line.split()[-1] for line in done.stdout.splitlines()
                       if line.endswith("control")})

    def test_rules_are_mapped_before_main_and_shared_with_what_is_executed(self):
        self.assertEqual(self.maps(), [])
        mapped = self.maps("sh", "-c", "cat /proc/self/maps; exec \"$@\"", "sh", SHAKEDOWN_RULES="rx:slice=1460")
        self.assertEqual(len(mapped), 1)
        self.assertEqual(os.stat(mapped[0]).st_mode & 0o777, 0o600)

    def test_a_relative_file_of_rules_is_found_from_another_folder(self):
        self.write("r.txt", "rx:slice=1460\n")
        self.assertTrue(self.maps("sh", "-c", "cd /; unset SHAKEDOWN_CONTROL; \"$@\"", "sh",
                                  SHAKEDOWN_RULES_FILE="r.txt"))

    def test_a_page_of_others_or_of_another_kind_is_not_used(self):
        page = self.path("p.control")
        for make in (lambda: self.write("p.control", "x"),
                     lambda: os.truncate(page, 16 << 20),
                     lambda: (os.chmod(page, 0o666), None),
                     lambda: (os.unlink(page), os.symlink("/dev/zero", page))):
            make()
            self.assertEqual(self.maps(SHAKEDOWN_CONTROL=page), [])

    def test_rules_act_where_no_file_can_be_made(self):
        env = dict(os.environ, LD_PRELOAD=LIB, SHAKEDOWN_TRACE="/proc/none/t.trace", SHAKEDOWN_RULES="rx:slice=1460")
        done = subprocess.run(["cat", "/proc/self/maps"], check=True, text=True, env=env, capture_output=True)
        self.assertIn("no trace can be written", done.stderr)
        self.assertIn("/dev/zero (deleted)", done.stdout)
        env = dict(env, SHAKEDOWN_TRACE=self.path("t.trace"))
        done = subprocess.run(["env", "-u", "LD_PRELOAD", "prlimit", "--fsize=65536", "env", "LD_PRELOAD=" + LIB,
                               "cat", "/proc/self/maps"], check=True, text=True, capture_output=True,
                              env={k: v for k, v in env.items() if k != "LD_PRELOAD"})
        self.assertEqual(done.stderr, "")
        self.assertIn("/dev/zero (deleted)", done.stdout)


class Live(Folder):
    def serve(self, *options, preload=False, **env):
        port = harness.free_port()
        command = [sys.executable, "-c", SERVER, str(port)]
        env = dict(os.environ, **env)
        if preload:
            env = harness.preload_env(self.path("t.trace"), env)
        else:
            command = [harness.SHAKEDOWN, "run", "-q", "-o", self.path("t.trace"), *options, "--", *command]
        child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.terminate)
        self.port = port
        return harness.wait_for(lambda: self.listener(child.pid), "the server listens")

    def listener(self, pid):
        """The process below pid that listens; 0: none yet."""
        inodes = {row[3] for row in harness.tcp_rows() if row[0] == self.port and row[2] == "0A"}
        return next((p for p in harness.descendants(pid) if inodes & harness.socket_inodes([p])), 0)

    def rules(self, *args, status=0):
        done = shakedown("rules", *args)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return done.stdout if not status else done.stderr

    def state(self, pid):
        return {r["name"]: r["on"] for r in json.loads(self.rules(str(pid), "list", "--format", "json"))["rules"]}

    def test_rules_of_the_command_line_are_listed_switched_and_replaced(self):
        pid = str(self.serve("-r", "slow=tx@response-head:delay=3ms:path=/ws", "-r", "rx:slice=1460",
                             "--seed", "7"))
        shown = json.loads(self.rules(pid, "list", "--format", "json"))
        self.assertEqual((shown["seed"], shown["version"]), ("7", 1))
        self.assertEqual(self.state(pid), {"slow": True, "r2": True})
        self.assertEqual(self.rules(pid, "off", "slow").splitlines()[0][:4], "off ")
        self.assertEqual(self.state(pid), {"slow": False, "r2": True})
        self.rules(pid, "off", "all")
        self.rules(pid, "on", "slow")
        self.assertEqual(self.state(pid), {"slow": True, "r2": False})
        self.assertIn("one=tx:eagain", self.rules(pid, "set", "one=tx:eagain; two=rx:short"))
        self.assertEqual(self.state(pid), {"one": True, "two": True})
        self.rules(pid, "clear")
        self.assertEqual(self.state(pid), {})

    def test_what_is_printed_can_be_set_again(self):
        pid = str(self.serve("-r", "slow=tx@response-head+17:delay=300ms,20ms:path=/ws:conn=3"))
        rule = json.loads(self.rules(pid, "list", "--format", "json"))["rules"][0]["rule"]
        self.rules(pid, "set", rule)
        self.assertEqual(json.loads(self.rules(pid, "list", "--format", "json"))["rules"][0]["rule"], rule)

    def test_wrong_words_are_answered_with_the_right_ones(self):
        pid = str(self.serve("-r", "slow=tx:short"))
        self.assertIn("did you mean 'slow'", self.rules(pid, "off", "slwo", status=2))
        self.assertIn("did you mean 'list'", self.rules(pid, "lst", status=2))
        self.assertIn("set:1:4: ", self.rules(pid, "set", "tx:shrt", status=2))
        self.assertIn("takes one name", self.rules(pid, "release", status=2))
        self.assertEqual(self.state(pid), {"slow": True})
        self.assertIn("no process", self.rules("x", status=2))
        self.assertIn("not watched", self.rules(str(os.getpid()), status=3))

    def test_releases_are_counted(self):
        pid = str(self.serve("-r", "held=any@frames:hold,until=release.r1"))
        self.assertIn("1 time so", self.rules(pid, "release", "r1"))
        self.assertIn("2 times so", self.rules(pid, "release", "r1"))

    def test_a_release_no_rule_waits_for_is_refused_with_the_names_there_are(self):
        pid = str(self.serve("-r", "a=any@frames:hold,until=release.one", "-r", "b=tx:hold,until=release.two"))
        told = self.rules(pid, "release", "oen\x1b[31m", status=2)
        self.assertIn("'one', 'two'", told)
        self.assertNotIn("\x1b", told)
        self.rules(pid, "set", "tx:short")
        self.assertIn("none holds", self.rules(pid, "release", "one", status=2))

    def test_a_server_under_a_bare_preload_without_rules_can_be_given_some(self):
        pid = str(self.serve(preload=True))
        self.assertEqual(self.state(pid), {})
        self.rules(pid, "set", "one=tx:short")
        self.assertEqual(self.state(pid), {"one": True})

    def test_a_change_is_acknowledged_while_the_server_stands_still(self):
        pid = self.serve("-r", "slow=tx:short")
        os.kill(pid, 19)
        try:
            self.rules(str(pid), "off", "slow")
            self.assertEqual(self.state(str(pid)), {"slow": False})
        finally:
            os.kill(pid, 18)

    def test_a_page_full_of_rules_says_so_and_keeps_what_is_in_force(self):
        pid = str(self.serve())
        rules = "; ".join("tx:short" for _ in range(64))
        status, n = 0, 0
        while status == 0 and n < 300:
            status = shakedown("rules", pid, "set", rules).returncode
            n += 1
        self.assertEqual(status, 3)
        self.assertEqual(len(self.state(pid)), 64)

    def test_a_server_whose_folder_is_gone_goes_on(self):
        pid = str(self.serve("-r", "slow=tx:short"))
        shutil.rmtree(self.path("t.trace"))
        self.assertTrue(self.rules(pid, status=3))
        with harness.socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(s.recv(100))


# Answers an upgrade and echoes nothing: /ws.
UPGRADER = r"""
import base64, hashlib, socket, sys, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
def serve(c):
    head = b""
    while b"\r\n\r\n" not in head:
        more = c.recv(4096)
        if not more:
            return c.close()
        head += more
    key = [l.split(b":")[1].strip() for l in head.split(b"\r\n") if l.lower().startswith(b"sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    try:
        c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while c.recv(4096):
            pass
    except OSError:
        pass
    c.close()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


class Report(Folder):
    def attempt(self, *options, expect=b"HTTP/1.1 101", trace="t.trace"):
        """One upgrade of a server under rules; the trace's report."""
        port = harness.free_port()
        child = subprocess.Popen([harness.SHAKEDOWN, "run", "-q", "-o", self.path(trace), *options, "--",
                                  sys.executable, "-c", UPGRADER, str(port)], stderr=subprocess.PIPE)
        try:
            harness.wait_for(lambda: harness.is_listening(child.pid, port), "the server listens")
            with harness.Client(port) as client:
                client.send(harness.handshake_bytes("/ws"))
                while client.fill():
                    if b"\r\n\r\n" in client.buffer:
                        break
                self.assertEqual(client.buffer[:len(expect)], expect)
        finally:
            child.terminate()
            child.communicate()
        return self.report(trace)

    def report(self, trace="t.trace", *args):
        done = shakedown("report", self.path(trace), "--format", "json", *args)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.status = done.returncode
        return json.loads(done.stdout)

    def faults(self, report):
        return [e for p in report["processes"] for x in p["exchanges"] for e in x["events"] if e["kind"] == "fault"]

    def test_a_fault_is_an_event_of_the_exchange_it_acted_on(self):
        report = self.attempt("-r", "slow=tx@response-head:delay=50ms:path=/ws")
        faults = self.faults(report)
        self.assertTrue(faults)
        self.assertEqual({(f["rule"], f["fault"], f["phase"]) for f in faults},
                         {("slow", "delay", "response-head")})
        self.assertGreaterEqual(max(f["value"] for f in faults), 50 * 1000 * 1000)
        text = shakedown("report", self.path("t.trace"), "--all").stdout
        self.assertRegex(text, r"rule slow: delay of what is sent, response-head")
        rule, = report["rules"]
        self.assertEqual((rule["name"], rule["page"], rule["on"]), ("slow", "control", True))
        self.assertEqual((rule["hits"], rule["eligible"]), (1, 1))

    def test_a_rule_that_never_acted_is_marked(self):
        report = self.attempt("-r", "never=tx@response-head:delay=50ms:path=/other")
        self.assertEqual([r["hits"] for r in report["rules"]], [0])
        self.assertIn("never acted", shakedown("report", self.path("t.trace")).stdout)

    def test_what_a_rule_explains_is_no_finding_against_the_server(self):
        report = self.attempt("-r", "cut=tx@response-head:reset", expect=b"")
        found = [f for p in report["processes"] for x in p["exchanges"] for f in x["findings"]]
        self.assertTrue(found)
        for f in found:
            self.assertEqual((f.get("injected_by"), f["severity"], f["blame"]), ("cut", "info", None), f)
            self.assertIn("'cut' (reset)", f["message"])
        self.report("t.trace", "--fail-on", "info")
        self.assertEqual(self.status, 0)
        self.assertIn("the rule 'cut'", shakedown("report", self.path("t.trace")).stdout)

    def test_a_run_is_repeated_with_its_decisions(self):
        rule = "odd=tx@response-head:delay=20ms,10ms:p=50%"
        first = self.faults(self.attempt("-r", rule, "--seed", "3"))
        for seed in range(4, 40):
            if first:
                break
            first = self.faults(self.attempt("-r", rule, "--seed", str(seed), trace="%d.trace" % seed))
            shutil.rmtree(self.path("t.trace"))
            os.rename(self.path("%d.trace" % seed), self.path("t.trace"))
        again = self.attempt("--replay", self.path("t.trace"), trace="again.trace")
        self.assertEqual([(f["rule"], f["drawn"]) for f in self.faults(again)],
                         [(f["rule"], f["drawn"]) for f in first])
        self.assertEqual(again["rules"][0]["rule"], self.report()["rules"][0]["rule"])
        # Other rules are asked for the same decisions: there are none of that name.
        other = self.attempt("--replay", self.path("t.trace"), "-r", "even=tx@response-head:delay=20ms",
                             trace="other.trace")
        self.assertEqual(self.faults(other), [])

    def test_a_run_in_which_no_rule_acted_is_repeated_without_any_acting(self):
        rule = "slow=tx@response-head:delay=20ms"
        self.assertEqual(self.faults(self.attempt("-r", rule + ":path=/other")), [])
        again = self.attempt("--replay", self.path("t.trace"), "-r", rule, trace="again.trace")
        self.assertEqual(self.faults(again), [])
        self.assertEqual([r["hits"] for r in again["rules"]], [0])

    def test_a_rule_set_live_acts_on_a_connection_that_is_open_already(self):
        port = harness.free_port()
        child = subprocess.Popen([harness.SHAKEDOWN, "run", "-q", "-o", self.path("t.trace"), "--", sys.executable,
                                  "-c", UPGRADER, str(port)])
        try:
            harness.wait_for(lambda: harness.is_listening(child.pid, port), "the server listens")
            pid = next(p for p in harness.descendants(child.pid) if p != child.pid)
            with harness.Client(port) as client:
                head = harness.handshake_bytes("/ws")
                client.send(head[:20])
                shakedown("rules", str(pid), "set", "cut=tx@response-head:reset", timeout=10)
                client.send(head[20:])
                self.assertFalse(client.fill())
            stats = json.loads(shakedown("rules", str(pid), "stats", "--format", "json").stdout)["rules"]
            self.assertEqual([(r["name"], r["hits"]) for r in stats], [("cut", 1)])
        finally:
            child.terminate()
            child.wait()


if __name__ == "__main__":
    unittest.main()
