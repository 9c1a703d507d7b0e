# SPDX-License-Identifier: BSD-2-Clause
"""A server that locks its memory gets its own memory locked, not ours."""

import os
import resource
import subprocess
import unittest

import harness
from engine import PYTHON, REQUEST, EngineCase, until_end

MIB = 1 << 20
CURRENT, FUTURE = 1, 2

# mlockall before and after it listens; says its resident and its locked memory in KiB after one upgrade.
LOCKS = r"""
import ctypes, mmap, os, resource, socket, sys
before, after, limit = map(int, sys.argv[1:])
libc = ctypes.CDLL(None, use_errno=True)
if limit:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
    if os.geteuid() == 0:
        os.setuid(65534)
def lock(flags):
    if flags:
        assert libc.mlockall(flags) == 0, os.strerror(ctypes.get_errno())
lock(before)
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(8)
lock(after)
print(s.getsockname()[1], flush=True)
c = s.accept()[0]
c.recv(9999)
c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
c.close()
own = mmap.mmap(-1, limit // 4) if limit else None
status = dict(line.split(":\t", 1) for line in open("/proc/self/status"))
print(int(status["VmRSS"].split()[0]), int(status["VmLck"].split()[0]), flush=True)
"""


class Locked(EngineCase):
    def serve(self, before, after, limit=0, **env):
        self.child = subprocess.Popen([PYTHON, "-c", LOCKS, str(before), str(after), str(limit)],
                                      cwd=self.dir, env=self.environment(**env), text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        self.addCleanup(self._reap, self.child)
        self.port = int(self.hear())
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        said = [int(n) << 10 for n in self.hear().split()]
        self.assertEqual(self.child.wait(), 0)
        return said

    def assert_upgraded(self):
        self.assertEqual([x["outcome"] for x in harness.exchanges(harness.report(self.trace))], ["upgraded"])

    def may_lock(self):
        if os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
            harness.skip("memlock")

    def test_memory_locked_now_or_later_is_not_ours(self):
        self.may_lock()
        for before, after in ((CURRENT, 0), (FUTURE, 0), (CURRENT | FUTURE, 0), (0, CURRENT),
                              (0, CURRENT | FUTURE)):
            with self.subTest(before=before, after=after):
                self.trace = os.path.join(self.dir, "t%d%d" % (before, after))
                bare = self.serve(before, after, LD_PRELOAD=None)
                ours = self.serve(before, after)
                self.assertLess(ours[0] - bare[0], 12 * MIB, "resident")
                self.assertLess(ours[1] - bare[1], 4 * MIB, "locked")
                self.assert_upgraded()

    def test_a_limit_on_locked_memory_is_the_applications_own(self):
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        limit = 64 * MIB if hard == resource.RLIM_INFINITY else min(hard, 64 * MIB)
        if limit < 8 * MIB:
            harness.skip("memlock")
        os.mkdir(self.trace, 0o777)
        os.chmod(self.trace, 0o777)
        self.serve(FUTURE, 0, limit=limit, LD_PRELOAD=None)
        self.serve(FUTURE, 0, limit=limit)
        self.assert_upgraded()

    def test_a_descriptor_above_the_part_of_the_table_that_is_open_is_followed(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        high = min(hard, 1 << 20) - 8
        self.start("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))\n" % (high + 8, hard) +
                   "c, _ = s.accept()\nos.dup2(c.fileno(), %d)\nc.close()\nc = socket.socket(fileno=%d)\n"
                   "head(c)\nc.sendall(SWITCH)\n" % (high, high))
        c = self.connect()
        c.sendall(REQUEST)
        until_end(c)
        t = self.end()
        self.assertEqual((t.header.coverage, len(t.conns())), (0, 1))
        self.assert_upgraded()


if __name__ == "__main__":
    unittest.main()
