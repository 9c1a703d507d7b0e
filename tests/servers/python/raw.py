# SPDX-License-Identifier: BSD-2-Clause
#
# A WebSocket server written by hand on asyncio streams, as many are.  The path picks the mistake.

import asyncio
import base64
import hashlib
import re
import socket
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def switch(head, *extra):
    key = re.search(rb"Sec-WebSocket-Key: *(\S+)", head, re.I)
    accept = base64.b64encode(hashlib.sha1((key[1] if key else b"") + GUID).digest())
    return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket",
                         b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept, *extra,
                         b"", b""])


async def echo(reader, writer):
    """Enough of RFC 6455 for a short frame."""
    while True:
        first, second = await reader.readexactly(2)
        key = await reader.readexactly(4)
        masked = await reader.readexactly(second & 127)
        payload = bytes(b ^ key[i & 3] for i, b in enumerate(masked))
        writer.write(bytes([first, len(payload)]) + payload)
        if first & 15 == 8:
            return


async def handle(reader, writer):
    try:
        await answer(reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def answer(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split(b" ")[1].partition(b"?")[0]

    if path == b"/impatient":
        # What gorilla/websocket did before it learned to keep early frames.
        if await soon(reader):
            return
        writer.write(switch(head))
        await echo(reader, writer)
    elif path == b"/http-mode":
        # Switches, and then its HTTP loop reads the next request.
        writer.write(switch(head))
        await reader.read(512)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif path == b"/timer":
        # The request timer was not cancelled at the upgrade.
        writer.write(switch(head))
        writer.write(b"\x81\x02hi")
        await reader.read(512)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    elif path == b"/compressed":
        writer.write(switch(head))
        writer.write(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00")
        await reader.read(512)
    elif path == b"/html":
        writer.write(switch(head) + b"<html><body>welcome</body></html>")
        await reader.read(512)
    elif path == b"/chunk-end":
        writer.write(switch(head))
        writer.write(b"0\r\n\r\n")
        await reader.read(512)
    elif path == b"/chunked-101":
        writer.write(switch(head, b"Transfer-Encoding: chunked"))
        await echo(reader, writer)
    elif path == b"/cors":
        writer.write(switch(head, b"Sec-WebSocket-Protocol: "))
        await echo(reader, writer)
    elif path == b"/accept-of-nothing":
        writer.write(switch(b""))
        await echo(reader, writer)
    elif path == b"/short":
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 400\r\n\r\nsorry")
    else:
        writer.write(switch(head))
        await echo(reader, writer)


async def soon(reader):
    """Data the client sends right behind its handshake."""
    try:
        return await asyncio.wait_for(reader.read(512), 0.2)
    except asyncio.TimeoutError:
        return b""


async def greet(reader, writer):
    """Speaks first: its connect hook sends before the handshake is read."""
    writer.write(b"\x81\x05hello")
    await handle(reader, writer)


async def one_read(loop, connection):
    """Takes for the head what the first read of 512 bytes brings; the rest never comes."""
    head = await loop.sock_recv(connection, 512)
    if not head.endswith(b"\r\n\r\n"):
        await asyncio.Event().wait()
    await loop.sock_sendall(connection, switch(head))
    await loop.sock_recv(connection, 512)
    await loop.sock_sendall(connection, b"\x88\x00")
    connection.close()


async def small_buffers(port):
    loop, tasks = asyncio.get_running_loop(), set()
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)
    while True:
        connection, _ = await loop.sock_accept(listener)
        tasks.add(asyncio.create_task(one_read(loop, connection)))


async def main():
    port, eager, small = map(int, sys.argv[1:])
    async with await asyncio.start_server(handle, "127.0.0.1", port), \
            await asyncio.start_server(greet, "127.0.0.1", eager):
        await small_buffers(small)


asyncio.run(main())
