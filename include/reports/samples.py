"""A few rows of each marketing table for the report, of columns that do not say who a customer is."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from include import warehouse
from include.contracts import Contract
from include.warehouse import Connection

#: Rows of each table that are shown.
SAMPLE_ROWS = 5

#: Columns that are shown; none of them says who a customer is.
SHOWN = {
    "customer_segments": "segment lifecycle predicted_value p_high_value churn_probability "
    "expected_next_order_date reason_1",
    "product_recommendations": "list rank name source reason",
    "recommendation_lists": "list products candidates why_short",
    "decisions": "campaign offer channel decision decision_reason cost_expected "
    "expected_incremental_value",
    "coupon_triggers": "campaign offer_title channel valid_until send_not_before status",
    "budget_use": "budget amount spent price expected_gain gain_bound gap",
    "control_members": "scope is_member share",
    "messages": "campaign channel copy_source send_not_before send_not_after status",
    "segment_summary": "segment customers customer_share value_total value_share entered "
    "left_for_others",
    "segment_changes": "segment_from segment_to",
    "stock_priorities": "priority_rank region name action units_high_value units_other on_hand "
    "p_run_out units_to_reserve units_reducible cost_of_running_out reason",
    "approvals": "as_of reason messages cost_expected expected_incremental_value status",
    "campaign_results": "campaign people_treated people_control lift lift_low lift_high verdict",
}


@dataclass(frozen=True)
class Sample:
    """A few rows of a table: those of its first keys, which are pseudonyms, so nearly any."""

    name: str
    description: str
    row_count: int
    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]


def sample(conn: Connection, contract: Contract) -> Sample:
    """A few rows of a marketing table's newest day."""
    source = f"marketing.current_{contract.table}" if contract.current else contract.name
    chosen = [contract.column(name) for name in SHOWN[contract.table].split()]
    names = ", ".join(f'"{column.name}"' for column in chosen)
    keys = ", ".join(f'"{name}"' for name in contract.keys)
    return Sample(
        name=contract.name,
        description=contract.description,
        row_count=int(warehouse.value(conn, f"SELECT count(*) FROM {source}")),
        columns=[column.name for column in chosen],
        numeric=[
            column.type.startswith(("numeric", "integer", "bigint", "smallint", "double"))
            for column in chosen
        ],
        rows=[
            [in_full(cell) for cell in row]
            for row in warehouse.rows(
                conn, f"SELECT {names} FROM {source} ORDER BY {keys} LIMIT {SAMPLE_ROWS}"
            )
        ],
    )


def in_full(value: Any) -> str:
    """A value with all its thousands and decimals, as a table in a report shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return str(value)
