"""Runs fakesnow's server on a port of loopback; sessions of dead clients can be ended."""

import contextlib
import sys

import uvicorn
from fakesnow.server import app, sessions
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def end_sessions(_request: Request) -> Response:
    """Roll back what each session has begun, and forget it."""
    for connection in sessions.values():
        with contextlib.suppress(Exception):
            connection.rollback()
    sessions.clear()
    return Response()


app.router.routes.append(Route("/test/end-sessions", end_sessions, methods=["POST"]))

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
