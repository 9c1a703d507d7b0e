# SPDX-License-Identifier: BSD-2-Clause
#
# engine: run a few lines of Python as a watched server and read what was recorded.
#
# The lines make exactly the system calls they say (socket.recv is recv, os.write is write), so a test
# decides call by call what the engine sees.

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import tracefile
from harness import LIB

PYTHON = "/usr/bin/python3"
TIMEOUT = 30

REQUEST = (b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
PLAIN = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"

PRELUDE = r"""
import array, ctypes, os, signal, socket, struct, subprocess, sys, threading
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSE = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
def head(c):
    d = b""
    while b"\r\n\r\n" not in d:
        x = c.recv(65536)
        if not x:
            break
        d += x
    return d
def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()
def go():
    return sys.stdin.readline()
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(128)
say(s.getsockname()[1])
"""


class EngineCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="shakedown-engine-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.trace = os.path.join(self.dir, "trace")
        self.child = None

    def environment(self, **env):
        base = {k: v for k, v in os.environ.items() if not k.startswith("SHAKEDOWN")}
        base.update({"LD_PRELOAD": LIB, "SHAKEDOWN_TRACE": self.trace, **env})
        return {k: v for k, v in base.items() if v is not None}

    def start(self, code, wrap=(), **env):
        """Start the lines; afterwards they listen on self.port."""
        self.child = subprocess.Popen([*wrap, PYTHON, "-c", PRELUDE + code], cwd=self.dir,
                                      env=self.environment(**env), text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        self.addCleanup(self._reap, self.child)
        self.port = int(self.hear())

    def _reap(self, child):
        if child.poll() is None:
            child.kill()
        child.wait()
        for f in (child.stdin, child.stdout, child.stderr):
            f.close()

    def hear(self):
        """The next line it says."""
        line = self.child.stdout.readline().strip()
        if not line:
            self.fail("the server ended: " + self.child.stderr.read())
        return line

    def tell(self):
        """Let its next go() return."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def connect(self):
        c = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(c.close)
        return c

    def end(self, status=0):
        """It ends by itself; its trace."""
        self.assertEqual(self.child.wait(TIMEOUT), status, self.child.stderr.read())
        return self.load()

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(TIMEOUT)
        return self.load()

    def load(self):
        traces = tracefile.load(self.trace)
        own = [t for t in traces if t.header.pid == self.child.pid]
        self.assertTrue(own, "no trace of the server in %s" % traces)
        return own[-1]

    def raw(self):
        """Every byte of every file."""
        return b"".join(read_sparse(t.path) for t in tracefile.load(self.trace))


def read_sparse(path):
    """The bytes of a sparse file, holes left out."""
    out = []
    with open(path, "rb") as f:
        at, size = 0, os.fstat(f.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            f.seek(at)
            out.append(f.read(end - at))
            at = end
    return b"".join(out)


def read_all(c, n):
    d = b""
    while len(d) < n:
        x = c.recv(n - len(d))
        if not x:
            break
        d += x
    return d


def until_end(c):
    d = b""
    while True:
        try:
            x = c.recv(65536)
        except ConnectionResetError:
            return d
        if not x:
            return d
        d += x


def client_frame(opcode, payload, key=b"\1\2\3\4"):
    masked = bytes(b ^ key[i % 4] for i, b in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + key + masked
