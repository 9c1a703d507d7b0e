# SPDX-License-Identifier: BSD-2-Clause
#
# counter: the server of tests/programs/victim_counter.c and the only client it needs.

import os
import socket
import subprocess

from harness import BUILD, SAMPLE_KEY

PROGRAMS = next(filter(os.path.isdir, (os.path.join(BUILD, *below, "tests", "programs")
                                       for below in ((), ("release",)))), BUILD)
VICTIM = os.path.join(PROGRAMS, "victim_counter")
REQUEST = ("GET /ws/%d HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + SAMPLE_KEY + "\r\n\r\n")


def start(env, command=(VICTIM,), **options):
    """The started server, and the port it printed."""
    server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              **options)
    return server, int(server.stdout.readline() or 0)


def stop(server):
    server.kill()
    server.wait(timeout=20)
    for stream in (server.stdout, server.stderr):
        if stream:
            stream.close()


def exchange(port, number):
    """One whole upgrade; False when the server was gone before its answer was complete."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall((REQUEST % number).encode())
            got = b""
            while b"\r\n\r\n" not in got:
                more = s.recv(4096)
                if not more:
                    return False
                got += more
            return got.startswith(b"HTTP/1.1 101 ")
    except ConnectionError:
        return False
