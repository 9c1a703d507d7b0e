# SPDX-License-Identifier: BSD-2-Clause
#
# run: the command under it behaves as without it, and what cannot be watched is said.

import contextlib
import os
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import LIB, SHAKEDOWN, shakedown, wait_for

PYTHON = sys.executable

# Mounts of its own for a child, with or without being root.
UNSHARE = ["unshare", "-m" if os.getuid() == 0 else "-rm"]

# A command that names every signal it gets and ends with 0 at USR2, with 3 at TERM.
NAMES_SIGNALS = r"""
import os, signal
def say(n, _):
    os.write(1, (signal.Signals(n).name + "\n").encode())
    if n == signal.SIGUSR2: os._exit(0)
    if n == signal.SIGTERM: os._exit(3)
for s in "TERM INT HUP QUIT USR1 USR2 WINCH CONT".split():
    signal.signal(getattr(signal, "SIG" + s), say)
os.write(1, b"ready\n")
while True: signal.pause()
"""


class Folder(unittest.TestCase):
    """Every test has a working directory of its own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o755):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def compile(self, name, *flags, source="int main(void) { return 0; }\n", cc="cc"):
        self.write(name + ".c", source)
        subprocess.run([cc, "-o", self.path(name), self.path(name + ".c"), *flags], check=True)
        return self.path(name)

    def run_it(self, *args, **options):
        options.setdefault("cwd", self.dir)
        return shakedown("run", *args, **options)

    def python(self, code, *options, **more):
        return self.run_it(*options, "--", PYTHON, "-c", code, **more)

    def start(self, *args, **options):
        """Start `shakedown run` and wait for the first line of the command."""
        p = subprocess.Popen([SHAKEDOWN, "run", "-q", *args], cwd=self.dir, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, bufsize=1, **options)
        self.addCleanup(self.finish, p)
        self.assertEqual(p.stdout.readline(), "ready\n")
        return p

    @staticmethod
    def finish(p):
        if p.poll() is None:
            p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()


class Status(Folder):
    def test_exit_status_is_passed_on(self):
        for status in (0, 1, 42, 125, 255):
            self.assertEqual(self.python("import os; os._exit(%d)" % status).returncode, status)

    def test_death_by_signal_is_128_plus_its_number(self):
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            done = self.python("import os; os.kill(os.getpid(), %d)" % number)
            self.assertEqual(done.returncode, 128 + number)

    def test_arguments_and_streams_are_untouched(self):
        done = self.python("import sys; print(sys.argv[1:]); print(sys.stdin.read(), file=sys.stderr)",
                           "-q")
        self.assertEqual(done.stdout, "[]\n")
        p = subprocess.run([SHAKEDOWN, "run", "-q", "--", "cat", "-"], input=b"\0\xff through",
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir, check=True)
        self.assertEqual(p.stdout, b"\0\xff through")
        done = self.run_it("-q", "--", "printf", "%s|", "a b", "", "--help", "-o", "*")
        self.assertEqual(done.stdout, "a b||--help|-o|*|")

    def test_working_directory_mask_and_ignored_signals_are_untouched(self):
        code = ("import signal, os; print(os.getcwd(), signal.pthread_sigmask(0, []), "
                "signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, "
                "signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN, os.listdir('/proc/self/fd'))")
        bare = subprocess.run([PYTHON, "-c", code], cwd=self.dir, stdout=subprocess.PIPE, text=True,
                              check=True, stdin=subprocess.DEVNULL,
                              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        under = self.python(code, "-q",
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual(under.stdout, bare.stdout)


class Trace(Folder):
    def test_folders_are_numbered_when_none_is_named(self):
        for name in ("true.trace", "true.trace.1", "true.trace.2"):
            self.assertEqual(self.run_it("--", "true").returncode, 0)
            self.assertTrue(os.path.isdir(self.path(name)))

    def test_folder_is_named_after_the_program_without_its_path(self):
        script = self.write("serve it.sh", "#!/bin/sh\n")
        self.assertEqual(self.run_it("--", script).returncode, 0)
        self.assertTrue(os.path.isdir(self.path("serve it.sh.trace")))

    def test_folder_is_private(self):
        self.run_it("-o", "mine", "--", "true")
        self.assertEqual(os.stat(self.path("mine")).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(self.path("mine/launch")).st_mode & 0o777, 0o600)

    def test_an_empty_folder_is_taken(self):
        os.mkdir(self.path("empty"))
        self.assertEqual(self.run_it("-o", "empty", "--", "true").returncode, 0)

    def test_further_runs_are_appended_when_asked_for_and_told_apart(self):
        code = ("import os, socket; socket.create_server(('127.0.0.1', 0)).close(); "
                "os._exit(%d)")
        first = self.python(code % 1, "--append", "-o", "t")
        second = self.python(code % 2, "--append", "-o", "t")
        self.assertEqual((first.returncode, second.returncode), (1, 2))
        for done in (first, second):
            self.assertIn("0 upgrade attempts in 1 process", done.stderr)
        records = []
        for name in ("launch", "launch.1"):
            with open(self.path("t/" + name), encoding="ascii") as f:
                records.append(dict(line.split(None, 1) for line in f.read().splitlines()))
        self.assertEqual([os.waitstatus_to_exitcode(int(r["status"])) for r in records], [1, 2])
        traces = [n for n in os.listdir(self.path("t")) if n.endswith(".trace")]
        self.assertEqual(sorted(int(n.split("-")[0]) for n in traces),
                         sorted(int(r["pid"]) for r in records))

    def test_without_a_name_appending_takes_one_folder(self):
        for _ in range(2):
            self.assertEqual(self.run_it("--append", "--", "true").returncode, 0)
        self.assertEqual(os.listdir(self.dir), ["true.trace"])

    def test_nothing_is_left_behind_when_the_command_cannot_be_started(self):
        self.assertEqual(self.run_it("--", "./missing").returncode, 127)
        self.assertEqual(os.listdir(self.dir), [])

    def test_launcher_record_holds_pid_and_status(self):
        done = self.python("import os; print(os.getpid(), flush=True); os._exit(9)", "-q", "-o", "t")
        with open(self.path("t/launch"), encoding="ascii") as f:
            record = dict(line.split(None, 1) for line in f.read().splitlines())
        self.assertEqual(record["pid"], done.stdout.strip())
        self.assertEqual(os.waitstatus_to_exitcode(int(record["status"])), 9)
        self.assertGreater(int(record["end"]), 0)
        self.assertNotIn("signal-time", record)

    def test_launcher_record_holds_the_time_of_the_first_signal(self):
        p = self.start("-o", "t", "--", PYTHON, "-c", NAMES_SIGNALS)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.stdout.readline(), "SIGINT\n")
        with open(self.path("t/launch"), encoding="ascii") as f:
            self.assertIn("signal-time", f.read())
        p.send_signal(signal.SIGUSR2)
        self.assertEqual(p.wait(20), 0)


class Variables(Folder):
    def environment(self, *options, **more):
        done = self.python("import os\nfor k, v in os.environ.items(): print(k, v, sep='=')", "-q",
                           *options, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def test_options_become_the_variables_the_library_reads(self):
        env = self.environment("-o", "t", "--max-trace", "8M", "--keep", "first", "--all", "--payload",
                               "16", "--body", "4K", "--no-redact")
        self.assertEqual(env["SHAKEDOWN_TRACE"], os.path.realpath(self.path("t")))
        self.assertEqual(env["SHAKEDOWN_MAX_TRACE"], str(8 << 20))
        self.assertEqual(env["SHAKEDOWN_KEEP"], "first")
        self.assertEqual(env["SHAKEDOWN_ALL"], "1")
        self.assertEqual(env["SHAKEDOWN_PAYLOAD"], "16")
        self.assertEqual(env["SHAKEDOWN_BODY"], "4096")
        self.assertEqual(env["SHAKEDOWN_NO_REDACT"], "1")

    def test_without_options_nothing_but_the_place_is_set(self):
        env = self.environment("-o", "t")
        self.assertEqual({k for k in env if k.startswith("SHAKEDOWN_")}
                         - {"SHAKEDOWN_VARIANT", "SHAKEDOWN_BUILD"},
                         {"SHAKEDOWN_TRACE", "SHAKEDOWN_LAUNCH", "SHAKEDOWN_LIB", "SHAKEDOWN_CONTROL"})

    def test_a_preload_that_was_there_stays(self):
        other = self.compile("libother.so", "-shared", "-fPIC", source="int other;\n")
        env = self.environment("-o", "t", env=dict(os.environ, LD_PRELOAD=other))
        self.assertEqual(env["LD_PRELOAD"], os.path.realpath(LIB) + ":" + other)

    def test_the_library_is_not_preloaded_twice(self):
        lib = os.path.realpath(LIB)
        env = self.environment("-o", "t", env=dict(os.environ, LD_PRELOAD=lib))
        self.assertEqual(env["LD_PRELOAD"], lib)

    def test_a_program_with_an_address_sanitizer_still_starts(self):
        program = self.compile("sane", "-fsanitize=address", "-g", cc="gcc",
                               source='#include <stdio.h>\n#include <stdlib.h>\n'
                                      'int main(void) { puts(getenv("LD_PRELOAD")); return 5; }\n')
        done = self.run_it("--", program)
        self.assertEqual(done.returncode, 5, done.stderr)
        first, second = done.stdout.strip().split(":")
        self.assertTrue(first.startswith("libasan.so"))
        self.assertEqual(second, os.path.realpath(LIB))


class Library(Folder):
    SHOWS = ["grep", "-o", "-m1", "/.*libshakedown.so", "/proc/self/maps"]

    def install(self, folder, lib):
        """Copy the command and the library as if they had been installed there."""
        os.makedirs(os.path.join(self.dir, folder), exist_ok=True)
        os.makedirs(os.path.join(self.dir, lib), exist_ok=True)
        command = os.path.join(self.dir, folder, "shakedown")
        shutil.copy(os.path.realpath(SHAKEDOWN), command)
        shutil.copy(os.path.realpath(LIB), os.path.join(self.dir, lib, "libshakedown.so"))
        return command

    def loaded(self, command, **env):
        done = subprocess.run([command, "run", "-q", "--", *self.SHOWS], cwd=self.dir, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, **env))
        return done.stdout.strip()

    def test_library_is_found_beside_the_command(self):
        self.assertEqual(self.loaded(self.install("build", "build")),
                         os.path.realpath(self.path("build/libshakedown.so")))

    def test_library_is_found_where_it_was_installed(self):
        self.assertEqual(self.loaded(self.install("usr/bin", "usr/lib")),
                         os.path.realpath(self.path("usr/lib/libshakedown.so")))

    def test_library_named_by_a_variable_wins(self):
        self.install("other", "elsewhere")
        there = self.path("elsewhere/libshakedown.so")
        self.assertEqual(self.loaded(self.install("build", "build"), SHAKEDOWN_LIB=there),
                         os.path.realpath(there))

    def test_a_path_with_spaces_and_colons_does_not_split_the_preload(self):
        run = self.path("run")
        os.mkdir(run)
        command = self.install("my build: new", "my build: new")
        self.assertEqual(self.loaded(command, XDG_RUNTIME_DIR=run),
                         os.path.realpath(self.path("my build: new/libshakedown.so")))
        self.assertEqual(os.listdir(run), [], "the link to the library was left behind")

    def test_every_process_of_a_pipeline_has_the_library(self):
        done = self.run_it("-q", "--", "sh", "-c", " ".join(self.SHOWS) + " | cat")
        self.assertEqual(done.stdout.strip(), os.path.realpath(LIB))


class Signals(Folder):
    def test_signals_are_forwarded(self):
        p = self.start("--", PYTHON, "-c", NAMES_SIGNALS)
        for name in ("INT", "HUP", "QUIT", "USR1", "WINCH", "CONT"):
            p.send_signal(getattr(signal, "SIG" + name))
            self.assertEqual(p.stdout.readline(), "SIG%s\n" % name)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.stdout.readline(), "SIGTERM\n")
        self.assertEqual(p.wait(20), 3)

    def test_a_signal_that_was_ignored_stays_ignored(self):
        p = self.start("--", PYTHON, "-c", NAMES_SIGNALS.replace("TERM INT HUP", "TERM INT"),
                       preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        p.send_signal(signal.SIGHUP)
        p.send_signal(signal.SIGUSR2)
        self.assertEqual(p.stdout.readline(), "SIGUSR2\n")
        self.assertEqual(p.wait(20), 0)

    def test_a_command_may_handle_what_was_ignored_before(self):
        # A shell starts background jobs with INT and QUIT ignored; nginx handles them all the same.
        p = self.start("--", PYTHON, "-c", NAMES_SIGNALS,
                       preexec_fn=lambda: signal.signal(signal.SIGQUIT, signal.SIG_IGN))
        p.send_signal(signal.SIGQUIT)
        self.assertEqual(p.stdout.readline(), "SIGQUIT\n")
        p.send_signal(signal.SIGUSR2)
        self.assertEqual(p.wait(20), 0)

    def test_control_c_on_a_terminal_reaches_the_command_once(self):
        pid, master = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.dir)
                os.execv(SHAKEDOWN, [SHAKEDOWN, "run", "-q", "--", PYTHON, "-c", NAMES_SIGNALS])
            finally:
                os._exit(127)
        lines = os.fdopen(master, "rb", buffering=0)

        def line():
            text = b""
            while not text.endswith(b"\n"):
                if not select.select([master], [], [], harness.IO_TIMEOUT)[0]:
                    self.fail("no whole line came: %r" % text)
                text += os.read(master, 1)
            return text.replace(b"\r", b"").replace(b"^C", b"")

        ended = []

        def reaped(how):
            one, status = os.waitpid(pid, how)
            if one:
                ended.append(os.waitstatus_to_exitcode(status))
            return ended

        try:
            self.assertEqual(line(), b"ready\n")
            os.write(master, b"\x03")
            self.assertEqual(line(), b"SIGINT\n")
            # Forwarded behind whatever the launcher did with the first one.
            os.kill(pid, signal.SIGUSR1)
            self.assertEqual(line(), b"SIGUSR1\n")
            os.kill(pid, signal.SIGUSR2)
            self.assertEqual(line(), b"SIGUSR2\n")
            status = wait_for(lambda: reaped(os.WNOHANG), "the launcher ended")
        finally:
            if not ended:
                for one in reversed(harness.descendants(pid)):
                    os.kill(one, signal.SIGKILL)
                reaped(0)
            lines.close()
        self.assertEqual(status, [0])

    def test_stopping_and_continuing_takes_the_command_along(self):
        p = self.start("--", PYTHON, "-c", NAMES_SIGNALS, preexec_fn=lambda: os.setpgid(0, 0))
        with open("/proc/%d/task/%d/children" % (p.pid, p.pid), encoding="ascii") as f:
            child = int(f.read())

        def state(pid):
            with open("/proc/%d/stat" % pid, encoding="ascii") as f:
                return f.read().rpartition(")")[2].split()[0]

        p.send_signal(signal.SIGTSTP)
        wait_for(lambda: state(child) == "T" and state(p.pid) == "T", "both are stopped")
        p.send_signal(signal.SIGCONT)
        self.assertEqual(p.stdout.readline(), "SIGCONT\n")
        p.send_signal(signal.SIGUSR2)
        self.assertEqual(p.stdout.readline(), "SIGUSR2\n")
        self.assertEqual(p.wait(20), 0)


class Descendants(Folder):
    DAEMON = r"""
import os, signal, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
os.write(1, b"ready\n")
while True: signal.pause()
"""

    def test_a_daemon_is_followed_and_its_status_passed_on(self):
        p = self.start("-o", "t", "--", PYTHON, "-c", self.DAEMON)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 7)
        with open(self.path("t/launch"), encoding="ascii") as f:
            record = dict(line.split(None, 1) for line in f.read().splitlines())
        self.assertEqual(os.waitstatus_to_exitcode(int(record["status"])), 7)

    def test_following_is_announced(self):
        done = self.run_it("--", "sh", "-c", "sleep 0.2 >/dev/null 2>&1 &")
        self.assertEqual(done.returncode, 0)
        self.assertIn("following it", done.stderr)

    def test_a_command_that_failed_is_not_waited_for_beyond_its_end(self):
        p = subprocess.Popen([SHAKEDOWN, "run", "-q", "--", "sh", "-c", "sleep 600 & echo $!; exit 4"],
                             cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        left = int(p.stdout.readline())
        try:
            self.assertEqual(p.wait(20), 4)
        finally:
            p.stdout.close()
            os.kill(left, signal.SIGKILL)

    def test_orphans_of_a_running_command_are_reaped(self):
        code = (r"import os, sys, time" "\n"
                r"r, w = os.pipe()" "\n"
                r"if os.fork() == 0:" "\n"
                r"    orphan = os.fork()" "\n"
                r"    if orphan == 0: os._exit(0)" "\n"
                r"    os.write(w, b'%d' % orphan); os._exit(0)" "\n"
                r"os.wait()" "\n"
                r"orphan = int(os.read(r, 20))" "\n"
                r"end = time.monotonic() + 20" "\n"
                r"while os.path.exists('/proc/%d' % orphan) and time.monotonic() < end:" "\n"
                r"    time.sleep(0.005)" "\n"
                r"sys.exit(os.path.exists('/proc/%d' % orphan))" "\n")
        self.assertEqual(self.python(code).returncode, 0)

    def test_as_process_1_it_reaps_and_passes_the_status(self):
        unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        if subprocess.run(unshare + ["true"], check=False, stderr=subprocess.DEVNULL).returncode:
            harness.skip("no-namespaces")
        done = subprocess.run(unshare + [SHAKEDOWN, "run", "-q", "--", "sh", "-c",
                                         "test $PPID = 1 && (kill -TERM 1); exec sleep 60"],
                              cwd=self.dir, stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 128 + signal.SIGTERM, done.stderr)


# Answers every upgrade with a 101; behind that of /bad comes an HTTP answer. Ends with its second word.
SERVER = r"""
import base64, hashlib, os, socket, sys
s = socket.create_server(("127.0.0.1", 0))
os.write(1, b"%d\n" % s.getsockname()[1])
for path in sys.argv[2:]:
    c, head = s.accept()[0], b""
    while not head.endswith(b"\r\n\r\n"): head += c.recv(4096)
    key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n")
    if path == "/bad": c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    else: c.recv(100), c.sendall(b"\x88\x02\x03\xe8")
    c.close()
os._exit(int(sys.argv[1]))
"""


class Summary(Folder):
    """What is said afterwards about a server that took part in upgrades."""

    def serve(self, *paths, options=(), status=0):
        p = subprocess.Popen([SHAKEDOWN, "run", *options, "--", PYTHON, "-c", SERVER, str(status),
                              *paths], cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        self.addCleanup(self.finish, p)
        port = int(p.stdout.readline())
        for path in paths:
            with harness.Client(port) as c:
                c.ws_open(path)
                if path == "/bad":
                    c.recv_until_close()
                else:
                    c.ws_close()
        stderr = p.stderr.read()
        return p.wait(20), stderr

    def test_attempts_findings_and_coverage_are_counted(self):
        status, said = self.serve("/good", "/bad", "/good", options=["-o", "a b"])
        self.assertEqual(status, 0)
        self.assertIn("3 upgrade attempts in 1 process: 3 upgraded", said)
        self.assertRegex(said, r"findings: 1 critical")
        self.assertIn("coverage: full", said)

    def test_the_next_command_can_be_pasted(self):
        said = self.serve("/bad", options=["-o", "a b"])[1]
        command = said.splitlines()[-1].partition("next: ")[2]
        done = subprocess.run(["sh", "-c", command], cwd=self.dir, stdout=subprocess.PIPE, text=True,
                              check=True)
        self.assertIn("http-after-101", done.stdout)

    def test_a_healthy_server_has_no_findings(self):
        said = self.serve("/good", options=["--fail-on", "info"])[1]
        self.assertIn("no findings", said)

    def test_fail_on_makes_findings_the_status(self):
        self.assertEqual(self.serve("/bad", options=["--fail-on", "critical"])[0], 1)
        self.assertEqual(self.serve("/good", options=["--fail-on", "warning"])[0], 0)

    def test_fail_on_leaves_the_status_of_a_command_that_failed(self):
        self.assertEqual(self.serve("/bad", options=["--fail-on", "info"], status=9)[0], 9)

    def test_a_quiet_run_says_nothing(self):
        self.assertEqual(self.serve("/bad", options=["-q"]), (0, ""))


class Preload(Folder):
    """The library alone, without the command in front."""

    # A shell with children, one of which is executed in its place.
    TREE = ["sh", "-c", "/bin/true; sh -c '/bin/true; exec /bin/true'; exec sh -c /bin/true"]

    def said(self, cwd=None, **variables):
        done = subprocess.run(self.TREE, cwd=cwd or self.dir, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, LD_PRELOAD=LIB, **variables), check=True)
        return done.stderr.splitlines()

    def test_what_is_wrong_is_said_once_in_a_tree_of_processes(self):
        for name, value, expected in (
                ("SHAKEDOWN_TARCE", "x", "is no setting of shakedown"),
                ("SHAKEDOWN_MAX_TRACE", "4K", "the least is 4804K"),
                ("SHAKEDOWN_TRACE", "/no/such/place", "parent folder does not exist"),
                ("SHAKEDOWN_TRACE", "/dev/null", "is no folder")):
            with self.subTest(name=name, value=value):
                said = self.said(**{name: value})
                self.assertEqual(len(said), 1, said)
                self.assertIn(expected, said[0])
                self.assertEqual(self.said(**{name: value, "SHAKEDOWN_QUIET": "1"}), [])

    def test_a_place_that_can_be_written_to_costs_no_word(self):
        os.mkdir(self.path("there"))
        for place in ("new", "new/", "there", "./there/", self.path("new"), "."):
            self.assertEqual(self.said(SHAKEDOWN_TRACE=place), [], place)
        self.assertEqual(self.said(), [])

    def test_only_a_process_that_said_something_marks_its_environment(self):
        show = "import os; print('SHAKEDOWN_SAID' in os.environ, len(os.environ))"
        for trace, expected in (("/no/such/place", "True 5\n"), (self.path("t"), "False 4\n")):
            done = subprocess.run([PYTHON, "-c", show], env={
                "LD_PRELOAD": LIB, "SHAKEDOWN_TRACE": trace, "A": "1", "LC_ALL": "C.UTF-8"},
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            self.assertEqual(done.stdout, expected)


class Verdict(Folder):
    """What is said before the start, and what happens then."""

    def test_what_will_not_be_seen_of_a_static_program_is_said(self):
        program = self.compile("fixed", "-static", source="int main(void) { return 6; }\n")
        done = self.run_it("--", program)
        self.assertEqual(done.returncode, 6)
        self.assertRegex(done.stderr, r"is a static binary: \d+ of \d+ places")
        self.assertIn("without -static", done.stderr)
        self.assertIn("blind", done.stderr.splitlines()[-1])

    def test_a_static_program_without_the_injected_door_runs_unseen_and_that_is_said(self):
        program = self.compile("fixed", "-static", source="int main(void) { return 6; }\n")
        done = self.run_it("--door", "libc", "--", program)
        self.assertEqual(done.returncode, 6)
        self.assertIn("takes no preload: nothing will be seen", done.stderr)
        self.assertIn("blind", done.stderr.splitlines()[-1])

    def test_a_quiet_run_still_says_blind(self):
        program = self.compile("fixed", "-static")
        done = self.run_it("-q", "--", program)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("blind", done.stderr)

    def test_blind_is_no_success_when_findings_are_to_fail_the_run(self):
        program = self.compile("fixed", "-static")
        self.assertEqual(self.run_it("--fail-on", "info", "--", program).returncode, 125)

    def test_a_script_is_judged_by_its_interpreter(self):
        self.compile("fixed", "-static")
        script = self.write("script", "#!%s\n" % self.path("fixed"))
        self.assertIn(self.path("fixed") + " is a static binary", self.run_it("--", script).stderr)
        script = self.write("script2", "#!/usr/bin/env -S FOO=1 fixed\n")
        done = self.run_it("--", script, env=dict(os.environ, PATH=self.dir + ":/usr/bin:/bin"))
        self.assertIn(self.path("fixed") + " is a static binary", done.stderr)

    def test_a_script_without_an_interpreter_line_is_run_by_the_shell(self):
        script = self.write("script", "exit 11\n")
        self.assertEqual(self.run_it("--", script, "x").returncode, 11)

    def test_a_musl_program_loads_the_library(self):
        program = self.compile("small", cc="musl-gcc", source=(
            '#include <stdio.h>\n#include <string.h>\n'
            'int main(void) { char l[512]; FILE *f = fopen("/proc/self/maps", "r");\n'
            'while (fgets(l, 512, f)) if (strstr(l, "libshakedown")) return 8; return 1; }\n'))
        done = self.run_it("--", program)
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertNotIn("not loaded", done.stderr)

    def test_a_program_that_lost_the_preload_is_noticed(self):
        program = self.compile("fixed", "-static", source=(
            '#include <unistd.h>\n'
            'int main(void) { char *v[] = {"true", 0}, *e[] = {0}; execve("/bin/true", v, e); }\n'))
        done = self.run_it("--", program)
        self.assertEqual(done.returncode, 0)
        self.assertIn("blind", done.stderr)

    LISTENS = "import socket; socket.create_server(('127.0.0.1', 0)).close()"

    def test_a_trace_that_could_not_be_made_is_not_called_a_server_without_sockets(self):
        done = self.python("import os; os.rename('t', 'u'); open('t', 'w').close(); " + self.LISTENS,
                           "-o", "t")
        self.assertIn("trace file could not be created: Not a directory", done.stderr)
        self.assertNotIn("no socket call", done.stderr)
        most = (64 << 10, 64 << 10)
        done = self.python(self.LISTENS,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most))
        self.assertEqual(done.returncode, 0)
        self.assertIn("could not be created: files may not be larger than 65536", done.stderr)

    def test_a_full_disk_is_named_and_the_launcher_complains_once(self):
        if subprocess.run(UNSHARE + ["mount", "-t", "tmpfs", "none", "/mnt"], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            harness.skip("mount")
        os.mkdir(self.path("small"))
        done = subprocess.run(
            UNSHARE + ["sh", "-c", 'mount -t tmpfs -o size=64k none "$1" && '
                       'dd if=/dev/zero of="$1/all" bs=4k 2>/dev/null; shift; exec "$@"', "sh",
                       self.path("small"), SHAKEDOWN, "run", "-o", self.path("small/t"), "--",
                       PYTHON, "-c", self.LISTENS], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("trace file could not be created: No space left on device", done.stderr)
        self.assertEqual(done.stderr.count("launcher's record"), 1, done.stderr)

    def test_a_program_without_sockets_is_told_from_one_that_was_not_loaded(self):
        done = self.run_it("--", "true")
        self.assertIn("no socket call was seen (the library was loaded", done.stderr)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main()
