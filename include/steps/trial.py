"""A source as it would be published, tried in a warehouse that is thrown away.

`trial()` runs the steps of a business day itself, extraction, screening and core: what it says is what a run
would do. It asks for no policy that fits: what the policy would say of the shop is taken from the
source, and told. The caller sees to it that the connection `warehouse` leads to an empty database.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import IO, Any
from zoneinfo import available_timezones

from include import as_of, contracts, policy, publication, quality, warehouse
from include.contracts import Contract
from include.errors import BadInput
from include.policy import Policy, PolicyError
from include.policy.ingest import Ingest
from include.publication import Batch
from include.sources import file_mapping, offered, shop
from include.sources.files.days import NOT_KNOWN
from include.steps import ingest

log = logging.getLogger(__name__)

#: Business days of a sample, up to the newest.
SAMPLE_DAYS = 28

#: ISO 4217: no currency.
_NO_CURRENCY = "XXX"


@dataclass(frozen=True)
class Asked:
    """What is to be tried.

    Attributes
    ----------
    source
        A folder of include/sql/extract, or any name for a mapping that stands elsewhere.
    whole
        All days; otherwise the newest `SAMPLE_DAYS`, with every customer, article and the like.
    until
        The last business day; the newest of the source where it is not given.
    timezone, currency
        Of the shop; where they are not given, the policy's where it names this source, else what is read.
    """

    source: str
    whole: bool = False
    until: str | None = None
    timezone: str | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Account:
    """Where the rows of one table went: read = publish + set aside + duplicates, in rows and in money."""

    table: str
    read: int
    publish: int
    set_aside: int
    duplicates: int
    money_read: float | None
    money_publish: float | None
    money_set_aside: float | None
    money_duplicates: float | None
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What came of it, for as long as the scratch warehouse stands.

    Attributes
    ----------
    first, last
        The business days that were read.
    accounts
        One a core table, in the order in which they are built.
    findings
        What the checks of the contracts would say, the critical ones first.
    """

    first: str
    last: str
    accounts: list[Account]
    findings: list[quality.Result]
    raw: Batch
    core: Batch

    def table(self, contract: Contract) -> str:
        """Where the rows of a table of raw or core stand now.

        Raises
        ------
        BadInput
            When the source does not give it.
        """
        batch = self.core if contract.schema_name == "core" else self.raw
        with warehouse.connect() as conn:
            if contract in publication.staged_contracts(conn, batch):
                return batch.table(contract)
        raise BadInput(
            f"Expected {contract.name} to be given by the source, found that it is not: its line would be "
            "among those printed without --rows."
        )

    def write_rows(self, contract: Contract, stream: IO[bytes], *, as_json: bool = False) -> None:
        """The rows of a table as CSV with a line of headers, or as one JSON object a line."""
        place = self.table(contract)
        names = ", ".join(f'"{column}"' for column in contract.content)
        order = ", ".join(f'"{key}"' for key in contract.keys) or "1"
        select = f"SELECT {names} FROM {place} ORDER BY {order}"
        # JSON holds no control character, so that as this "CSV" a row is its JSON and nothing else.
        form = (
            f"COPY (SELECT row_to_json(r) FROM ({select}) AS r) TO STDOUT "
            "(FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')"
            if as_json
            else f"COPY ({select}) TO STDOUT (FORMAT csv, HEADER)"
        )
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.copy_expert(form, stream)


def table_of(name: str) -> Contract:
    """The contract of a table of `raw` or `core` by its name; without a schema `core` is meant.

    Raises
    ------
    BadInput
        When there is none.
    """
    known = {
        item.name: item
        for dataset in ("core", "raw")
        for item in contracts.of_dataset(dataset)
        if item.schema_name == dataset and (dataset == "raw" or item.source)
    }
    found = known.get(name if "." in name else f"core.{name}")
    if found is None:
        raise BadInput(f"Expected one of the tables {', '.join(known)}, found '{name}'.")
    return found


@contextmanager
def trial(asked: Asked) -> Iterator[Trial]:
    """Read a source into the scratch warehouse; the policy that was made up for it holds meanwhile.

    Raises
    ------
    BadInput
        When the source cannot be read as its SELECTs or its mapping say.
    """
    _require_source(asked.source)
    rules = _rules(asked)
    with policy.instead(rules):
        first, last = _days(asked)
    rules = _opened(rules, first)
    with warehouse.connect() as conn:
        contracts.migrate(conn)
    with policy.instead(rules):
        run = _window(asked, first, last)
        raw = Batch.from_dict(ingest.extract(run))
        # For all to read: the batch, its rows, and nothing audited.
        with warehouse.connect() as conn:
            publication.publish(conn, raw, publication.claim_day(conn, raw))
            spoken = _currency(conn)
        rules = _paid_in(rules, asked, spoken)
    with policy.instead(rules):
        core = Batch.from_dict(ingest.build_core(run))
        yield Trial(run["since"], run["as_of"], _accounts(core), _findings(raw, core), raw, core)


def _require_source(source: str) -> None:
    folder = warehouse.SQL_ROOT / "extract"
    if file_mapping.is_one(source) or (folder / source / "orders.sql").is_file():
        return
    known = sorted(path.name for path in folder.iterdir() if path.is_dir())
    raise BadInput(
        f"Expected one of the sources {', '.join(known)}, found '{source}': name one, or say with --mapping "
        f"where its {file_mapping.MAPPING} stands."
    )


def _rules(asked: Asked) -> Policy:
    """The policy for a source: the one in force where it names it, else one with nothing but this shop."""
    standing = None
    try:
        standing = policy.load()
    except PolicyError:
        log.info("The policy in force cannot be read; its settings are left out.")
    fits = standing is not None and standing.shop.source == asked.source
    if standing is None or not fits:
        sources = _given(asked.source)
        log.info("Tables: %s.", ", ".join(name for name, given in sources.items() if given))
        ingest_rules = (
            standing.ingest.model_copy(update={"sources": sources})
            if standing
            else Ingest(lookback_days=0, sources=sources)
        )
        own = policy.Shop.model_construct(
            source=asked.source,
            timezone="UTC",
            currency=_NO_CURRENCY,
            opened_on=NOT_KNOWN,
            clock=None,
            locale="en_US",
        )
        standing = Policy.model_construct(shop=own, ingest=ingest_rules)
        if not asked.timezone:
            log.info("Time zone: taken to be UTC, as the policy is about another source.")
    given = {
        name: _checked(name, value)
        for name, value in (("timezone", asked.timezone), ("currency", asked.currency))
        if value
    }
    return _with_shop(standing, **given)


def _checked(name: str, value: str) -> str:
    if name == "timezone" and value not in available_timezones():
        raise BadInput(f"Expected a time zone such as Europe/Berlin, found '{value}'.")
    if name == "currency" and not re.fullmatch("[A-Z]{3}", value):
        raise BadInput(f"Expected a currency of ISO 4217 such as EUR, found '{value}'.")
    return value


def _given(source: str) -> dict[str, bool]:
    """Whether the source gives each of the source tables; those that no day can do without count as given."""
    folder = warehouse.SQL_ROOT / "extract" / source
    mapped = file_mapping.load(source).tables if file_mapping.is_one(source) else None
    return {
        item.table: item.table in offered.NEEDED
        or (item.table in mapped if mapped else (folder / f"{item.table}.sql").is_file())
        for item in contracts.of_dataset("raw")
    }


def _with_shop(rules: Policy, **values: Any) -> Policy:
    return rules.model_copy(update={"shop": rules.shop.model_copy(update=values)})


def _days(asked: Asked) -> tuple[date, date]:
    """The first day of the shop and the last one to try."""
    with shop.opened() as source:
        found = source.covered()
    if found is None:
        raise BadInput(
            f"Expected orders with a date in {asked.source}, found none: check where its data lie, and the "
            "column or the formats of its stamp."
        )
    first, newest = found
    until = as_of.parse(asked.until, "--until") if asked.until else newest
    if until < first:
        raise BadInput(f"Expected --until on or after the first order ({first}), found {until}.")
    return first, min(until, newest)


def _opened(rules: Policy, first: date) -> Policy:
    if rules.shop.opened_on != NOT_KNOWN:
        return rules
    log.info("Opening day: taken to be %s, that of the first order.", first)
    return _with_shop(rules, opened_on=first)


def _window(asked: Asked, first: date, last: date) -> dict[str, Any]:
    """The run to try."""
    opened_on = policy.load().shop.opened_on
    since = min(opened_on, last)
    if not asked.whole:
        since = max(since, last - timedelta(days=SAMPLE_DAYS - 1))
    sample = since > opened_on
    log.info(
        "Days: %s to %s%s.",
        since, last, f" of {first} to {last} (--all takes all)" if sample else "",
    )  # fmt: skip
    return {
        "as_of": last.isoformat(),
        "since": since.isoformat(),
        "run_id": "trial",
        "sample": sample,
    }


def _currency(conn: warehouse.Connection) -> str | None:
    """The currency that most orders name."""
    found = warehouse.value(
        conn,
        """
        SELECT upper(btrim(currency)) FROM raw.orders WHERE currency ~ '^\\s*[A-Za-z]{3}\\s*$'
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
        """,
    )
    return str(found) if found else None


def _paid_in(rules: Policy, asked: Asked, spoken: str | None) -> Policy:
    if rules.shop.currency != _NO_CURRENCY or asked.currency:
        return rules
    if spoken is None:
        log.info("Currency: none is named; amounts are taken as they are (--currency says which).")
        return rules
    log.info("Currency: taken to be %s, that of most orders.", spoken)
    return _with_shop(rules, currency=spoken)


def _accounts(core: Batch) -> list[Account]:
    """The accounts of the rows that the screening has kept, with the reasons from the quarantine."""
    with warehouse.connect() as conn:
        found = warehouse.rows(
            conn,
            f"""
            SELECT c.table_name, c.extracted, c.published, c.quarantined, c.duplicates,
                coalesce((
                    SELECT json_object_agg(r.reason, r.n ORDER BY r.n DESC, r.reason) FROM (
                        SELECT unnest(q.reasons) AS reason, count(*) AS n
                        FROM {core.schema}.rejected_rows AS q WHERE q.table_name = c.table_name
                        GROUP BY 1
                    ) AS r
                ), '{{}}'),
                ARRAY[c.extracted_money, c.published_money, c.quarantined_money, c.duplicates_money]
            FROM ops.row_counts AS c WHERE c.token = %(token)s
            """,
            core.params,
        )
    order = [f"core.{name}" for name in (*ingest.WHO, *ingest.CORE_ORDER)]
    names = [item.name for item in fields(Account)]
    return [
        Account(**dict(zip(names, (table, *rows, *map(_amount, money), reasons), strict=True)))
        for table, *rows, reasons, money in sorted(found, key=lambda row: order.index(row[0]))
    ]


def _amount(found: Decimal | None) -> float | None:
    return None if found is None else float(found)


def _findings(*batches: Batch) -> list[quality.Result]:
    found = []
    for batch in batches:
        with warehouse.connect() as conn:
            tables = publication.staged_contracts(conn, batch)
            found += [one for one in quality.audit(conn, batch, tables) if not one.passed]
    return sorted(found, key=lambda one: one.severity)
