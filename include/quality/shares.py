"""Which share of a table's money was set aside: above what the policy allows, nothing is published.

`ingest.set_aside` names two shares, one to tell and one to stop. Older states of a row that a newer one took
the place of are no loss, and amounts that cannot be true were never money: neither counts. Of few rows one is
a large share, so they only warn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from include import contracts, policy, warehouse
from include.contracts import Contract
from include.publication import Batch
from include.quality import accounts
from include.quality.results import Result
from include.warehouse import Connection

#: Of fewer rows than this a few are a large share: they only warn.
LEAST_ROWS = 100

#: Reasons that say of the amount itself that it is none, or in a unit that nobody knows.
NO_AMOUNT = r"^(superseded$|absurd_|too_large_|not_a_number_|missing_rate$|unknown_currency$)"


@dataclass(frozen=True)
class Reason:
    """Rows set aside for one reason, the first that each of them has."""

    name: str
    rows: int
    money: Decimal


def checks(conn: Connection, batch: Batch, tables: Sequence[Contract]) -> list[Result]:
    """One result for each table of the batch with money."""
    kept = {
        table: (rows, aside, money)
        for table, rows, aside, money in warehouse.rows(
            conn,
            "SELECT table_name, extracted, quarantined, published_money FROM ops.row_counts "
            "WHERE token = %(token)s AND published_money IS NOT NULL",
            batch.params,
        )
    }
    return [
        _result(contract, *kept[contract.name], _reasons(conn, batch, contract))
        for contract in tables
        if contract.name in kept
    ]


def _reasons(conn: Connection, batch: Batch, contract: Contract) -> list[Reason]:
    """Why money of a table was set aside, the most first."""
    quarantine = batch.table(contracts.load("quarantine", "rejected_rows"))
    found = warehouse.rows(
        conn,
        f"""
        SELECT reason, {accounts.sums("amount")}
        FROM (
            SELECT q.reasons[1] AS reason, abs({accounts.amount(contract)}) AS amount
            FROM {quarantine} AS q,
                jsonb_populate_record(NULL::{batch.table(contract)}, q.payload)
            WHERE q.table_name = %(table)s
                AND NOT EXISTS (SELECT 1 FROM unnest(q.reasons) AS r (reason) WHERE r.reason ~ %(no_amount)s)
        ) AS set_aside
        GROUP BY reason
        """,
        {"table": contract.name, "no_amount": NO_AMOUNT},
    )
    reasons = [Reason(reason, rows, money) for reason, rows, money, _ in found]
    return sorted(reasons, key=lambda one: (-one.money, -one.rows, one.name))


def _result(
    contract: Contract, rows: int, aside: int, published: Decimal, reasons: Sequence[Reason]
) -> Result:
    limits = policy.load().ingest.set_aside
    lost = sum((reason.money for reason in reasons), Decimal(0))
    whole = lost + max(published, Decimal(0))
    share = float(lost / whole) if whole else 0.0
    stops = share > limits.stop and rows >= LEAST_ROWS
    allowed = limits.stop if stops else limits.warn
    main = f", most of it as {reasons[0].name} ({reasons[0].money:,})" if reasons else ""
    return Result(
        contract.name, "money_published", "critical" if stops else "warning", share <= limits.warn,
        f"{share:.4f}", aside, rows,
        f"Expected at most {allowed:.1%} of the money of {contract.name} to be set aside "
        f"(ingest.set_aside.{'stop' if stops else 'warn'}), found {share:.2%}, {lost:,} of {whole:,}, in "
        f"{aside} of {rows} rows{main}: mend the source or the rule.",
    )  # fmt: skip
