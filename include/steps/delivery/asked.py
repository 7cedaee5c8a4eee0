"""Ask the shop who has refused since the last run: `include/sql/extract/<source>/_refusals.sql`, where it is.

It is asked just before messages are claimed. A shop that does not answer is one whose refusals nobody knows:
nothing is sent until it does.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import psycopg2

from include import warehouse
from include.errors import BadInput
from include.persons import refusals
from include.persons.refusals import Refusal
from include.policy import Policy
from include.warehouse import Connection

NAME = "_refusals"


def take_up(conn: Connection, rules: Policy) -> int:
    """Ask, and note what is new; how many. The caller commits.

    Raises
    ------
    BadInput
        When the shop does not understand the SELECT, or it gives other columns.
    Unreachable
        When the shop does not answer.
    """
    source = rules.shop.source
    if not (warehouse.SQL_ROOT / "extract" / source / f"{NAME}.sql").is_file():
        return 0
    newest = warehouse.value(
        conn, "SELECT max(partition) FROM ops.publications WHERE table_name = 'core.orders'"
    )
    params = {
        "since": f"{newest - timedelta(days=rules.ingest.lookback_days)} 00:00 {rules.shop.timezone}"
        if newest
        else "-infinity",
        "timezone": rules.shop.timezone,
    }
    place = f"include/sql/extract/{source}/{NAME}.sql"
    if not warehouse.url("shop").startswith("postgres"):
        raise BadInput(
            f"Expected a shop in PostgreSQL for {place}, found another: remove that file, and tell refusals "
            "by ops.record_refusal."
        )
    try:
        with warehouse.connect("shop") as shop:
            found = warehouse.rows(shop, warehouse.sql(f"extract/{source}/{NAME}"), params)
    except (psycopg2.ProgrammingError, psycopg2.DataError) as error:
        raise BadInput(
            f"Expected the shop to answer {place}, found: {warehouse.without_values(error)}. Nothing is sent "
            "until it does: mend that SELECT, or remove it."
        ) from None
    if found and len(found[0]) != 4:
        raise BadInput(
            f"Expected four columns of {place} (customer_number, address, channel, refused_at), found "
            f"{len(found[0])}: mend that SELECT."
        )
    now = warehouse.value(conn, "SELECT clock_timestamp()")
    return refusals.record(
        conn,
        [
            Refusal(
                number and str(number), address and str(address), channel and str(channel),
                _moment(at, now, rules.shop.zone), f"{number}|{address}|{channel}|{at}",
            )
            for number, address, channel, at in found
        ],
        "asked",
    )  # fmt: skip


def _moment(at: date | None, now: datetime, zone: ZoneInfo) -> datetime:
    """When a refusal was given, by the shop's zone where its stamp names none; never later than now."""
    if at is None:
        return now
    moment = at if isinstance(at, datetime) else datetime.combine(at, time.max)
    return min(moment if moment.tzinfo else moment.replace(tzinfo=zone), now)
