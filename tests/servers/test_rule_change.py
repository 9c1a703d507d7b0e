# SPDX-License-Identifier: BSD-2-Clause
"""Rules change under a thousand busy connections: nobody is blocked, no byte is lost, and it is quick."""

import os
import resource
import select
import socket
import threading
import unittest

import harness
from harness import ServerCase, free_port
from test_gate_servers import ASYNCIO, NODE

CONNECTIONS = 1000
CHANGES = (("set", "less=any:slice=7", "late=tx@response-head:delay=5ms:p=20%", "some=tx:short=3:p=50%"),
           ("off", "late"), ("on", "late"), ("off", "less"), ("off", "some"), ("on", "less", "some"),
           ("set", "stop=tx@response-head:hold=release.never"), ("off", "stop"), ("on", "stop"),
           ("set", "late=tx@response-head:delay=3ms"), ("set", "less=rx:slice=1"), ("clear",))


class Busy(threading.Thread):
    """CONNECTIONS connections, each with the next request as soon as the answer is here and right."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.poll, self.wrong, self.over = select.epoll(), [], False
        self.answers, self.had, self.socket, self.of = [], [], [], {}
        for i in range(CONNECTIONS):
            s = socket.create_connection(("127.0.0.1", port))
            s.setblocking(False)
            self.socket.append(s)
            self.had.append(b"")
            self.answers.append(0)
            self.of[s.fileno()] = i
            self.poll.register(s, select.EPOLLIN)

    def ask(self, i):
        self.socket[i].send(b"GET /%d/%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i, self.answers[i]))

    def run(self):
        for i in range(CONNECTIONS):
            self.ask(i)
        while not self.over and not self.wrong:
            for fd, _ in self.poll.poll(0.1):
                self.hear(self.of[fd])

    def hear(self, i):
        data = self.socket[i].recv(65536)
        self.had[i] += data
        head, end, body = self.had[i].partition(b"\r\n\r\n")
        want = b"/%d/%d" % (i, self.answers[i])
        if data and not (end and len(body) >= len(want)):
            return
        if not data or not head.startswith(b"HTTP/1.1 200") or body != want:
            self.wrong.append((i, want, self.had[i]))
            return
        self.had[i] = b""
        self.answers[i] += 1
        self.ask(i)

    def all_go_on(self):
        """Every connection gets a further answer, to a request sent after now."""
        least = [n + 2 for n in self.answers]
        harness.wait_for(lambda: self.wrong or all(a >= n for a, n in zip(self.answers, least)),
                         "an answer on each connection", timeout=60)

    def finish(self):
        self.over = True
        self.join()
        for s in self.socket:
            s.close()
        self.poll.close()


class RuleChange(ServerCase):
    def hold(self, words, **options):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, most)
        port = free_port()
        server = self.serve(words, port, **options)
        busy = Busy(port)
        self.addCleanup(busy.finish)
        busy.start()
        pid = os.path.basename(harness.wait_for(lambda: [
            n for n in os.listdir(server.trace) if n.endswith(".trace")])[0]).split("-")[0]
        busy.all_go_on()
        for change in CHANGES:
            done = harness.shakedown("rules", pid, *change)
            self.assertEqual(done.returncode, 0, done.stderr)
            if not (change[0] in ("set", "on") and "stop" in change[-1]):
                busy.all_go_on()
            self.assertEqual(busy.wrong, [])

    def test_an_asyncio_server(self):
        self.hold(["/usr/bin/python3", "-c", ASYNCIO, "{port}"])

    def test_a_node_server(self):
        self.hold(["node", "{dir}/server.js", "{port}"], files={"server.js": NODE})


if __name__ == "__main__":
    unittest.main()
