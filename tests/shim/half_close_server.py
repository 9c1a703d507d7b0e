# SPDX-License-Identifier: BSD-2-Clause
"""A server whose connections end one direction after the other; what it read goes to stdout.

    half_close_server.py blocks|loop HEAD FRAMES    prints its port, then a line for each connection
"""
import asyncio
import socket
import sys

HOW, HEAD, FRAMES = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])


def tell(*words):
    print(*words, flush=True)


def blocks():
    listener = socket.create_server(("127.0.0.1", 0))
    tell(listener.getsockname()[1])
    while True:
        with listener.accept()[0] as c, c.makefile("rb") as lines:
            path = lines.readline().split()[1]
            while lines.readline() != b"\r\n":
                pass
            c.sendall(HEAD)
            early = path == b"/server-first"
            if early:
                c.sendall(FRAMES)
                c.shutdown(socket.SHUT_WR)
            tell(lines.read().hex() or "-")
            if not early:
                c.sendall(FRAMES)


async def serve(reader, writer):
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
    writer.write(HEAD)
    early = path == b"/server-first"
    if early:
        writer.write(FRAMES)
        writer.write_eof()
    tell((await reader.read()).hex() or "-")
    if not early:
        writer.write(FRAMES)
        await writer.drain()
    writer.close()


async def loop():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


blocks() if HOW == "blocks" else asyncio.run(loop())
