# SPDX-License-Identifier: BSD-2-Clause
#
# The websockets package: an echo, a hook that refuses, handlers that end or fail at once.  With a
# second argument, a file with key and certificate, behind TLS.

import asyncio
import http
import ssl
import sys

import websockets


async def check(path, headers):
    if path == "/private":
        return http.HTTPStatus.UNAUTHORIZED, [("Connection", "close")], b"who are you?\n"
    if path == "/page":
        return http.HTTPStatus.OK, [], b"a page\n"
    if path == "/hook-fails":
        raise RuntimeError("the session store is gone")
    return None


async def serve(ws):
    if ws.path == "/full":
        await ws.close(1013, "full")
    elif ws.path == "/fails":
        raise RuntimeError("no such room")
    elif ws.path == "/quiet":
        await ws.wait_closed()
    else:
        async for message in ws:
            await ws.send(message)


async def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), process_request=check,
                                subprotocols=["chat"], ssl=context):
        await asyncio.Future()


asyncio.run(main())
