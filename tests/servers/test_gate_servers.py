# SPDX-License-Identifier: BSD-2-Clause
"""Faults that take time, under real event loops: whoever is not meant does not wait, nobody spins, no edge is lost.

Times are judged against each other only.
"""

import os
import socket
import threading
import time
import unittest

import golang
from harness import SHAKEDOWN, ServerCase, descendants, free_port, request_bytes

ASYNCIO = """
import asyncio, sys

async def serve(reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\\r\\n\\r\\n")).split()[1]
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(path), path))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""

NODE = """
require('http').createServer((request, response) => {
  response.writeHead(200, {'Content-Length': request.url.length});
  response.end(request.url);
}).listen(Number(process.argv[2]), '127.0.0.1');
"""

NGINX = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {
        listen 127.0.0.1:{port};
        location / { return 200 $uri; }
    }
}
"""

TIMED = ("tx:delay=600ms:path=/slow", "tx:delay=2s:path=/long")


def processor_seconds(pids):
    ticks = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def threads(pids):
    return [open("/proc/%d/task/%s/comm" % (pid, tid), encoding="utf-8").read().strip()
            for pid in pids for tid in os.listdir("/proc/%d/task" % pid)]


class GateCase:
    """The tests of one server; subclasses say which."""

    files = {}
    single = False  # has one thread

    @classmethod
    def command(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.timed = cls.under(*TIMED)
        cls.sliced = cls.under("any:slice=1")

    @classmethod
    def under(cls, *rules):
        words = [SHAKEDOWN, "run", "-q", "-o", "{dir}/t.trace"]
        for rule in rules:
            words += ["--rule", rule]
        return cls.serve([*words, "--", *cls.command()], free_port(), shim=False, files=cls.files)

    def ask(self, server, path, client=None):
        """The time that an answer took."""
        began = time.monotonic()
        if client is None:
            with server.client() as client:
                return self.ask(server, path, client)
        client.send(request_bytes(path))
        head = client.recv_head()
        body = client.recv_exactly(int(head.get("Content-Length")))
        if head.status == 200:  # Gin has no such path, and says so
            self.assertEqual(body.decode(), path)
        return time.monotonic() - began

    def in_background(self, *args):
        took = []
        thread = threading.Thread(target=lambda: took.append(self.ask(*args)))
        thread.start()
        return thread, took

    def workers(self, server):
        return [pid for pid in descendants(server.pid) if pid != server.pid]

    def test_moving_one_byte_at_a_time_gives_the_same_answer(self):
        with self.sliced.client() as client:
            for _ in range(3):
                self.ask(self.sliced, "/one-by-one", client)

    def test_a_client_that_ends_its_side_gets_the_whole_answer(self):
        with self.sliced.client() as client:
            client.send(request_bytes("/half"))
            client.sock.shutdown(socket.SHUT_WR)
            head = client.recv_head()
            client.recv_exactly(int(head.get("Content-Length")))

    def test_others_do_not_wait_while_one_is_held_back(self):
        slow, took = self.in_background(self.timed, "/slow")
        others = []
        with self.timed.client() as client:
            while slow.is_alive():
                others.append(self.ask(self.timed, "/quick", client))
        slow.join()
        self.assertGreater(len(others), 20)
        self.assertGreaterEqual(took[0], 0.6)
        self.assertLess(max(others), took[0] / 2)

    def test_who_is_held_back_costs_next_to_nothing(self):
        self.ask(self.timed, "/quick")
        pids = self.workers(self.timed)
        slow, took = self.in_background(self.timed, "/long")
        before = processor_seconds(pids)
        slow.join()
        self.assertLess(processor_seconds(pids) - before, took[0] * 0.03)

    def test_a_process_with_one_thread_keeps_one(self):
        slow, _ = self.in_background(self.timed, "/slow")
        while slow.is_alive():
            names = threads(self.workers(self.timed))
            if self.single:
                self.assertNotIn("shakedown", names)
            slow.join(0.05)


class Nginx(GateCase, ServerCase):
    files = {"nginx.conf": NGINX}
    single = True

    @classmethod
    def command(cls):
        return ["nginx", "-c", "{dir}/nginx.conf"]


class Asyncio(GateCase, ServerCase):
    files = {"server.py": ASYNCIO}
    single = True

    @classmethod
    def command(cls):
        return ["/usr/bin/python3", "{dir}/server.py", "{port}"]


class Node(GateCase, ServerCase):
    files = {"server.js": NODE}

    @classmethod
    def command(cls):
        return ["node", "{dir}/server.js", "{port}"]


class GinStatic(GateCase, ServerCase):
    shape = "static"

    @classmethod
    def command(cls):
        return [golang.build("gin", "gin", "newest", cls.shape), "127.0.0.1:{port}"]


class GinDynamic(GinStatic):
    shape = "cgo"


if __name__ == "__main__":
    unittest.main()
