"""Write, audit, publish: batches that nobody reads until they are published in one transaction.

A batch is staged in a schema of its own, `stage_<token>`. Its token comes from one rising sequence,
taken before the batch reads its input, so a higher token never means older content. Two rules follow:

* of one dataset and day, only the newest attempt may publish (`claim`), so that a stalled task that wakes
  after its retry is refused;
* a day's rows are never replaced by a batch with a lower token than the one that stands, so that runs may
  overtake one another.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from psycopg2 import sql as pgsql

from include import contracts, newest, past, undated, warehouse
from include.contracts import Contract
from include.errors import BadInput, Superseded
from include.warehouse import Connection


@dataclass(frozen=True)
class Batch:
    """What is staged for one dataset and the business days [since, as_of]."""

    dataset: str
    as_of: str
    since: str
    run_id: str
    token: int

    @property
    def schema(self) -> str:
        return f"stage_{self.token}"

    def table(self, contract: Contract) -> str:
        return f"{self.schema}.{contract.table}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Batch":
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})

    @property
    def params(self) -> dict[str, Any]:
        return asdict(self)


def open_batch(conn: Connection, dataset: str, as_of: str, since: str | None, run_id: str) -> Batch:
    """Take a token and make the staging schema, under a lock of the dataset until the commit.

    Whoever opens the snapshot it reads before that commit can be sure that a higher token never means
    an older snapshot.
    """
    warehouse.execute(
        conn, "SELECT pg_advisory_xact_lock(hashtext('open ' || %(dataset)s))", {"dataset": dataset}
    )
    token = _claim(conn, dataset, as_of)
    batch = Batch(dataset, as_of, since or as_of, run_id, token)
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.batches (token, dataset, as_of, since, run_id, opened_at, staged)
        VALUES (%(token)s, %(dataset)s, %(as_of)s, %(since)s, %(run_id)s, clock_timestamp(), true)
        """,
        batch.params,
    )
    _execute(conn, "CREATE SCHEMA {}", pgsql.Identifier(batch.schema))
    return batch


@contextmanager
def opened(dataset: str, run: Mapping[str, Any]) -> Iterator[tuple[Connection, Batch]]:
    """A new batch, and a connection that sees the warehouse as it was when the batch took its token.

    Parameters
    ----------
    run
        `as_of`, `run_id` and, where the batch covers several days, `since`.
    """
    with warehouse.connect() as conn:
        conn.set_session(isolation_level="REPEATABLE READ")
        with warehouse.connect() as opening:
            batch = open_batch(opening, dataset, run["as_of"], run.get("since"), run["run_id"])
            warehouse.value(conn, "SELECT 1")  # fixes the snapshot while the lock is held
        yield conn, batch


def claim(conn: Connection, batch: Batch) -> int:
    """Make this attempt the only one that may publish the dataset's day; its fencing token."""
    return _claim(conn, batch.dataset, batch.as_of)


def _claim(conn: Connection, dataset: str, as_of: str) -> int:
    token: int = warehouse.value(
        conn,
        """
        INSERT INTO ops.fences (dataset, as_of, token)
        VALUES (%(dataset)s, %(as_of)s, nextval('ops.tokens'))
        ON CONFLICT (dataset, as_of) DO UPDATE SET token = greatest(fences.token, excluded.token)
        RETURNING token
        """,
        {"dataset": dataset, "as_of": as_of},
    )
    return token


def others(conn: Connection, batch: Batch) -> str:
    """A mark of what the other days of the batch's dataset say; it moves when one of them is published."""
    found = warehouse.value(
        conn,
        """
        SELECT md5(string_agg(table_name || partition || token, ',' ORDER BY table_name, partition))
        FROM ops.publications
        WHERE dataset = %(dataset)s AND partition <> %(as_of)s
        """,
        batch.params,
    )
    return str(found or "")


def is_staged(conn: Connection, batch: Batch) -> bool:
    """Whether the batch's staging schema still stands."""
    found = warehouse.value(conn, "SELECT to_regnamespace(%(schema)s)", {"schema": batch.schema})
    return found is not None


def stage(conn: Connection, batch: Batch, contract: Contract) -> str:
    """An empty staged table with the contract's columns, without its key or NOT NULLs; its name.

    Columns that say which run wrote a row fill themselves. Where rows come from a source as they are,
    numbers of any size fit, so that one that the contract cannot hold is set aside with its row.
    """
    table = batch.table(contract)
    target = warehouse.qualified(table)
    shape = contracts.column_list(contract, strict=False, wide=contract.source is not None)
    # In one round trip: a batch stages two dozen tables, and a day is to cost little beside its rows.
    statements = [
        pgsql.SQL("DROP TABLE IF EXISTS {}").format(target),
        pgsql.SQL("CREATE UNLOGGED TABLE {} ({})").format(target, shape),
    ]
    statements += [
        pgsql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
            target, pgsql.Identifier(name), default
        )
        for name, default in _filled_by_the_engine(contract, batch).items()
    ]
    _execute(conn, "{}", pgsql.SQL("; ").join(statements))
    return table


def _filled_by_the_engine(contract: Contract, batch: Batch) -> dict[str, pgsql.Composable]:
    from include import policy

    fills: dict[str, pgsql.Composable] = {}
    for name in contract.column_names:
        if name == "run_id":
            fills[name] = pgsql.Literal(batch.run_id)
        elif name in ("updated_at", "_loaded_at"):
            fills[name] = pgsql.SQL("now()")
        elif name == "_source":
            fills[name] = pgsql.Literal(policy.load().shop.source)
        elif name == "policy_hash":
            fills[name] = pgsql.Literal(policy.load().hash)
    return fills


def staged_contracts(conn: Connection, batch: Batch) -> list[Contract]:
    """The contracts of the tables that the batch holds."""
    standing = {
        name
        for (name,) in warehouse.rows(
            conn,
            "SELECT tablename FROM pg_tables WHERE schemaname = %(schema)s",
            {"schema": batch.schema},
        )
    }
    return [item for item in contracts.of_dataset(batch.dataset) if item.table in standing]


def publish(conn: Connection, batch: Batch, fence: int) -> dict[str, int]:
    """Publish every staged table of the batch; the staged rows of each table.

    All of it happens in the caller's transaction, under a lock of the dataset. The batch stays staged,
    so that its gate can be run again; older published batches of the dataset are dropped.

    Raises
    ------
    Superseded
        When a newer attempt for the same dataset and day has claimed the right to publish.
    """
    warehouse.execute(
        conn, "SELECT pg_advisory_xact_lock(hashtext('publish ' || %(dataset)s))", batch.params
    )
    newest = warehouse.value(
        conn,
        "SELECT token FROM ops.fences WHERE dataset = %(dataset)s AND as_of = %(as_of)s",
        batch.params,
    )
    if newest != fence:
        raise Superseded(
            f"Expected attempt {fence} to be the newest for {batch.dataset} of {batch.as_of}, found "
            f"attempt {newest}: nothing was published; look at the newer run instead."
        )
    tables = staged_contracts(conn, batch)
    counts: dict[str, int] = {}
    standing = stands(conn, batch, tables)
    for contract in tables:
        if not standing:
            _publish_table(conn, batch, contract)
            _record(conn, batch, contract)
            undated.settle(conn, batch, contract)
        counts[contract.name] = warehouse.value(
            conn,
            pgsql.SQL("SELECT count(*) FROM {}").format(_staged(batch, contract)).as_string(conn),
        )
        if not standing:
            _let_planner_know(conn, contract, counts[contract.name])
    warehouse.execute(
        conn, "UPDATE ops.batches SET published_at = now() WHERE token = %(token)s", batch.params
    )
    _drop_older(conn, batch)
    return counts


#: A batch of so many rows, and of this share of the rows that the planner knows of, changes its picture.
MUCH_ROWS, MUCH_SHARE = 10_000, 0.1


def _let_planner_know(conn: Connection, contract: Contract, rows: int) -> None:
    """ANALYZE a table that a batch has filled: by its own the server notices a minute later, or never.

    Until then the next day's statements would be planned for an empty table.
    """
    if rows < MUCH_ROWS:
        return
    known = warehouse.value(
        conn,
        "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %(table)s::regclass",
        {"table": contract.name},
    )
    if rows > MUCH_SHARE * known:
        _execute(conn, "ANALYZE {}", warehouse.qualified(contract.name))


def stands(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> bool:
    """Whether the batch's day was published before and is of those that are published once."""
    return any(item.write == "once" and _published(conn, batch, item) for item in tables)


def _published(conn: Connection, batch: Batch, contract: Contract) -> bool:
    found = warehouse.value(
        conn,
        "SELECT 1 FROM ops.publications WHERE table_name = %(table)s AND partition = %(as_of)s",
        {"table": contract.name, "as_of": batch.as_of},
    )
    return found is not None


def _publish_table(conn: Connection, batch: Batch, contract: Contract) -> None:
    if contract.write == "upsert":
        if contract.gives_way:
            _execute(
                conn,
                "DELETE FROM {} AS t USING {} AS s WHERE {} AND ({})",
                warehouse.qualified(contract.name),
                _staged(batch, contract),
                _pairs(contract.gives_way.match, "s.{0} = t.{0}", " AND "),
                pgsql.SQL(contract.gives_way.when),
            )
        _upsert(conn, batch, contract, days=None)
        if contract.history:
            _close_versions(conn, batch, contract, contract.history.key)
        return
    if contract.partition is None:
        _replace_whole(conn, batch, contract)
        return
    days = _days_to_replace(conn, batch, contract)
    partition = pgsql.Identifier(contract.partition)
    target, staged = warehouse.qualified(contract.name), _staged(batch, contract)
    window = pgsql.SQL("{} = ANY({}::date[])").format(partition, pgsql.Literal(days))
    if contract.past:
        past.keep(conn, batch, contract, window)
        past.keep_superseded(conn, batch, contract)
    standing = pgsql.SQL("SELECT 1 FROM {} WHERE {} LIMIT 1").format(target, window)
    if not contract.keys:
        _execute(conn, "DELETE FROM {} WHERE {}", target, window)
        _insert(conn, contract, staged, window)
        return
    if warehouse.value(conn, standing.as_string(conn)) is not None:
        _execute(
            conn,
            "DELETE FROM {} AS t WHERE t.{} AND NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
            target,
            window,
            staged,
            _pairs(contract.keys, "s.{0} = t.{0}", " AND "),
        )
    _upsert(conn, batch, contract, days=days)


def _replace_whole(conn: Connection, batch: Batch, contract: Contract) -> None:
    """A table without days: what is not staged goes, what is staged stays or comes."""
    target, staged = warehouse.qualified(contract.name), _staged(batch, contract)
    if not contract.keys:
        _execute(conn, "DELETE FROM {}", target)
        _insert(conn, contract, staged, pgsql.SQL("true"))
        return
    _execute(
        conn,
        "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT 1 FROM {} AS s WHERE {})",
        target,
        staged,
        _pairs(contract.keys, "s.{0} = t.{0}", " AND "),
    )
    _upsert(conn, batch, contract, days=None)


def _days_to_replace(conn: Connection, batch: Batch, contract: Contract) -> list[date]:
    """The batch's days, without those that a newer batch has published."""
    return [
        day
        for (day,) in warehouse.rows(
            conn,
            """
            SELECT day::date
            FROM generate_series(%(since)s::date, %(as_of)s::date, interval '1 day') AS day
            WHERE NOT EXISTS (
                SELECT 1 FROM ops.publications AS p
                WHERE p.table_name = %(table)s AND p.partition = day::date AND p.token > %(token)s
            )
            """,
            batch.params | {"table": contract.name},
        )
    ]


def _insert(
    conn: Connection, contract: Contract, staged: pgsql.Composed, where: pgsql.Composable
) -> None:
    names = _list(contract.column_names)
    _execute(
        conn,
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
        warehouse.qualified(contract.name),
        names,
        names,
        staged,
        where,
    )


def _upsert(
    conn: Connection, batch: Batch, contract: Contract, days: Sequence[date] | None
) -> None:
    """Insert by key, or change what differs; a row whose content stands is not touched.

    Where a table keeps only the newest version of a thing (`known_at` outside its key), an older
    version never overwrites a newer one, whichever run brings it.
    """
    where: pgsql.Composable = pgsql.SQL("true")
    if days is not None and contract.partition:
        where = pgsql.SQL("{} = ANY({}::date[])").format(
            pgsql.Identifier(contract.partition), pgsql.Literal(list(days))
        )
    fixed = set(contract.keys) | {column.name for column in contract.columns if column.keep}
    if contract.history:
        fixed.add("valid_to")
    changing = [name for name in contract.content if name not in fixed]
    if not changing:
        action: pgsql.Composable = pgsql.SQL("DO NOTHING")
    else:
        following = changing + [column.name for column in contract.columns if column.run]
        condition = pgsql.SQL("({}) IS DISTINCT FROM ({})").format(
            _pairs(changing, "t.{0}", ", "), _pairs(changing, "excluded.{0}", ", ")
        )
        if days is not None and contract.partition:
            # A row that stands on another day is replaced by a newer one alone: newer by the shop's stamp, or
            # by the batch where the shop has none.
            newer = pgsql.SQL(
                "NOT EXISTS (SELECT 1 FROM ops.publications AS p WHERE p.table_name = {} "
                "AND p.partition = t.{} AND p.token > {})"
            ).format(
                pgsql.Literal(contract.name),
                pgsql.Identifier(contract.partition),
                pgsql.Literal(batch.token),
            )
            if "known_at" in contract.content:
                newer = pgsql.SQL(
                    "CASE WHEN coalesce(excluded.known_at, t.known_at) IS NULL THEN {} ELSE {} END"
                ).format(newer, pgsql.SQL(newest.first(contract, "excluded", "t")))
            condition += pgsql.SQL(" AND (t.{day} = ANY({days}::date[]) OR {newer})").format(
                day=pgsql.Identifier(contract.partition),
                days=pgsql.Literal(list(days)),
                newer=newer,
            )
        if contract.write == "upsert" and "known_at" in changing:
            condition += pgsql.SQL(" AND excluded.known_at >= t.known_at")
        action = pgsql.SQL("DO UPDATE SET {} WHERE {}").format(
            _pairs(following, "{0} = excluded.{0}", ", "), condition
        )
    names = _list(contract.column_names)
    _execute(
        conn,
        "INSERT INTO {} AS t ({}) SELECT {} FROM {} WHERE {} ON CONFLICT ({}) {}",
        warehouse.qualified(contract.name),
        names,
        names,
        _staged(batch, contract),
        where,
        _list(contract.keys),
        action,
    )


def _close_versions(conn: Connection, batch: Batch, contract: Contract, key: list[str]) -> None:
    """valid_to of each version is the next one's valid_from, for the keys the batch touched."""
    _execute(
        conn,
        """
        UPDATE {target} AS t SET valid_to = v.next_from
        FROM (
            SELECT {primary}, lead(valid_from) OVER (
                PARTITION BY {key} ORDER BY valid_from, known_at
            ) AS next_from
            FROM {target} AS h
            WHERE EXISTS (SELECT 1 FROM {staged} AS s WHERE {same_key})
        ) AS v
        WHERE {same_row} AND t.valid_to IS DISTINCT FROM v.next_from
        """,
        target=warehouse.qualified(contract.name),
        staged=_staged(batch, contract),
        primary=_list(contract.keys),
        key=_list(key),
        same_key=_pairs(key, "s.{0} = h.{0}", " AND "),
        same_row=_pairs(contract.keys, "v.{0} = t.{0}", " AND "),
    )


def _record(conn: Connection, batch: Batch, contract: Contract) -> None:
    """Note what stands now for each of the batch's days, and which batch it came from."""
    if contract.partition and contract.write != "upsert":
        per_day = pgsql.SQL(
            "SELECT {day} AS day, count(*) AS n FROM {table} WHERE {day} BETWEEN {lo} AND {hi} GROUP BY 1"
        ).format(
            day=pgsql.Identifier(contract.partition),
            table=warehouse.qualified(contract.name),
            lo=pgsql.Literal(batch.since),
            hi=pgsql.Literal(batch.as_of),
        )
    else:
        per_day = pgsql.SQL("SELECT {day}::date AS day, count(*) AS n FROM {table}").format(
            day=pgsql.Literal(batch.as_of), table=_staged(batch, contract)
        )
    first = batch.since if contract.partition and contract.write != "upsert" else batch.as_of
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL("WITH counted AS ({})").format(per_day)
            + pgsql.SQL(
                """
                INSERT INTO ops.publications AS p
                    (table_name, partition, dataset, token, run_id, row_count, published_at)
                SELECT %(table)s, d::date, %(dataset)s, %(token)s, %(run_id)s, coalesce(n, 0), now()
                FROM generate_series(%(first)s::date, %(as_of)s::date, interval '1 day') AS d
                LEFT JOIN counted ON counted.day = d::date
                ON CONFLICT (table_name, partition) DO UPDATE SET
                    dataset = excluded.dataset, token = excluded.token, run_id = excluded.run_id,
                    row_count = excluded.row_count, published_at = excluded.published_at
                WHERE excluded.token >= p.token
                """
            ),
            batch.params | {"table": contract.name, "first": first},
        )


def _drop_older(conn: Connection, batch: Batch) -> None:
    """Published batches of the dataset are kept one deep, unfinished ones until their day is published.

    A gate builds again what is gone.
    """
    for (token,) in warehouse.rows(
        conn,
        """
        SELECT token FROM ops.batches
        WHERE dataset = %(dataset)s AND staged AND token <> %(token)s
            AND (published_at IS NOT NULL OR (as_of = %(as_of)s AND token < %(token)s))
        """,
        batch.params,
    ):
        _execute(conn, "DROP SCHEMA IF EXISTS {} CASCADE", pgsql.Identifier(f"stage_{token}"))
        warehouse.execute(
            conn, "UPDATE ops.batches SET staged = false WHERE token = %(token)s", {"token": token}
        )


def content_hash(
    conn: Connection, contract: Contract, where: str = "true", params: Any = None
) -> str:
    """A hash of a table's content that depends neither on the order of rows nor on the runs."""
    if not contract.content:
        raise BadInput(f"Expected content columns in {contract.name}, found only run columns.")
    with conn.cursor() as cursor:
        cursor.execute(
            pgsql.SQL(
                "SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0) "
                "FROM {} WHERE "
            ).format(_list(contract.content), warehouse.qualified(contract.name))
            + pgsql.SQL(where),
            params,
        )
        (found,) = cursor.fetchone() or ("",)
    return str(found)


def _staged(batch: Batch, contract: Contract) -> pgsql.Composed:
    return warehouse.qualified(batch.table(contract))


def _list(names: Sequence[str]) -> pgsql.Composed:
    return pgsql.SQL(", ").join(map(pgsql.Identifier, names))


def _pairs(names: Sequence[str], template: str, joint: str) -> pgsql.Composed:
    """A template for each name, joined: `s.{0} = t.{0} AND ...`."""
    return pgsql.SQL(joint).join(
        pgsql.SQL(template).format(pgsql.Identifier(name)) for name in names
    )


def _execute(
    conn: Connection, template: str, *parts: pgsql.Composable, **named: pgsql.Composable
) -> None:
    with conn.cursor() as cursor:
        cursor.execute(pgsql.SQL(template).format(*parts, **named))
