"""Where the extracted rows of a table went, and the money in them.

Extracted = published + set aside + duplicates, in both. What a row is worth is said by its contract
(`money`). Each amount is rounded to what the published table holds before it is added, so that the sums agree
to the penny. One that is no number, or so large that no table holds it, is counted as not added and stands
for 0 everywhere: a single absurd amount spoils no sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from include import warehouse
from include.contracts import Contract
from include.publication import Batch
from include.warehouse import Connection

#: Amounts from here on are not added: no column of money holds them, and ten million below it fit the sum.
TOO_LARGE = 10**10


@dataclass(frozen=True)
class Part:
    """Some rows of a table: how many, their gross, and how many amounts were not added."""

    rows: int
    money: Decimal = Decimal(0)
    not_added: int = 0

    def __add__(self, other: "Part") -> "Part":
        return Part(
            self.rows + other.rows, self.money + other.money, self.not_added + other.not_added
        )


@dataclass(frozen=True)
class Counts:
    """Where the extracted rows of one table went; money is gross, None in a table without."""

    extracted: int
    published: int
    quarantined: int
    duplicates: int
    extracted_money: Decimal | None = None
    published_money: Decimal | None = None
    quarantined_money: Decimal | None = None
    duplicates_money: Decimal | None = None
    not_added: int | None = None


def amount(contract: Contract) -> str:
    """SQL for what a row of the staged table is worth; NULL in a table without money."""
    return f"({contract.money})" if contract.money else "NULL::numeric"


def sums(name: str) -> str:
    """SQL aggregates, in the order of `Part`, over rows whose column `name` is their `amount`."""
    fits = f"abs({name}) < {TOO_LARGE}"
    return (
        f"count(*), coalesce(sum(round({name}, 2)) FILTER (WHERE {fits}), 0), "
        f"count(*) FILTER (WHERE {name} IS NOT NULL AND NOT {fits})"
    )


def part(
    conn: Connection, rows: str, params: Mapping[str, Any] | None = None, by: str = ""
) -> Part:
    """The rows that a statement gives in one column `amount`; it may change data and return them.

    Parameters
    ----------
    by
        Common table expressions that it reads.
    """
    count, money, not_added = warehouse.rows(
        conn,
        f"WITH {by + ', ' if by else ''}found AS ({rows}) SELECT {sums('amount')} FROM found",
        params,
    )[0]
    return Part(int(count), money, int(not_added))


def store(
    conn: Connection, batch: Batch, contract: Contract, extracted: Part, parts: Mapping[str, Part]
) -> Counts:
    """Keep where the rows went in ops.row_counts.

    Parameters
    ----------
    parts
        `published`, `quarantined` and `duplicates`.
    """
    money = {
        name: found.money if contract.money else None
        for name, found in {"extracted": extracted, **parts}.items()
    }
    counts = Counts(
        extracted=extracted.rows,
        published=parts["published"].rows,
        quarantined=parts["quarantined"].rows,
        duplicates=parts["duplicates"].rows,
        extracted_money=money["extracted"],
        published_money=money["published"],
        quarantined_money=money["quarantined"],
        duplicates_money=money["duplicates"],
        not_added=extracted.not_added if contract.money else None,
    )
    names = list(counts.__dict__)
    warehouse.execute(
        conn,
        f"""
        INSERT INTO ops.row_counts (token, table_name, as_of, since, run_id, {", ".join(names)})
        VALUES (%(token)s, %(table)s, %(as_of)s, %(since)s, %(run_id)s,
            {", ".join(f"%({name})s" for name in names)})
        ON CONFLICT (token, table_name) DO UPDATE SET
            {", ".join(f"{name} = excluded.{name}" for name in names)}
        """,
        batch.params | {"table": contract.name} | counts.__dict__,
    )
    return counts
