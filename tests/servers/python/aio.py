# SPDX-License-Identifier: BSD-2-Clause
#
# aiohttp: WebSocket routes and the routes and middleware that get in their way.

import base64
import hashlib
import sys

from aiohttp import web


async def echo(request):
    ws = web.WebSocketResponse(protocols=("chat",))
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def page(request):
    return web.Response(text="a page")


async def fails(request):
    raise RuntimeError("the session store is gone")


async def goodbye(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.close(code=4403)
    return ws


async def response_after_ws(request):
    """Upgrades, talks, and then returns an ordinary response as other handlers do."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.receive()
    return web.json_response({"status": "ok"})


async def reads_body(request):
    """Reads the body before it answers, as a signature check does."""
    await request.read()
    return await echo(request)


async def by_hand(request):
    """The fields are right, but a Response leaves the connection to the HTTP parser."""
    key = request.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    return web.Response(status=101, headers={"Upgrade": "websocket", "Connection": "Upgrade",
                                             "Sec-WebSocket-Accept": accept})


@web.middleware
async def authenticate(request, handler):
    if request.path.startswith("/private"):
        raise web.HTTPUnauthorized(text="who are you?")
    if request.path.startswith("/busy"):
        raise web.HTTPServiceUnavailable(text="try later")
    return await handler(request)


slash = web.normalize_path_middleware(append_slash=True)
app = web.Application(middlewares=[authenticate, slash])
app.add_routes([web.get("/echo", echo), web.get("/page", page), web.get("/fails", fails),
                web.get("/goodbye", goodbye), web.get("/after", response_after_ws),
                web.get("/signed", reads_body), web.get("/slash/", echo),
                web.get("/by-hand", by_hand), web.post("/post", page)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
