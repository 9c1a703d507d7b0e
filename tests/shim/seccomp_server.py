# SPDX-License-Identifier: BSD-2-Clause
#
# A server made of plain system calls on blocking sockets, for the seccomp door: each connection names
# in its first line what is to be done with it.
#
# usage: seccomp_server.py PORT

import contextlib
import os
import signal
import socket
import struct
import sys
import threading


def line(conn):
    text = b""
    while not text.endswith(b"\n"):
        text += conn.recv(1)
    return text.decode().split()


def echo(conn):
    while data := conn.recv(65536):
        conn.sendall(data)


def vectors(conn):
    """Several buffers at once, both ways."""
    first, second = bytearray(5), bytearray(1 << 20)
    while n := conn.recvmsg_into([first, second])[0]:
        whole = (bytes(first) + bytes(second[:max(0, n - 5)]))[:n]
        sent = conn.sendmsg([whole[:3], whole[3:]])
        if sent < n:
            conn.sendall(whole[sent:])


def whole(conn):
    """As many bytes as were asked for, however they come."""
    conn.sendall(conn.recv(12, socket.MSG_WAITALL))


def once(conn):
    conn.sendall(b"%d" % conn.send(b"x" * (4 << 20)))


def timeout(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 200000))
    try:
        conn.recv(1)
        conn.sendall(b"bytes")
    except BlockingIOError:
        conn.sendall(b"timed out")


def duplicate(conn):
    other = socket.socket(fileno=os.dup(conn.fileno()))
    conn.close()
    other.sendall(b"through the duplicate")
    line(other)
    other.close()


def file(conn, path):
    with open(path, "rb") as source:
        left, at = os.fstat(source.fileno()).st_size, 0
        while left:
            n = os.sendfile(conn.fileno(), source.fileno(), at, left)
            at, left = at + n, left - n


def pipe(conn):
    line(conn)
    while True:
        with contextlib.suppress(ConnectionResetError):
            conn.send(b"x" * 65536)


def leave(conn):
    os._exit(5)


def serve(conn):
    what, *words = line(conn)
    {"echo": echo, "vectors": vectors, "whole": whole, "once": once, "timeout": timeout,
     "duplicate": duplicate, "file": file, "pipe": pipe, "leave": leave}[what](conn, *words)
    conn.close()


def ended(number, frame):
    print("asked to end", flush=True)
    sys.exit(7)


signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    accepted = listener.accept()[0]
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
