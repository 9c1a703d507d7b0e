# SPDX-License-Identifier: BSD-2-Clause
#
# Servers in C that load no libraries: what spoiled an upgrade is found through the injected door, and
# blamed on the middleware that did it, as it is for the same program through the libc door.

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import (ROOT, ServerCase, assert_healthy, exchanges, free_port, primary, shakedown,
                     wait_for)

sys.path.append(os.path.join(ROOT, "tests", "cli"))
import victim

SPOILT = {
    # spoil: finding, function, the line it is made true on
    "early": ("response-before-101", "auth", 'send_text(r->fd, "HTTP/1.1 200 OK\\r\\nContent-Length: 0'),
    "reject": ("upgrade-rejected", "auth", 'send_text(r->fd, "HTTP/1.1 401'),
    "after": ("http-after-101", "metrics", 'send_text(r->fd, "HTTP/1.1 200 OK\\r\\nContent-Length: 2'),
    "wrong": ("bad-accept", "upgrade", "send_all(r->fd, answer,"),
}


@functools.lru_cache(None)
def build(cc, *flags):
    """The victim of the tests of blame, as one file."""
    folder = tempfile.mkdtemp(prefix="shakedown-static-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = os.path.join(folder, victim.NAME)
    subprocess.run([cc, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-fomit-frame-pointer", *flags,
                    "-o", program, victim.SOURCE], check=True, timeout=120)
    return program


class StaticCase:
    """One C library; subclasses say which."""

    cc, flags, followed = "gcc", ("-static",), True

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve([build(cls.cc, *cls.flags), "{port}"], free_port(), shim="run")
        victim.healthy(cls.server, "/ws/first")
        for spoil in SPOILT:
            victim.spoil(cls.server, spoil, "/ws/" + spoil)

    def test_the_healthy_upgrade_stays_silent(self):
        assert_healthy(self.server.trace, "/ws/first")

    def test_each_spoilt_upgrade_is_found_and_its_middleware_blamed(self):
        for spoil, (finding, function, line) in SPOILT.items():
            with self.subTest(spoil):
                self.check(spoil, finding, function, victim.line_of(line))

    def check(self, spoil, finding, function, line):
        path = "/ws/" + spoil
        found = wait_for(lambda: [x for x in exchanges(self.server.report(), path)
                                  if primary(x) == finding], "the finding %s" % finding)
        first = next(f for f in found[0]["findings"] if f["primary"])
        if first["blame"] is None:
            # musl is built without the tables that lead out of its send().
            self.assertFalse(self.followed, first["blame_reason"])
            self.assertIn("could not be followed", first["blame_reason"])
            return
        self.assertEqual((first["blame"]["function"], first["blame"]["line"]), (function, line),
                         first["blame"]["frames"])
        self.assertEqual(os.path.basename(first["blame"]["file"]), victim.NAME + ".c")

    def test_the_door_is_the_injected_one(self):
        process = wait_for(lambda: self.server.report()["processes"])[0]
        self.assertEqual(process["doors"], ["injected"])
        self.assertNotEqual(process["coverage"], "blind")


class Glibc(StaticCase, ServerCase):
    pass


class GlibcPie(StaticCase, ServerCase):
    flags = ("-static-pie",)


class Musl(StaticCase, ServerCase):
    cc, followed = "musl-gcc", False


class MuslWithCancelledThreads(ServerCase):
    """Its accept, read and write are one instruction that only its own place makes safe."""

    def test_it_runs_and_is_called_blind(self):
        program = build("musl-gcc", "-static", "-Wl,-u,pthread_cancel")
        server = self.serve([program, "{port}"], free_port(), shim="run")
        victim.healthy(server, "/ws/first")
        server.terminate()
        done = shakedown("report", server.trace, "--format", "json")
        process, = json.loads(done.stdout)["processes"]
        self.assertEqual((done.returncode, process["coverage"]), (3, "blind"))
        self.assertIn("cancel threads", process["coverage_reason"])


if __name__ == "__main__":
    unittest.main()
