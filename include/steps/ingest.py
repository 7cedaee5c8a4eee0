"""From the shop's database to `raw`, and from `raw` to `core`."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from include import (
    as_of,
    contracts,
    policy,
    publication,
    quality,
    warehouse,
)
from include.contracts import Contract
from include.errors import BadInput
from include.persons import staging, suppressions
from include.publication import Batch, redated, undated
from include.quality import cleaning, unusual
from include.quality.accounts import Part
from include.sources import offered, shop
from include.sources.files.findings import Finding
from include.sources.shop import Dated, Source
from include.steps import lookups
from include.steps.withdrawn import deleted, noticed
from include.warehouse import Connection

log = logging.getLogger(__name__)

#: Who there is: built first, so that every other table knows whose its rows are.
WHO = ("identities", "accounts", "contact_points")

#: The other core tables in the order they are built: a table may join those before it as staged in its batch.
CORE_ORDER = (
    "stores",
    "products",
    "customers",
    "consents",
    "campaigns",
    "coupons",
    "exchange_rates",
    "orders",
    "order_lines",
    "events",
    "reviews",
    "stock_levels",
    "exposures",
    "redemptions",
    "promotions",
    "deliveries",
    "returns",
    "mentions",
    "member_events",
    "warehouses",
)


class BeyondSource(BadInput):
    """The day lies after the newest day that the shop holds."""


def plan(run: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the tables up to their contracts, check the day against the shop, settle the window.

    Returns
    -------
    dict
        The run with `since` filled in where none was given: the ordinary look-back, or the whole history
        where nothing was published yet.

    Raises
    ------
    BeyondSource
        When the day lies after the newest day that the shop holds.
    BadInput
        When it lies before the first one, or `since` lies after it.
    """
    with warehouse.connect() as conn:
        for change in contracts.migrate(conn):
            log.info("Warehouse: %s", change)
        suppressions.carry(conn)
    day = run["as_of"]
    first, last = _covered()
    if day > last:
        raise BeyondSource(
            f"No data for {day}: the shop's data ends on {last}. Expected a business day up to then; run "
            "the day again when the shop has it."
        )
    if day < first:
        raise BadInput(
            f"Expected a business day from {first} on, found {day}: the shop has no order before that."
        )
    since = run["since"] or _usual_since(day)
    if since > day:
        raise BadInput(f"Expected since to be at or before as_of, found {since} after {day}.")
    return dict(run) | {"since": since}


def plan_replay(run: Mapping[str, Any]) -> dict[str, Any]:
    """The window of a replay: the days up to the run's that have rows in quarantine and stand in raw.

    Raises
    ------
    BadInput
        When there is nothing to replay.
    """
    with warehouse.connect() as conn:
        for change in contracts.migrate(conn):
            log.info("Warehouse: %s", change)
        suppressions.carry(conn)
        first, last, count = warehouse.rows(
            conn,
            """
            SELECT min(business_day)::text, max(business_day)::text, count(*)
            FROM quarantine.rejected_rows
            WHERE business_day <= %(as_of)s AND business_day >= coalesce(%(since)s, '-infinity')::date
            """,
            run,
        )[0]
    if not count:
        raise BadInput(
            f"Expected rows in quarantine up to {run['as_of']}, found none: there is nothing to replay."
        )
    log.info("Replaying %s to %s: %s rows in quarantine.", first, last, f"{count:,}")
    return dict(run) | {"since": first, "as_of": last}


def _require_raw(conn: Connection, batch: Batch, tables: list[Contract]) -> None:
    """Days whose raw rows have expired must not be built from nothing: that would empty them.

    Raises
    ------
    BadInput
        When raw no longer holds what was published there for a day of the batch.
    """
    for contract in tables:
        gone = warehouse.value(
            conn,
            f"""
            SELECT min(p.partition)::text FROM ops.publications AS p
            WHERE p.table_name = %(table)s AND p.row_count > 0
                AND p.partition BETWEEN %(since)s AND %(as_of)s
                AND NOT EXISTS (SELECT 1 FROM {contract.name} AS r WHERE r._partition = p.partition)
            """,
            batch.params | {"table": contract.name},
        )
        if gone:
            raise BadInput(
                f"Expected {contract.name} to hold the days {batch.since} to {batch.as_of}, found {gone} "
                "expired: extract them again (clear extract_raw, or run the day with since)."
            )


def _usual_since(day: str) -> str:
    """The look-back before the day, or before the newest day published where days were left out since.

    The whole history where `core` was never published.
    """
    settings = policy.load()
    with warehouse.connect() as conn:
        newest = warehouse.value(
            conn,
            "SELECT max(partition) FROM ops.publications "
            "WHERE table_name = 'core.orders' AND partition <= %(day)s",
            {"day": day},
        )
    if newest:
        return as_of.days_before(newest.isoformat(), settings.ingest.lookback_days)
    since = min(settings.shop.opened_on.isoformat(), day)
    log.info("Nothing was published yet: loading the history from %s.", since)
    return since


def _covered() -> tuple[str, str]:
    """The first and the newest business day with an order."""
    with shop.opened() as source:
        found = source.covered()
    if found is None:
        raise BadInput(
            "Expected orders in the shop, found its table of orders empty: check that the policy's source "
            "and the connection 'shop' name the right place and that it is loaded."
        )
    return found[0].isoformat(), found[1].isoformat()


def extract(run: Mapping[str, Any]) -> dict[str, Any]:
    """Stage the window [since, as_of] of every source table, all from one snapshot of the shop.

    Raises
    ------
    BadInput
        When a source table or column is missing, or a required table is empty.
    """
    settings = policy.load()
    offered.require(settings)
    start, end = as_of.window(run["since"], run["as_of"], settings.shop.timezone)
    # What the shop has been since before it opened (an article, a refusal) stands from the first day on.
    from_opening = run["since"] <= settings.shop.opened_on.isoformat()
    # In a sample as well: nobody has read what came before it.
    with_standing = from_opening or run.get("sample", False)
    counts: dict[str, int] = {}
    outside: dict[str, Dated] = {}
    with warehouse.connect() as conn, shop.opened() as source:
        batch = publication.open_batch(conn, "raw", run["as_of"], run["since"], run["run_id"])
        # What is seen of the shop is fixed here; until the commit below nobody else takes a token, so
        # that tokens and snapshots rise together.
        source.begin(conn, batch.schema, end)
        conn.commit()
        for contract in _sources():
            table = publication.stage(conn, batch, contract)
            whole = with_standing and contracts.is_state(contract)
            first = None if whole else start
            if first and contract.table == "exchange_rates":
                # What the first days are converted by may be older, whichever days were run before.
                first -= timedelta(days=settings.shop.rates_max_age_days)
            counts[contract.table] = source.copy(contract, first, end, table)
            undated.mark(conn, batch, table)
            if first != start:
                _stand_on_first_day(conn, batch, table)
            # A customer is found by either of two stamps, and by orders: not one that could be outside.
            if contract.table != "customers":
                early = start if from_opening and not whole else None
                found = source.outside(contract, early, end)
                outside |= {contract.table: found} if found else {}
            if not counts[contract.table] and not contract.may_be_empty:
                _refuse_empty(source, contract)
            log.info("Extracted %s rows of %s", f"{counts[contract.table]:,}", contract.table)
        late = source.late(start, end)
        outside |= {table: (count, first, last) for table, count, first, last in late}
        results = _outside_rows(outside, batch) + _absent_rows(offered.absent(settings))
        results += _told_rows(source.told())
        results += noticed.look(conn, batch, source, settings, start, end)
        quality.store(conn, batch, batch.token, results)
    if not counts.get("orders"):
        log.warning("The shop has no order from %s to %s.", run["since"], run["as_of"])
    return batch.as_dict() | {"rows": counts}


def _stand_on_first_day(conn: Connection, batch: Batch, table: str) -> None:
    """Put the staged rows that are dated before the batch's first day on it."""
    target = warehouse.qualified(table).as_string(conn)
    warehouse.execute(
        conn,
        f"UPDATE {target} SET _partition = %(since)s WHERE _partition < %(since)s",
        batch.params,
    )


def _outside_rows(found: Mapping[str, Dated], batch: Batch) -> list[quality.Result]:
    """A warning for each table of which rows came too late, or are dated too early or too late."""
    return [
        quality.Result(
            f"raw.{table}", "recorded_in_time", "warning", False, str(count), count, None,
            f"Expected what the shop recorded from {batch.since} to {batch.as_of} to be dated then, found "
            f"{count} rows of {table} dated {first} to {last}: they are not in this window. Late ones "
            f"come by a run with since={first}; one of another age or in the future is a mistake in the "
            "shop.",
        )
        for table, (count, first, last) in sorted(found.items())
    ]  # fmt: skip


def _absent_rows(found: Mapping[str, str]) -> list[quality.Result]:
    """A warning for each source table that neither the policy nor the shop's folder knows."""
    return [
        quality.Result(f"raw.{table}", "delivered", "warning", False, "0", None, None, sentence)
        for table, sentence in found.items()
    ]


def _told_rows(found: Sequence[Finding]) -> list[quality.Result]:
    """A warning for each thing that was met in the source and not taken as it stands."""
    return [
        quality.Result(
            f"raw.{one.table}", one.check, "warning", False, str(one.count), one.count, None, one.sentence
        )
        for one in found
    ]  # fmt: skip


def _sources() -> Iterator[Contract]:
    rules = policy.load()
    for contract in contracts.of_dataset("raw"):
        if offered.is_on(rules, contract.table):
            yield contract
        elif contract.table in rules.ingest.sources:
            log.info("Source %s is switched off in the policy.", contract.table)


def _refuse_empty(source: Source, contract: Contract) -> None:
    """A window may hold nothing; a whole source table may not, unless its contract allows it."""
    if source.holds(contract):
        return
    raise BadInput(
        f"Expected rows in the shop's table {contract.table}, found it empty: load it, or switch the "
        f"source off in config/policy.yml (ingest.sources.{contract.table}: false)."
    )


def build_core(run: Mapping[str, Any]) -> dict[str, Any]:
    """Clean and integrate the window [since, as_of] of `raw` into staged `core` tables.

    Each table's rows are accounted for: extracted = published + quarantined + duplicates.
    """
    settings = policy.load()
    counts: dict[str, dict[str, int]] = {}
    run = dict(run) | {"since": redated.reach_back(run["since"], run["as_of"])}
    with publication.new_batch("core", run) as (conn, batch):
        params = {
            "since": batch.since,
            "until": batch.as_of,
            "timezone": settings.shop.timezone,
            "currency": settings.shop.currency,
            "decimals": contracts.decimals(settings.shop.currency),
            "earliest": quality.EARLIEST,
            "beyond": quality.BEYOND,
        }
        _require_raw(conn, batch, list(_sources()))
        warehouse.execute(conn, f"SET LOCAL search_path = {batch.schema}, pg_catalog")
        publication.stage(conn, batch, contracts.load("quarantine", "rejected_rows"))
        unusual.stage(conn, batch)
        lookups.stage_sentiments(
            conn, batch, [name for name in ("reviews", "mentions") if offered.is_on(settings, name)]
        )
        _, end = as_of.window(batch.since, batch.as_of, settings.shop.timezone)
        reached = [n for n in ("contact_points", "consents") if offered.is_on(settings, n)]
        lookups.stage_words(conn, batch, reached)
        lookups.stage_addresses(conn, batch, reached)
        switched_off = []
        for name in (*WHO, *CORE_ORDER):
            if name == "contact_points":
                staging.stage_accounts(conn, batch)
            if name == CORE_ORDER[0]:
                staging.stage_numbers(conn, batch)
            if name == "orders":
                lookups.stage_day_rates(conn, batch, settings.shop.rates_max_age_days)
            contract = contracts.load("core", name)
            if not offered.is_on(settings, _table_of(contract)):
                # Tables that join it find it empty; it is not published.
                switched_off.append(publication.stage(conn, batch, contract))
                continue
            counts[name] = _build_table(conn, batch, contract, params)
            if name == "contact_points":
                deleted.replaced(conn, batch, end)
                # Nothing finds the person of an address there, so nothing would erase it.
                warehouse.execute(conn, f"DROP TABLE {batch.schema}.addresses")
            if name == "consents":
                noticed.set_aside(conn, batch, end)
            log.info("Built core.%s: %s", name, counts[name])
        for table in switched_off:
            warehouse.execute(conn, f"DROP TABLE {table}")
    return batch.as_dict() | {"rows": counts}


def _table_of(contract: Contract) -> str:
    return (contract.source or "").split(".")[-1]


def _build_table(
    conn: Connection, batch: Batch, contract: Contract, params: dict[str, Any]
) -> dict[str, int]:
    table = publication.stage(conn, batch, contract)
    if contract.table == "identities":
        lookups.stage_pseudonyms(conn, batch)
    names = ", ".join(f'"{name}"' for name in contract.content)
    # A SELECT may name its columns in any order; they are matched by name.
    select = cleaning.cleaned(contract, warehouse.sql(f"core/{contract.table}"))
    query = warehouse.literal_query(conn, select, params)
    with cleaning.explained(contract):
        statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM ({query}) AS b"
        if contract.money:
            statement += f" RETURNING {quality.accounts.amount(contract)} AS amount"
            staged = quality.accounts.part(conn, statement)
        else:
            warehouse.execute(conn, statement)
            staged = Part(0)
    held = warehouse.value(
        conn,
        f"SELECT count(*) FROM {contract.source} WHERE _partition BETWEEN %(since)s AND %(until)s",
        params,
    )
    if contract.table == "order_lines":
        unusual.flag(conn, batch)
    # Rows as raw holds them; their money as staged, in the shop's own currency.
    extracted = replace(staged, rows=held)
    counts = quality.screen(conn, batch, contract, extracted)
    if contract.table == "identities":
        _add_known_identities(conn, table, names)
    warehouse.execute(conn, f"ANALYZE {table}")
    return counts.__dict__


def _add_known_identities(conn: Connection, table: str, names: str) -> None:
    """Customers of earlier days, so that later tables find everyone in the staged `identities`."""
    warehouse.execute(
        conn,
        f"INSERT INTO {table} ({names}) SELECT {names} FROM core.identities AS known "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS s WHERE s.customer_id = known.customer_id)",
    )
