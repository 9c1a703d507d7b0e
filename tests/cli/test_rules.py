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
                self.assertNotIn(".control", done.stdout)
                env["SHAKEDOWN_QUIET"] = "1"
                done = subprocess.run(["true"], env=env, text=True, capture_output=True, check=False)
                self.assertEqual(done.stderr, "")


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
        self.assertIn("1 times", self.rules(pid, "release", "r1"))
        self.assertIn("2 times", self.rules(pid, "release", "r1"))
        self.rules(pid, "release", "x" * 40, status=3)

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


if __name__ == "__main__":
    unittest.main()
