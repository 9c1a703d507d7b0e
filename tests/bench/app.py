# SPDX-License-Identifier: BSD-2-Clause
"""The ASGI victim of the benchmarks: one short answer."""


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"pong"})
