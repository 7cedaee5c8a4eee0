"""A mail server and a gateway that misbehave on request, for the tests of delivery."""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from include import policy, warehouse
from tests.sql.readers import POLLERS


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Use the shipped policy with other delivery settings."""

    def change(**replacements: str) -> None:
        text = policy.DEFAULT_PATH.read_text(encoding="utf-8")
        channels = replacements.pop("channels", None)
        if channels:
            text = text.replace(
                "channels: {email: outbox, sms: outbox, push: outbox}", f"channels: {channels}"
            )
        for name, value in replacements.items():
            start = text.index(f"  {name}: ")
            end = text.index("\n", start)
            text = f"{text[:start]}  {name}: {value}{text[end:]}"
        file = tmp_path / "policy.yml"
        file.write_text(text)
        monkeypatch.setenv("REGULARS_POLICY", str(file))
        policy.load()

    return change


def free_port() -> int:
    """A port of this machine that nobody listens at; aiosmtpd takes no port 0."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Mailbox:
    """A handler of aiosmtpd; `refuse` maps a recipient to the answer to give at RCPT.

    After `quota` mails every other is answered with `over_quota`, at RCPT or at DATA.
    """

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.refuse: dict[str, str] = {}
        self.answer = "250 OK"
        self.hang_up = False
        self.sleep = 0.0
        self.quota: int | None = None
        self.over_quota = "552 quota exceeded"
        self.at_data = False

    @property
    def _is_over(self) -> bool:
        return self.quota is not None and len(self.mails) >= self.quota

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        if self._is_over and not self.at_data:
            return self.over_quota
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self._is_over:
            return self.over_quota
        if self.answer.startswith("250"):
            self.mails.append(envelope.content)
        await asyncio.sleep(self.sleep)
        if self.hang_up:
            server.transport.abort()
        return self.answer


@pytest.fixture
def mailbox(monkeypatch) -> Iterator[Mailbox]:
    box = Mailbox()
    port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    monkeypatch.setenv("REGULARS_SMTP_URL", f"smtp://127.0.0.1:{port}")
    yield box
    server.stop()


class Gateway:
    """An HTTP server that keeps what it is sent and answers as `script` says, last answer repeated.

    An answer is a status, `drop` (accept and hang up), `slow` (accept and answer too late), `twice` or
    `garbled` (accept, with a content that cannot be read). `bodies` are statuses with contents of their own.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.moments: list[float] = []
        self.script: list[int | str] = [200]
        self.bodies: list[tuple[int, object]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/send"

    def _handler(gateway):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                gateway.requests.append((dict(self.headers), body))
                script = gateway.script
                answer = script.pop(0) if len(script) > 1 else script[0]
                gateway.moments.append(time.monotonic())
                if answer == "drop":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if answer == "slow":
                    time.sleep(0.8)
                told: object = {"id": f"gw-{len(gateway.requests)}"}
                if gateway.bodies:
                    own = gateway.bodies
                    answer, told = own.pop(0) if len(own) > 1 else own[0]
                content = json.dumps(told).encode()
                garbled = {"Content-Encoding": "gzip"} if answer == "garbled" else {}
                for _ in range(2 if answer == "twice" else 1):
                    self.send_response(answer if isinstance(answer, int) else 200)
                    self.send_header("Content-Length", str(len(content)))
                    for name, value in garbled.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def keys(self) -> Counter[str]:
        return Counter(headers["Idempotency-Key"] for headers, _ in self.requests)


@pytest.fixture
def gateway(monkeypatch) -> Iterator[Gateway]:
    found = Gateway()
    monkeypatch.setenv("REGULARS_WEBHOOK_URL", found.url)
    monkeypatch.setenv("REGULARS_WEBHOOK_SECRET", "a shared secret")
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def many_connections(server) -> None:
    """A server that lets so many in."""
    from include.launcher.servers import databases

    with databases.admin(server.server.admin_url()) as conn:
        allowed = int(warehouse.value(conn, "SHOW max_connections"))
    if allowed < POLLERS + 20:
        pytest.fail(f"expected room for {POLLERS} readers, found {allowed} connections")
