"""The sandbox's server in a thread of its own: from a bound socket to a clean end."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Final

import uvicorn

from braze_pipeline.sandbox.server import BrazeApp

HOST: Final = "127.0.0.1"
"""The only address that a sandbox ever listens on."""

_START_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 1.0


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens, and ends at once when told to."""

    def __init__(self, config: uvicorn.Config, app: BrazeApp) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._app = app
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Stop serving; to be called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        # Every tick renews the Date header; uvicorn's own loop looks for the end at ticks only.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.connections.abort_all()
        await super().shutdown(sockets=sockets)


class Running:
    """A server that listens, until it is stopped.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, app: BrazeApp, port: int) -> None:
        """Bind, and return once requests are answered.

        Args:
            app: What answers.
            port: 0 for a free port.

        Raises:
            OSError: the port is taken.
        """
        self._app = app
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=app.connections.protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        self._server = _Server(config, app)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="braze-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.listening.wait(_START_SECONDS):
            raise OSError(f"The sandbox did not start on port {self.port}.")

    def stop(self) -> None:
        """Drop every connection, and return once nothing listens any more."""
        self._server.end()
        self._thread.join()
        self._socket.close()
        if self._app.recorder is not None:
            self._app.recorder.close()
