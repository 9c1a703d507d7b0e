# SPDX-License-Identifier: BSD-2-Clause
"""What a watched process executes is what it would execute alone, whatever it is called by."""

import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import unittest

import harness
import programs
from test_injected import Run, show, static

NEW_PID_NAMESPACE = "0x20000000"
RE_EXECUTE = """
import os, sys
f = os.open(sys.argv[2], os.O_RDONLY)
os.set_inheritable(f, sys.argv[1] == 'kept')
os.execv(sys.argv[3].format(f), ['zero', 'library'])
"""


@functools.lru_cache(maxsize=None)
def go_victim():
    go = shutil.which("go")
    if go is None:
        harness.skip("no-go")
    path = os.path.join(programs.folder(), "carry_victim")
    subprocess.run([go, "build", "-o", path, os.path.join(programs.HERE, "carry_victim.go")],
                   check=True, timeout=600,
                   env=dict(os.environ, CGO_ENABLED="0", GOFLAGS="", GO111MODULE="off",
                            GOTOOLCHAIN="local"))
    return path


class Names(Run):
    """Names that mean something else to every process."""

    def test_a_go_program_executes_itself_by_any_name_and_is_watched(self):
        go = go_victim()
        link = os.path.join(self.dir, "link")
        os.symlink("/proc/self/exe", link)
        for name in ("/proc/self/exe", "/proc/PID/exe", "/proc//self/./exe", go):
            with self.subTest(name):
                done = self.run_it(go, "self", name)
                self.assertEqual(done.stdout, "%s true\n<nil>\n" % go, done.stderr)
        done = self.run_it(go, "self", link)
        self.assertRegex(done.stdout, "^%s (true|false)\n<nil>\n$" % go)

    def test_a_static_program_executes_itself_and_is_watched(self):
        for name in ("/proc/self/exe", "/proc/thread-self/exe"):
            done = self.run_it(show(), "exec", name, "library")
            self.assertEqual((done.returncode, done.stdout.count(" r--p 00000000 ")), (0, 1), done)

    def test_a_descriptor_is_executed_whether_it_stays_open_or_not(self):
        for how in ("kept", "closed"):
            for name in ("/proc/self/fd/{}", "/dev/fd/{}", "/proc/thread-self/fd/{}"):
                with self.subTest(how=how, name=name):
                    done = self.run_it(sys.executable, "-c", RE_EXECUTE, how, show(), name)
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_descriptor_put_in_its_place_for_the_child_is_the_childs(self):
        code = ("import os, sys\n"
                "f, g = (os.open(p, os.O_RDONLY) for p in sys.argv[1:3])\n"
                "pid = os.posix_spawn('/proc/self/fd/%d' % f, ['zero', 'exit', '7'], os.environ,\n"
                "                     file_actions=[(os.POSIX_SPAWN_DUP2, g, f)])\n"
                "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))")
        done = self.run_it(sys.executable, "-c", code, static("static_server.c"), show())
        self.assertEqual(done.stdout, "7\n", done.stderr)


class Children(Run):
    """Many at once keep apart."""

    @staticmethod
    def namespaces():
        unshare = ["unshare", "--pid", "--fork", "--mount", "--mount-proc"]
        if subprocess.run([*unshare, "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            harness.skip("no-namespaces")
        return unshare

    def test_children_that_are_all_process_1_get_their_own_environment(self):
        self.namespaces()
        go = go_victim()
        for program in (go, "/proc/self/exe"):
            with self.subTest(program):
                done = self.run_it(go, "many", NEW_PID_NAMESPACE, program)
                self.assertEqual(done.stdout, "0 wrong\n", done.stderr)

    def test_children_of_one_namespace_get_their_own_environment(self):
        done = self.run_it(go_victim(), "many", "0", go_victim())
        self.assertEqual(done.stdout, "0 wrong\n", done.stderr)

    def test_a_child_that_is_process_1_as_the_server_is_closes_and_executes_on_its_own(self):
        unshare = self.namespaces()
        for program in (programs.build("process_1.c"), static("process_1.c")):
            with self.subTest(program):
                done = self.run_it(*unshare, program)
                self.assertEqual(done.returncode, 0, done.stderr)
                report = json.loads(harness.shakedown("report", self.trace, "--format", "json").stdout)
                server = next(e for p in report["processes"] if p["exe"] == program
                              for e in p["exchanges"] if e["role"] == "server")
                self.assertEqual((server["outcome"], server["findings"]), ("upgraded", []))


class Errors(Run):
    """The program is told, not the child."""

    def test_a_program_that_is_being_written_is_busy(self):
        if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 14):
            harness.skip("exec-check")
        busy = os.path.join(self.dir, "busy")
        shutil.copy(show(), busy)
        done = self.run_it(sys.executable, "-c", "import os, sys\n"
                           "f = open(sys.argv[1], 'r+b')\n"
                           "try: os.execv(sys.argv[1], ['x'])\n"
                           "except OSError as e: print(e.errno)", busy)
        self.assertEqual(done.stdout, "26\n", done.stderr)

    def test_a_stack_of_a_few_pages_is_enough_for_the_command_and_for_a_carried_child(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_STACK, (32 << 10, 32 << 10))

        done = self.run_it("/bin/sh", "-c", "%s library; true" % show(), preexec_fn=limit,
                           env={"PATH": os.environ["PATH"]})
        self.assertEqual((done.returncode, done.stdout.count(" r--p 00000000 ")), (0, 1), done)


if __name__ == "__main__":
    unittest.main()
