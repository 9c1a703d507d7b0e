# SPDX-License-Identifier: BSD-2-Clause
#
# uvicorn and Starlette.  Below /sessions lies a middleware that believes every scope is http.
# Arguments: port, and the WebSocket implementation (websockets, wsproto, none).

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute


class HttpOnly:
    """What session and tracing middleware did before WebSocket scopes were common."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await self.app(scope, receive, send)


async def echo(ws):
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)


async def refuse(ws):
    await ws.close(1008)


async def goodbye(ws):
    await ws.accept()
    await ws.close(4401)


async def returns(ws):
    """Neither accepts nor refuses."""


async def fails(ws):
    raise RuntimeError("the session store is gone")


async def fails_later(ws):
    await ws.accept()
    await ws.receive_text()
    raise RuntimeError("the room is gone")


async def page(request):
    return PlainTextResponse("a page")


app = Starlette(routes=[
    WebSocketRoute("/echo", echo), WebSocketRoute("/refuse", refuse),
    WebSocketRoute("/goodbye", goodbye), WebSocketRoute("/returns", returns),
    WebSocketRoute("/fails", fails), WebSocketRoute("/fails-later", fails_later),
    Route("/page", page), Mount("/sessions", HttpOnly(Starlette(routes=[
        WebSocketRoute("/echo", echo), Route("/page", page)])))])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), ws=sys.argv[2], log_level="warning")
