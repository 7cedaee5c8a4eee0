"""A small warehouse with people in it, for the tests of deciding and delivering."""

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pytest

from include import contracts, warehouse
from include.steps import activate, gate

DAY = "2017-10-01"

TABLES = (
    "core.identities",
    "core.identity_links",
    "core.customers",
    "core.accounts",
    "core.consents",
    "core.contact_points",
    "core.products",
    "core.events",
    "core.member_events",
    "core.mentions",
    "core.orders",
    "core.order_lines",
    "core.reviews",
    "core.returns",
    "core.stock_levels",
    "features.customer_features",
    "marketing.customer_segments",
    "marketing.product_recommendations",
    "marketing.decisions",
    "marketing.coupon_triggers",
    "marketing.messages",
    "marketing.budget_use",
    "marketing.control_members",
    "marketing.approvals",
    "ops.publications",
    "ops.switches",
    "ops.suppressions",
    "ops.address_suppressions",
    "ops.refusals",
    "ops.deleted_in_shop",
    "core.told_refusals",
    "core.identity_doubts",
    "ops.delivery_events",
    "ops.channel_paces",
    "ops.fences",
    "ops.clock",
    "ops.till_answers",
    "ops.notices",
)


def person(number: int) -> str:
    """The pseudonym of a number."""
    return str(uuid.UUID(int=number))


def clear(conn: Any) -> None:
    """An empty warehouse."""
    warehouse.execute(conn, f"TRUNCATE {', '.join(TABLES)}")


def clear_decisions(conn: Any) -> None:
    """As if no day had been decided yet."""
    found = [name for name in TABLES if name.startswith("marketing.")]
    kept = {"marketing.customer_segments", "marketing.product_recommendations"}
    warehouse.execute(conn, f"TRUNCATE ops.publications, {', '.join(set(found) - kept)}")
    conn.commit()


def fill(conn: Any, table: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Rows into a table; what must be there and is not given gets an empty value of its type."""
    schema, name = table.split(".")
    found = pd.DataFrame(list(records))
    empty = {
        "text": "x",
        "boolean": False,
        "date": "2017-01-01",
        "timestamptz": "2017-01-01T00:00Z",
    }
    if "account_id" in contracts.load(schema, name).keys and "account_id" not in found:
        found["account_id"] = found["customer_id"]
    for column in contracts.load(schema, name).columns:
        if column.name not in found and not column.nullable:
            value: Any = "{}" if column.type.endswith("[]") else empty.get(column.type, 0)
            found[column.name] = value
    warehouse.copy_frame(conn, found, table)


def people(
    conn: Any, numbers: Iterable[int], day: str = DAY, segment: str = "vip", **identity: Any
) -> None:
    """Customers of a segment on a day who may be sent everything."""
    ids = list(numbers)
    known = warehouse.rows(conn, "SELECT customer_id::text FROM core.identities")
    new = [n for n in ids if (person(n),) not in known]
    start = "2017-01-05T12:00Z"
    if new:
        fill(
            conn,
            "core.identities",
            [
                {
                    "customer_id": person(n),
                    "external_id": str(n),
                    "first_name": f"Name{n}",
                    "known_at": start,
                }
                | identity
                for n in new
            ],
        )
        fill(
            conn,
            "core.customers",
            [
                {
                    "customer_id": person(n),
                    "valid_from": start,
                    "known_at": start,
                    "registered_at": start,
                }
                for n in new
            ],
        )
        for channel in ("email", "sms"):
            consent(conn, new, channel, granted=True, at=start)
            fill(
                conn,
                "core.contact_points",
                [
                    {
                        "customer_id": person(n),
                        "channel": channel,
                        "address": f"c{n}@example.com" if channel == "email" else f"+1555{n:07d}",
                        "verified": True,
                        "valid_from": start,
                        "known_at": start,
                    }
                    for n in new
                ],
            )
    fill(
        conn,
        "marketing.customer_segments",
        [
            {
                "as_of": day,
                "customer_id": person(n),
                "external_id": str(n),
                "segment": segment,
                "priority_service": segment.startswith("vip"),
                "predicted_value": 600 + n % 7,
                "predicted_orders": 10,
                "model_version": "value-1",
                "expected_next_order_date": day,
            }
            for n in ids
        ],
    )


def consent(conn: Any, numbers: Iterable[int], channel: str, *, granted: bool, at: str) -> None:
    """An answer that customers gave at a moment."""
    fill(
        conn,
        "core.consents",
        [
            {
                "customer_id": person(n),
                "channel": channel,
                "purpose": "marketing",
                "granted": granted,
                "valid_from": at,
                "known_at": at,
            }
            for n in numbers
        ],
    )


def decide(day: str = DAY, run_id: str = "run-1") -> dict[str, int]:
    """A day through the build and the gate, as the DAG does it."""
    batch = activate.build({"as_of": day, "since": None, "run_id": run_id})
    return gate.gate(batch, rebuild=activate.build, in_turn=True)


def plant(conn: Any, count: int, **message: Any) -> None:
    """Messages by e-mail that are due, to customers 1 to `count`, with their triggers."""
    people(conn, range(1, count + 1))
    window = {"send_not_before": "2017-10-02T13:00Z", "send_not_after": "2017-10-05T00:00Z"}
    identity = [
        {
            "trigger_id": person(1000 + n),
            "customer_id": person(n),
            "external_id": str(n),
            "as_of": DAY,
            "campaign": "vip_exclusive",
            "period": "2017-Q4",
            "channel": "email",
        }
        | window
        for n in range(1, count + 1)
    ]
    fill(
        conn,
        "marketing.coupon_triggers",
        [
            row | {"status": "approved", "coupon_code": f"CODE-{i}"}
            for i, row in enumerate(identity)
        ],
    )
    fill(
        conn,
        "marketing.messages",
        [
            row
            | {
                "message_id": person(2000 + n),
                "subject": "For you: ä",
                "body": f"Hello {n}\n.\nend",
                "body_html": "<p>Hello</p>",
                "cap_class": "marketing",
                "status": "pending",
            }
            | message
            for n, row in enumerate(identity, start=1)
        ],
    )
    conn.commit()


def states(conn: Any) -> dict[str, int]:
    """Message and trigger status -> how many."""
    conn.commit()
    return dict(
        warehouse.rows(
            conn,
            "SELECT m.status || '/' || t.status, count(*) FROM marketing.messages AS m "
            "JOIN marketing.coupon_triggers AS t USING (trigger_id) GROUP BY 1",
        )
    )


def errors(conn: Any) -> list[str | None]:
    """What every message says went wrong, by message."""
    conn.commit()
    return [
        error
        for (error,) in warehouse.rows(
            conn, "SELECT error FROM marketing.messages ORDER BY message_id"
        )
    ]


def wait_for_the_server_to_notice(conn: Any) -> None:
    """A killed client's locks go when its backend reads the closed socket: at once, but not before."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        conn.commit()
        held = warehouse.value(
            conn,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        if not held:
            return
        time.sleep(0.05)
    pytest.fail("the killed sender's lock did not go")
