"""Segments and deciles of the customers, and what they are expected to be worth."""

from dataclasses import dataclass
from datetime import date

from include import warehouse
from include.warehouse import Connection


@dataclass(frozen=True)
class Segment:
    """A segment of the newest day. Value is predicted spend over the policy's horizon."""

    name: str
    customers: int
    high_value: int
    predicted_value: float
    mean_probability: float | None
    #: The 5th, 25th, 50th, 75th and 95th percentile of predicted value.
    spread: list[float]


@dataclass(frozen=True)
class Decile:
    """Customers in order of predicted value, in tenths; 1 is the best."""

    decile: int
    customers: int
    predicted_value: float
    low: float | None
    high: float | None


def segments(conn: Connection, day: date | None) -> list[Segment]:
    """The day's segments, the most valuable first."""
    return [
        Segment(str(name), int(number), int(high), float(value or 0), probability, spread or [])
        for name, number, high, value, probability, spread in warehouse.rows(
            conn,
            """
            SELECT segment, count(*), count(*) FILTER (WHERE value_tier = 'high'),
                sum(predicted_value), avg(p_high_value)::double precision,
                percentile_cont(ARRAY[0.05, 0.25, 0.5, 0.75, 0.95])
                    WITHIN GROUP (ORDER BY predicted_value::double precision)
            FROM marketing.customer_segments
            WHERE as_of = %(day)s
            GROUP BY segment
            ORDER BY sum(predicted_value) DESC NULLS LAST, segment
            """,
            {"day": day},
        )
    ]


def deciles(conn: Connection, day: date | None) -> list[Decile]:
    """Predicted value by decile with the mean of its interval's ends."""
    return [
        Decile(int(decile), int(number), float(value or 0), low, high)
        for decile, number, value, low, high in warehouse.rows(
            conn,
            """
            SELECT value_decile, count(*), avg(predicted_value),
                avg(predicted_value_low)::double precision,
                avg(predicted_value_high)::double precision
            FROM marketing.customer_segments
            WHERE as_of = %(day)s AND value_decile IS NOT NULL
            GROUP BY value_decile
            ORDER BY value_decile
            """,
            {"day": day},
        )
    ]


def currency(conn: Connection, day: date | None) -> str:
    """The currency of the segments' money, or an empty text."""
    found = warehouse.value(
        conn,
        "SELECT max(currency) FROM marketing.customer_segments WHERE as_of = %(day)s",
        {"day": day},
    )
    return str(found or "")
