# SPDX-License-Identifier: BSD-2-Clause
#
# victim: one recording of the C server with the misbehaving middlewares, shared by the tests of the
# report.  What is spoiled, and by whom, is in tests/programs/victim_early_answer.c.

import contextlib
import os
import subprocess

import harness
from harness import ROOT, Client, Server, free_port, handshake_bytes

NAME = "victim_early_answer"
SOURCE = os.path.join(ROOT, "tests", "programs", NAME + ".c")
# Of a segment that is no name four bytes stay in the trace.
HOSTILE = "/\x9b\xff\"\\/<b>?spoil=reject"


def build_dir():
    """The folder of the variant's programs."""
    for place in (os.path.join(harness.BUILD, "tests", "programs"),
                  os.path.join(harness.BUILD, "release", "tests", "programs")):
        if os.path.isdir(place):
            return place
    raise AssertionError("the test programs are not built; run make test")


def program():
    return os.path.join(build_dir(), NAME)


def line_of(text):
    """The number of the only line of the victim's source that contains the text."""
    with open(SOURCE, encoding="utf-8") as source:
        found = [n for n, line in enumerate(source, 1) if text in line]
    if len(found) != 1:
        raise AssertionError("%r stands on the lines %s" % (text, found))
    return found[0]


def healthy(server, path="/ws"):
    with server.client() as client:
        client.ws_open(path)
        client.echo()
        client.ws_close()


def spoil(server, how, path="/ws"):
    """Send a handshake that gets spoiled, and read until the server has closed."""
    with server.client() as client:
        client.ws_handshake("%s?spoil=%s" % (path, how))
        client.finish()
        client.recv_until_close()


def taken(server, client):
    """Has the server read everything the client sent?"""
    with open("/proc/net/tcp", encoding="ascii") as rows:
        next(rows)
        for row in rows:
            f = row.split()
            ports = tuple(int(end.rpartition(":")[2], 16) for end in f[1:3])
            if ports == (server.port, client.port):
                return int(f[4].partition(":")[2], 16) == 0
    return False


def give_up_on_body(server):
    """The client leaves while the logger waits for a body that never comes."""
    with server.client() as client:
        client.send(handshake_bytes("/ws?spoil=body"))
        harness.wait_for(lambda: taken(server, client), "the server's reading of the head")
        client.finish()
        client.recv_until_close()


def silent(server):
    with server.client() as client:
        client.send(handshake_bytes("/ws?spoil=silent"))
        client.recv_until_close()


def plain(server, path="/"):
    with server.client() as client:
        client.request(path)
        client.finish()
        client.recv_until_close()


def hostile(server):
    with server.client() as client:
        client.send(handshake_bytes(HOSTILE))
        client.recv_head()
        client.finish()
        client.recv_until_close()


def record(server):
    """Everything once."""
    healthy(server)
    for how in ("reject", "early", "after", "json", "wrong"):
        spoil(server, how)
    give_up_on_body(server)
    silent(server)
    hostile(server)
    for _ in range(3):
        plain(server, "/plain?q=1")


@contextlib.contextmanager
def serving(binary=None, *args, **options):
    with Server([binary or program(), "{port}", *args], free_port(), **options) as server:
        yield server


def strip(to, *options):
    """A copy of the victim without (some of) its symbols."""
    subprocess.run(["objcopy", *options, program(), to], check=True)
    return to
