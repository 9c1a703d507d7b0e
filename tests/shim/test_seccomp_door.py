# SPDX-License-Identifier: BSD-2-Clause
"""`shakedown run --door seccomp`: what cannot be patched is watched from outside.  The program must not
notice but by the time it takes, and findings are those of the other doors, without blame."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "servers"))

import golang
import harness
import test_filtered
from harness import (SHAKEDOWN, Server, ServerCase, assert_healthy, assert_primary, free_port,
                     handshake_bytes, have_program, wait_for)

HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN = [sys.executable, os.path.join(HERE, "seccomp_server.py"), "{port}"]
DOOR = [SHAKEDOWN, "run", "-o", "{dir}/server.trace", "--door", "seccomp", "--"]
LARGE = 8 << 20
SECCOMP, FORBID = 317, 0x00050001  # the call; SECCOMP_RET_ERRNO with EPERM

NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {
    listen 127.0.0.1:{port};
    root {dir};
    sendfile on;
    location /refused { return 401; }
  }
}
"""

HTTP = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
class Server(getattr(socketserver, sys.argv[2] + "MixIn"), http.server.HTTPServer):
    pass
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


# Waits for connections without accepting while its numbers are all taken.
FULL = """
import errno, os, resource, select, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(8)
s.setblocking(False)
select.select([s], [], [])
resource.setrlimit(resource.RLIMIT_NOFILE, (s.fileno() + 1, 4096))
try:
    s.accept()
except OSError as e:
    assert e.errno == errno.EMFILE
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096))
shown = select.select([s], [], [], 0)[0] == [s]
c = s.accept()[0]
c.sendall(b"shown" if shown else b"hidden")
c.close()
"""

CONNECTS = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"

# A child that was there before the first connection is sent it.
PASSES = r"""
import os, socket, sys
here, there = socket.socketpair()
child = os.fork()
if child:
    s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    c = s.accept()[0]
    socket.send_fds(here, [b"x"], [c.fileno()])
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
c = socket.socket(fileno=socket.recv_fds(there, 1, 1)[1][0])
c.recv(4096)
c.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
"""


def behind(cmd, **options):
    return Server([*DOOR, *cmd], free_port(), shim=False, **options)


def users_of(place):
    """Processes that have that folder on their command line: the command, its children, the supervisor."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                with open("/proc/%s/cmdline" % name, "rb") as words:
                    if place.encode() in words.read():
                        found.append(int(name))
    return found


def supervisors_of(server):
    """The guard, and the supervisor it waits for."""
    def children(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as words:
            return [int(word) for word in words.read().split()]
    guard = min(children(server.process.pid))
    return guard, children(guard)[0]


def unread(server, client):
    """Bytes of this client that wait in the server's socket."""
    with open("/proc/net/tcp", encoding="ascii") as lines:
        for row in list(lines)[1:]:
            f = row.split()
            if (int(f[1].rpartition(":")[2], 16), int(f[2].rpartition(":")[2], 16)) == (
                    server.port, client.port):
                return int(f[4].rpartition(":")[2], 16)
    raise AssertionError("no such connection")


def refused(case, server, path="/refused"):
    with server.client() as client:
        client.send(handshake_bytes(path))
        client.recv_head()
    exchange = assert_primary(server.trace, path, "upgrade-rejected", status=401)
    finding = exchange["findings"][0]
    case.assertIsNone(finding["blame"])
    case.assertEqual(finding["blame_reason"], "the seccomp door takes no stacks")
    case.assertEqual(server.report()["processes"][0]["doors"], ["seccomp"])
    return exchange


class Bytes(ServerCase):
    """One plain server, several connections."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve([*DOOR, *PLAIN], free_port(), shim=False)

    def exchange(self, what, data, slow=False):
        """Send all of data while reading; what comes back."""
        with self.server.client() as client:
            client.send(what.encode() + b"\n")
            got = []

            def receive():
                if slow:
                    sent.wait(1)  # until the server cannot write any more
                got.append(client.recv_until_close())

            sent = threading.Event()
            reader = threading.Thread(target=receive)
            reader.start()
            client.send(data)
            sent.set()
            client.finish()
            reader.join()
        return got[0]

    def assert_same(self, got, data):
        self.assertEqual(len(got), len(data))
        self.assertEqual(hashlib.sha1(got).digest(), hashlib.sha1(data).digest())

    def test_large_messages_pass_both_ways_unchanged(self):
        data = os.urandom(LARGE)
        self.assert_same(self.exchange("echo", data), data)

    def test_a_client_that_reads_late_gets_everything(self):
        data = os.urandom(LARGE)
        self.assert_same(self.exchange("echo", data, slow=True), data)

    def test_several_buffers_in_one_call_are_filled_in_order(self):
        data = os.urandom(LARGE)
        self.assert_same(self.exchange("vectors", data), data)

    def test_a_file_is_sent_whole(self):
        path = os.path.join(self.server.dir, "file")
        data = os.urandom(LARGE)
        with open(path, "wb") as out:
            out.write(data)
        self.assert_same(self.exchange("file " + path, b""), data)

    def test_the_time_limit_of_a_read_holds(self):
        with self.server.client() as client:
            client.send(b"timeout\n")
            self.assertEqual(client.recv_until_close(), b"timed out")

    def test_a_read_that_asks_for_all_bytes_gets_them(self):
        with self.server.client() as client:
            client.send(b"whole\nhello ")
            wait_for(lambda: not unread(self.server, client), "the first half to be read")
            client.send(b"world.")
            self.assertEqual(client.recv_until_close(), b"hello world.")

    def test_a_write_that_waits_returns_when_all_is_written(self):
        with self.server.client() as client:
            client.send(b"once\n")
            self.assertEqual(client.recv_until_close().lstrip(b"x"), b"%d" % (4 << 20))

    def test_a_duplicate_keeps_the_connection_open_and_its_end_closes_it(self):
        with self.server.client() as client:
            client.send(b"duplicate\n")
            self.assertEqual(client.recv_exactly(21), b"through the duplicate")
            client.send(b"go on\n")
            self.assertEqual(client.recv_until_close(), b"")

    def test_connections_do_not_wait_for_each_other(self):
        with self.server.client() as idle, self.server.client() as busy:
            idle.send(b"echo\n")
            busy.send(b"echo\nhello")
            self.assertEqual(busy.recv_exactly(5), b"hello")
            idle.send(b"later")
            self.assertEqual(idle.recv_exactly(5), b"later")


class Ends(unittest.TestCase):
    def test_a_signal_interrupts_a_call_that_waits_and_the_status_passes(self):
        with behind(PLAIN) as server:
            self.assertEqual(server.terminate(), 7)
            self.assertIn("asked to end", server.log_text())
            self.assertIn("us more (measured now)", server.log_text())

    def test_the_end_of_the_process_ends_its_connections(self):
        with behind(PLAIN) as server, server.client() as other, server.client() as client:
            other.send(b"echo\nhello")
            other.recv_exactly(5)
            client.send(b"leave\n")
            self.assertEqual(other.recv_until_close(), b"")
            self.assertEqual(client.recv_until_close(), b"")
            self.assertEqual(server.process.wait(harness.STOP_TIMEOUT), 5)

    def test_writing_to_nobody_kills_with_sigpipe(self):
        with behind(PLAIN) as server:
            with server.client() as client:
                client.send(b"pipe\ngo\n")
                client.recv_exactly(1)
                client.reset()
            self.assertEqual(server.process.wait(harness.STOP_TIMEOUT), 128 + signal.SIGPIPE)

    def test_nothing_is_left_behind(self):
        with behind(PLAIN) as server:
            server.terminate()
            wait_for(lambda: not users_of(server.dir), "the end of the supervisor")

    def test_a_server_that_outlives_the_command_goes_on_being_served(self):
        with tempfile.TemporaryDirectory() as place:
            port = free_port()
            words = [w.replace("{port}", str(port)).replace("{dir}", place) for w in PLAIN]
            script = "%s >/dev/null 2>&1 & echo $!; exit 3" % " ".join(words)
            trace = os.path.join(place, "t")
            done = subprocess.run([SHAKEDOWN, "run", "-q", "-o", trace, "--door", "seccomp", "--",
                                   "sh", "-c", script], stdout=subprocess.PIPE, check=False,
                                  timeout=60, text=True)
            server = int(done.stdout)
            self.addCleanup(os.kill, server, signal.SIGKILL)
            self.assertEqual(done.returncode, 3)
            wait_for(lambda: harness.is_listening(server, port), "the server")
            with harness.Client(port) as client:
                client.send(b"echo\nhello")
                self.assertEqual(client.recv_exactly(5), b"hello")
            os.kill(server, signal.SIGTERM)
            wait_for(lambda: not users_of(place), "the end of the supervisor")
            self.doCleanups()

    def test_a_connection_shows_until_there_is_a_number_for_it(self):
        with behind([sys.executable, "-c", FULL, "{port}"]) as server, server.client() as client:
            self.assertEqual(client.recv_until_close(), b"shown")

    def test_the_death_of_the_supervisor_ends_no_service_and_is_told(self):
        with behind([sys.executable, "-c", HTTP, "{port}", "Threading"]) as server:
            with server.client() as client:
                client.send(handshake_bytes("/before"))
                self.assertEqual(client.recv_head().status, 401)
            supervisor = supervisors_of(server)[1]
            os.kill(supervisor, signal.SIGKILL)
            with server.client() as client:
                client.send(handshake_bytes("/after"))
                self.assertEqual(client.recv_head().status, 401)
            server.terminate()
            self.assertIn("the supervisor of --door seccomp died", server.log_text())
            self.assertIn("coverage: partial", server.log_text())
            report = server.report()
        self.assertIn("partial", [p["coverage"] for p in report["processes"]])

    def test_the_death_of_the_guard_ends_no_service(self):
        with behind(PLAIN) as server:
            os.kill(supervisors_of(server)[0], signal.SIGKILL)
            with server.client() as client:
                client.send(b"echo\nhello")
                self.assertEqual(client.recv_exactly(5), b"hello")
            self.assertEqual(server.terminate(), 7)

    def test_a_command_that_has_no_sockets_is_told_so(self):
        with tempfile.TemporaryDirectory() as place:
            done = harness.shakedown("run", "-o", place + "/t", "--door", "seccomp", "--", "true")
        self.assertEqual(done.returncode, 0)
        self.assertIn("no process accepted a connection or opened one over a network", done.stderr)

    def test_a_second_supervisor_is_refused_and_the_reason_told(self):
        with tempfile.TemporaryDirectory() as place:
            done = harness.shakedown("run", "-o", place + "/1", "--door", "seccomp", "--",
                                     SHAKEDOWN, "run", "-o", place + "/2", "--door", "seccomp",
                                     "--", "true")
            self.assertEqual(done.returncode, 125)
            self.assertIn("another supervisor listens", done.stderr)


    def test_a_container_that_forbids_it_is_named(self):
        forbids = test_filtered.filter_of([SECCOMP], FORBID, test_filtered.ALLOW)
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run([sys.executable, "-c", test_filtered.LOCK_IN, forbids, SHAKEDOWN,
                                   "run", "-o", place + "/t", "--door", "seccomp", "--", "true"],
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=60)
            self.assertEqual(done.returncode, 125)
            self.assertIn("seccomp(2) is forbidden here", done.stderr)
            self.assertEqual(os.listdir(place), [])


class Findings(unittest.TestCase):
    def test_what_a_forked_child_does_is_not_judged_and_that_is_said(self):
        with behind([sys.executable, "-c", HTTP, "{port}", "Forking"]) as server:
            for _ in range(3):
                with server.client() as client:
                    client.send(handshake_bytes("/refused"))
                    self.assertEqual(client.recv_head().status, 401)
            server.terminate()
            report = server.report()
        self.assertEqual([f["id"] for f in harness.findings(report)], ["observer-blind"])
        self.assertEqual(report["processes"][0]["coverage"], "partial")
        self.assertIn("follows one process", report["processes"][0]["coverage_reason"])

    def beside(self, silent, after, client):
        script = '"$0" -c "$1" "$2" %s shift 2; exec "$0" "$@"' % after
        return behind(["sh", "-c", script, sys.executable, client,
                       str(silent.getsockname()[1]), "-c", HTTP, "{port}", "Threading"])

    def test_a_server_that_comes_after_a_client_is_followed(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with self.beside(silent, ";", CONNECTS) as server:
                refused(self, server)
                self.assertEqual({p["coverage"] for p in server.report()["processes"]}, {"full"})

    def test_a_server_beside_a_client_is_followed_and_the_client_is_told_of(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with self.beside(silent, "&", CONNECTS + ".recv(1)") as server:
                with silent.accept()[0]:
                    refused(self, server)
                coverage = [p["coverage"] for p in server.report()["processes"]]
                self.assertEqual(sorted(coverage), ["full", "partial"])

    def test_a_process_that_got_its_connection_from_the_followed_one_is_told_of(self):
        with behind([sys.executable, "-c", PASSES, "{port}"]) as server:
            with server.client() as client:
                client.send(handshake_bytes("/refused"))
                self.assertEqual(client.recv_head().status, 401)
            self.assertEqual(server.process.wait(harness.STOP_TIMEOUT), 0)
            self.assertIn("coverage: partial; the seccomp door follows", server.log_text())

    def test_a_refusal_of_pythons_own_server(self):
        with behind([sys.executable, "-c", HTTP, "{port}", "Threading"]) as server:
            refused(self, server)

    def test_a_refusal_and_a_large_file_of_nginx(self):
        self.assertTrue(have_program("nginx"))
        with behind(["nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf"],
                    files={"nginx.conf": NGINX, "large": "0123456789" * 300000}) as server:
            refused(self, server)
            with server.client() as client:
                client.send(harness.request_bytes("/large"))
                head, body = client.recv_response()
                self.assertEqual(head.status, 200)
                self.assertEqual(body, b"0123456789" * 300000)


class Go(ServerCase):
    """The same as through the Go door."""

    @classmethod
    def setUpClass(cls):
        app = golang.build("gin", "gin", "debian", "stripped")
        cls.server = cls.serve([*DOOR, app, "127.0.0.1:{port}"], free_port(), shim=False)

    def test_a_healthy_echo(self):
        with self.server.client() as client:
            client.ws_open("/ws")
            client.echo(os.urandom(60000).hex().encode())
            client.ws_close()
        assert_healthy(self.server.trace, "/ws")

    def test_a_refusal_of_gin(self):
        refused(self, self.server, "/token/ws")


class GoPlain(unittest.TestCase):
    def test_programs_it_starts_and_its_orderly_end(self):
        app = golang.build("plain", "plain", "debian", "static")
        with behind([app, "127.0.0.1:{port}"]) as server:
            with server.client() as client:
                client.send(harness.request_bytes("/start?times=5"))
                self.assertEqual(client.recv_response()[1], b".....")
            self.assertEqual(server.terminate(), 0)
            self.assertIn("ended in order", server.log_text())


if __name__ == "__main__":
    unittest.main()
