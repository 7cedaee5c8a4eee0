"""From `core` to features of a business day, and to what happened after a past one."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import (
    as_of,
    contracts,
    policy,
    publication,
    warehouse,
)
from include.contracts import Contract
from include.quality import switched_off
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def build(run: Mapping[str, Any]) -> dict[str, Any]:
    """Stage every features table as of the run's day; the batch and the rows of each table."""
    day = run["as_of"]
    counts: dict[str, int] = {}
    # A load with history builds the features of its own day only: those of a past day are rebuilt
    # from `core` whenever a model asks for them.
    with publication.new_batch("features", dict(run) | {"since": day}) as (conn, batch):
        for contract in contracts.of_dataset("features"):
            table = publication.stage(conn, batch, contract)
            names = ", ".join(contract.content)
            statement = warehouse.sql(f"features/{contract.table}")
            counts[contract.table] = warehouse.execute(
                conn,
                f"INSERT INTO {table} ({names}) SELECT {_columns(contract)} "
                f"FROM ({statement}) AS built",
                parameters(day),
            )
            if empty := switched_off.columns(contract):
                log.info(
                    "Left empty in %s, as their sources are off in the policy: %s",
                    contract.name,
                    ", ".join(f"{column} ({source})" for column, source in empty.items()),
                )
            log.info("Built %s rows of %s", f"{counts[contract.table]:,}", contract.name)
    return batch.as_dict() | {"rows": counts}


def _columns(contract: Contract) -> str:
    """The columns to select: empty, and not 0, where nothing is known of them."""
    empty = switched_off.columns(contract)
    return ", ".join(
        f"NULL::{contract.column(name).type} AS {name}" if name in empty else name
        for name in contract.content
    )


def parameters(day: str) -> dict[str, Any]:
    """What the features' SQL is told about a business day: the day, its last moment, the zone."""
    timezone = policy.load().shop.timezone
    _, end = as_of.window(day, day, timezone)
    return {"as_of": day, "end": end, "timezone": timezone}


def customers(conn: Connection, day: str) -> "pd.DataFrame":
    """`features.customer_features` as of any past day, rebuilt from `core`, ordered by customer."""
    statement = warehouse.sql("features/customer_features")
    return _ordered(conn, "customer_features", statement, "customer_id", day)


def products(conn: Connection, day: str) -> "pd.DataFrame":
    """`features.product_features` as of any past day, rebuilt from `core`, ordered by product."""
    statement = warehouse.sql("features/product_features")
    return _ordered(conn, "product_features", statement, "product_id", day)


def published_customers(conn: Connection, day: str) -> "pd.DataFrame":
    """The published rows of `features.customer_features`, ordered by customer."""
    contract = contracts.load("features", "customer_features")
    return warehouse.frame(
        conn,
        f"SELECT {', '.join(contract.content)} FROM {contract.name} "
        "WHERE as_of = %(as_of)s ORDER BY customer_id",
        {"as_of": day},
    )


def generated(table: str = "customer_features") -> tuple[str, ...]:
    """The feature columns that stand on generated rows: no model may learn from them."""
    contract = contracts.load("features", table)
    return tuple(column.name for column in contract.columns if column.generated)


def outcomes(conn: Connection, cut: str, horizon_days: int, asked_on: str) -> "pd.DataFrame":
    """What each customer did in the days after a cut: `queries/training/customer_outcomes.sql`.

    Parameters
    ----------
    cut
        The last day before those that count.
    horizon_days
        How many days count.
    asked_on
        The day at whose end it is asked; what was corrected later is not known. The caller sees to it that
        the days have passed: `cut` + `horizon_days` <= `asked_on`.
    """
    return warehouse.frame(
        conn,
        warehouse.sql("queries/training/customer_outcomes"),
        {
            "as_of": cut,
            "horizon_days": horizon_days,
            "known_before": parameters(asked_on)["end"],
        },
    )


def spend(conn: Connection, day: str, weeks: int) -> "pd.DataFrame":
    """What each customer spent in the last weeks up to a day: `queries/training/spend.sql`."""
    return warehouse.frame(
        conn, warehouse.sql("queries/training/spend"), parameters(day) | {"weeks": weeks}
    )


def _ordered(conn: Connection, table: str, statement: str, key: str, day: str) -> "pd.DataFrame":
    contract = contracts.load("features", table)
    return warehouse.frame(
        conn,
        f"SELECT {_columns(contract)} FROM ({statement}) AS built ORDER BY {key}",
        parameters(day),
    )
