"""Batches: a schema of its own for each, under a token that says which of two is the newer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from psycopg2 import sql as pgsql

from include import contracts, policy, warehouse
from include.contracts import Contract
from include.publication.locks import lock_opening
from include.publication.statements import execute
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
    lock_opening(conn, dataset)
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
    execute(conn, "CREATE SCHEMA {}", pgsql.Identifier(batch.schema))
    return batch


@contextmanager
def new_batch(dataset: str, run: Mapping[str, Any]) -> Iterator[tuple[Connection, Batch]]:
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


def claim_day(conn: Connection, batch: Batch) -> int:
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


def mark_of_other_days(conn: Connection, batch: Batch) -> str:
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
    execute(conn, "{}", pgsql.SQL("; ").join(statements))
    return table


def _filled_by_the_engine(contract: Contract, batch: Batch) -> dict[str, pgsql.Composable]:
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
