"""How many messages a second leave for a local webhook, with everything asked before one leaves.

So many messages wait (`--waiting`, several as 1000,100000); the first `--sent` of them are sent, or all, and
counted by the gateway: requests after the first, by the seconds between first and last. The peer is a bare
loop of the same client, which posts the same contents to the same gateway and asks nothing.

    bin/regulars bench deliver [--waiting 1000] [--sent 20000] [--html]
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from benchmarks._lines import show
from include import contracts, policy, warehouse
from include.channels import Outgoing
from include.channels.webhook import Webhook
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State
from include.steps.delivery import deliver

DATABASE = "bench_deliver"
DAY, MOMENT = "2017-10-01", "2017-10-02T14:00:00+00:00"
HTML = "<html><body>" + "<p>Something for you.</p>" * 400 + "</body></html>"


def fill(waiting: int, html: str | None) -> None:
    """Customers who may be written to, and an approved message for each."""
    who = "('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid"
    code = "('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid"
    long_ago = "'2017-01-05T12:00Z'::timestamptz"
    of_offer = {
        "trigger_id": code, "customer_id": who, "external_id": "n::text", "as_of": f"'{DAY}'::date",
        "campaign": "'vip_exclusive'", "period": "'2017-Q4'", "channel": "'email'",
        "send_not_before": "'2017-10-02T13:00Z'::timestamptz",
        "send_not_after": "'2017-10-05T00:00Z'::timestamptz",
    }  # fmt: skip
    tables: dict[str, dict[str, str]] = {
        "core.identities": {"customer_id": who, "external_id": "n::text", "known_at": long_ago},
        "core.customers": {
            "customer_id": who, "account_id": who, "valid_from": long_ago, "known_at": long_ago,
            "registered_at": long_ago,
        },
        "core.consents": {
            "customer_id": who, "account_id": who, "channel": "'email'", "purpose": "'marketing'",
            "granted": "true", "recorded_at": long_ago, "known_at": long_ago,
        },
        "core.contact_points": {
            "customer_id": who, "account_id": who, "channel": "'email'", "verified": "true",
            "address": "'c' || n || '@example.com'", "valid_from": long_ago, "known_at": long_ago,
        },
        "marketing.customer_segments": {
            "as_of": f"'{DAY}'::date", "customer_id": who, "external_id": "n::text",
            "segment": "'vip'",
        },
        "marketing.coupon_triggers": of_offer | {"status": "'approved'", "coupon_code": "'C' || n"},
        "marketing.messages": of_offer | {
            "message_id": code, "subject": "'For you'", "body": "'Hello ' || n",
            "body_html": "%(html)s", "cap_class": "'marketing'", "status": "'pending'",
        },
    }  # fmt: skip
    empty = {"text": "'x'", "boolean": "false", "date": "'2017-01-01'::date", "uuid": who,
             "timestamptz": long_ago}  # fmt: skip
    with warehouse.connect() as conn:
        for table, given in tables.items():
            columns = {}
            for column in contracts.load(*table.split(".")).columns:
                if column.name in given:
                    columns[column.name] = given[column.name]
                elif not column.nullable:
                    is_list = column.type.endswith("[]")
                    columns[column.name] = "'{}'" if is_list else empty.get(column.type, "0")
            warehouse.execute(
                conn,
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
                "FROM generate_series(1, %(count)s) AS n",
                {"count": waiting, "html": html},
            )
            conn.commit()
            warehouse.execute(conn, f"ANALYZE {table}")
            conn.commit()


def serve(port: "Synchronized[int]", stamps: Any, limit: "Synchronized[int]") -> None:
    """A gateway that takes so many messages, and then refuses the login."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            taken = int(stamps[0])
            if taken < limit.value:
                stamps[0] = taken + 1
                stamps[1] = stamps[1] or time.monotonic()
                stamps[2] = time.monotonic()
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"id":"g"}')
            else:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(run())


class Gateway:
    """The gateway in a process of its own, which counts what it takes."""

    def __init__(self) -> None:
        self.port = multiprocessing.Value("i", 0)
        self.limit = multiprocessing.Value("i", 0)
        self.stamps = multiprocessing.Array("d", 3)
        made = (self.port, self.stamps, self.limit)
        self.process = multiprocessing.Process(target=serve, args=made, daemon=True)
        self.process.start()
        while not self.port.value:
            time.sleep(0.01)

    def takes(self, number: int) -> None:
        """Count anew, up to a number."""
        self.limit.value = number
        self.stamps[:] = [0.0, 0.0, 0.0]

    def per_second(self) -> float:
        """Messages a second since the first one."""
        count, first, last = self.stamps[:]
        return (count - 1) / (last - first) if last > first else 0.0


@contextmanager
def warehouse_of_its_own() -> Iterator[None]:
    """A database beside the others, for as long as the context lasts."""
    state = State()
    admin_url = Server(state).admin_url()
    passwords = {role: state.secret(role) for role in databases.ROLES}
    urls = databases.addresses(admin_url, passwords, {"warehouse": DATABASE, "shop": "shop"})
    with databases.admin(admin_url) as conn:
        databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)
        databases.make_database(conn, "warehouse", DATABASE)
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = urls["warehouse"]
    os.environ.setdefault("REGULARS_PSEUDONYM_KEY", "7e57" * 16)
    try:
        with warehouse.connect() as conn:
            contracts.migrate(conn)
        yield
    finally:
        with databases.admin(admin_url) as conn:
            databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)


def bare(gateway: Gateway, number: int, html: str | None) -> float:
    """The same client in a loop, for at most as many as ours, and 2,000."""
    gateway.takes(number)
    with Webhook(os.environ["REGULARS_WEBHOOK_URL"], "secret") as client:
        for n in range(min(number, 2_000)):
            client.send(
                Outgoing(str(uuid.uuid4()), "email", "vip_exclusive", f"c{n}@example.com", "For you",
                         f"Hello {n}", html, "https://shop.example/u")
            )  # fmt: skip
    return gateway.per_second()


def ours(gateway: Gateway, number: int) -> float:
    """What delivery sends, run after run, until the gateway has taken so many."""
    from datetime import datetime

    gateway.takes(number)
    while gateway.stamps[0] < number:
        before = gateway.stamps[0]
        with suppress(deliver.SenderTrouble):
            deliver.send(datetime.fromisoformat(MOMENT))
        if gateway.stamps[0] == before:
            raise SystemExit("Expected messages to leave, found none in a run: look at its log.")
    return gateway.per_second()


def main(arguments: list[str]) -> int:
    """One line for each number that waits."""
    parser = argparse.ArgumentParser(prog="bin/regulars bench deliver")
    parser.add_argument("--waiting", default="1000")
    parser.add_argument("--sent", type=int, default=20_000)
    parser.add_argument("--html", action="store_true")
    asked = parser.parse_args(arguments)
    html = HTML if asked.html else None
    gateway = Gateway()
    os.environ["REGULARS_WEBHOOK_URL"] = f"http://127.0.0.1:{gateway.port.value}/send"
    os.environ["REGULARS_WEBHOOK_SECRET"] = "secret"  # noqa: S105 - of a gateway of our own
    with tempfile.TemporaryDirectory() as folder:
        text = policy.DEFAULT_PATH.read_text(encoding="utf-8")
        text = text.replace("{email: outbox, sms: outbox,", "{email: webhook, sms: outbox,")
        (Path(folder) / "policy.yml").write_text(text, encoding="utf-8")
        os.environ["REGULARS_POLICY"] = str(Path(folder) / "policy.yml")
        for waiting in map(int, asked.waiting.split(",")):
            number = min(waiting, asked.sent)
            with warehouse_of_its_own():
                fill(waiting, html)
                found = ours(gateway, number)
            show(
                "deliver", "messages_per_second", f"waiting={waiting}{',html' if html else ''}",
                found, bare(gateway, number, html), "the same client in a bare loop",
                unit="messages/s", n=number,
            )  # fmt: skip
    gateway.process.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
