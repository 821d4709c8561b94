"""Real servers on loopback that receive notifications: HTTP and SMTP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpReceiver:
    """The requests of an HTTP server. ``status`` is its answer; 0 hangs up without one."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: object = None
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def bodies(self, path: str) -> list[Any]:
        return [body for found, body in self.requests if found == path]


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    received = HttpReceiver(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if received.status == 0:
                self.close_connection = True
                return
            received.requests.append((self.path, json.loads(body)))
            self.send_response(received.status)
            for name, value in received.headers.items():
                self.send_header(name, value)
            answer = b"" if received.answer is None else json.dumps(received.answer).encode()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_address[1]}"
        with _serving(server):
            yield received


@dataclass
class MailReceiver:
    """The mails of an SMTP server.

    Attributes:
        refuse: Refuse every recipient whose address contains it; None refuses nobody.
        answer: The answer to a mail; it is kept whatever it is.
        goodbye: The answer to QUIT.
    """

    port: int = 0
    refuse: str | None = None
    answer: str = "250 taken"
    goodbye: str = "221 bye"
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that have notifications sent here."""
        return {
            "BRAZE_PIPELINE_SMTP_HOST": "127.0.0.1",
            "BRAZE_PIPELINE_SMTP_PORT": str(self.port),
            "BRAZE_PIPELINE_SMTP_SECURITY": "none",
            "BRAZE_PIPELINE_SMTP_FROM": "pipeline@example.com",
            "BRAZE_PIPELINE_SMTP_TO": "oncall@example.com, crm@example.com",
        }


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    received = MailReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def reply(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.reply("220 test")
            to: list[str] = []
            while line := self.rfile.readline():
                command = line.decode().strip()
                verb = command.upper()
                if verb.startswith(("EHLO", "HELO", "MAIL", "RSET")):
                    self.reply("250 test")
                elif verb.startswith("RCPT"):
                    if received.refuse is not None and received.refuse in command:
                        self.reply("550 no such mailbox as someone@example.com")
                        continue
                    to.append(command.split(":", 1)[1].strip("<> "))
                    self.reply("250 ok")
                elif verb == "DATA":
                    self.reply("354 go on")
                    received.mails.append(self.read_mail())
                    received.receivers.append(to)
                    self.reply(received.answer)
                elif verb == "QUIT":
                    self.reply(received.goodbye)
                    return
                else:
                    self.reply("502 unknown")

        def read_mail(self) -> EmailMessage:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line[1:] if line.startswith(b"..") else line)
            return message_from_bytes(b"".join(lines), policy=policy.default)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        received.port = server.server_address[1]
        with _serving(server):
            yield received


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
