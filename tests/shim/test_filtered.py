# SPDX-License-Identifier: BSD-2-Clause
"""A filter that was in force before the program started (a container, a hardened service) and kills for
calls no ordinary server makes never meets such a call of ours; the stacks are taken all the same."""

import os
import sys
import unittest

import harness

# Locks itself in and becomes the program given.
LOCK_IN = r"""
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
forbidden = [310, 311, 101, 272, 308, 321]  # process_vm_*, ptrace, unshare, setns, bpf
prog = struct.pack("HBBI", 0x20, 0, 0, 0)
for i, nr in enumerate(forbidden):
    prog += struct.pack("HBBI", 0x15, len(forbidden) - i, 0, nr)
prog += struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000) + struct.pack("HBBI", 0x06, 0, 0, 0x80000000)
buf = ctypes.create_string_buffer(prog)
fprog = struct.pack("HxxxxxxQ", len(prog) // 8, ctypes.addressof(buf))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, fprog, 0, 0) == 0, ctypes.get_errno()
os.environ["LD_PRELOAD"] = sys.argv[1]
os.execv(sys.argv[2], sys.argv[2:])
"""
VICTIM = os.path.join(harness.ROOT, "build", "release", "tests", "programs", "victim_early_answer")


class Filtered(unittest.TestCase):
    def test_a_server_under_a_killing_filter_lives_and_is_blamed(self):
        port = harness.free_port()
        server = harness.Server([sys.executable, "-c", LOCK_IN, harness.LIB, VICTIM, str(port)],
                                port, shim=False)
        server.extra_env["SHAKEDOWN_TRACE"] = server.trace
        with server:
            for path in ("/ws", "/ws?spoil=reject"):
                with harness.Client(port) as client:
                    client.send(harness.handshake_bytes(path))
                    client.recv_head()
            self.assertIsNone(server.process.poll())
            refused = harness.wait_for(lambda: [
                x for x in harness.exchanges(harness.report(server.trace)) if x["status"] == 401])
            finding = refused[0]["findings"][0]
            self.assertEqual(finding["id"], "upgrade-rejected")
            if os.geteuid() == 0 or os.access("/proc/self/mem", os.R_OK):
                self.assertEqual(finding["blame"]["function"], "auth")


if __name__ == "__main__":
    unittest.main()
