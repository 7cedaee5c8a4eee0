"""Which return takes back which pieces of which order."""

import datetime as dt
from decimal import Decimal

import pytest

from include.publication.cancellations import Event, match

START = dt.datetime(2017, 3, 1, 9, 0, tzinfo=dt.UTC)


def bought(order: str, pieces: int, day: int = 0, hour: int = 0, product: str = "p") -> Event:
    at = START + dt.timedelta(days=day, hours=hour)
    return Event("c", product, at, at.date(), Decimal(pieces), order, 1, None)


def returned(
    number: str, pieces: int, day: int = 0, hour: int = 0, order: str | None = None
) -> Event:
    at = START + dt.timedelta(days=day, hours=hour)
    return Event("c", "p", at, at.date(), Decimal(pieces), order, None, number)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([bought("o1", 5), returned("r1", 5, hour=1)], [("r1", "o1", 5)], id="whole"),
        pytest.param([bought("o1", 5), returned("r1", 2, hour=1)], [("r1", "o1", 2)], id="in part"),
        pytest.param([bought("o1", 5), returned("r1", 7, hour=1)], [("r1", "o1", 5)], id="more than bought"),
        pytest.param([returned("r1", 5), bought("o1", 5, hour=1)], [], id="before it was bought"),
        pytest.param([bought("o1", 5), returned("r1", 5, day=7)], [("r1", "o1", 5)], id="on the last day"),
        pytest.param([bought("o1", 5), returned("r1", 5, day=8)], [], id="a day late"),
        pytest.param(
            [bought("o1", 5), bought("o2", 5, hour=1), returned("r1", 5, hour=2)],
            [("r1", "o2", 5)], id="the nearest",
        ),
        pytest.param(
            [bought("o1", 5), bought("o2", 3, hour=1), returned("r1", 5, hour=2)],
            [("r1", "o1", 5)], id="the one with as many pieces",
        ),
        pytest.param(
            [bought("o1", 5), bought("o2", 3, hour=1), returned("r1", 4, hour=2)],
            [("r1", "o2", 3), ("r1", "o1", 1)], id="the nearest, then the next",
        ),
        pytest.param(
            [bought("o1", 5), bought("o2", 5, hour=1), returned("r1", 5, hour=2, order="o1")],
            [("r1", "o1", 5)], id="the one that it names",
        ),
        pytest.param(
            [bought("o1", 5), returned("r1", 3, hour=1), returned("r2", 3, hour=2)],
            [("r1", "o1", 3), ("r2", "o1", 2)], id="two returns of one line",
        ),
    ],
)  # fmt: skip
def test_a_return_takes_back(events, expected):
    found = list(match(events, 7))
    assert [(r, order, int(pieces)) for r, order, _, pieces, _ in found] == expected


def test_of_another_product_nothing_is_taken_back():
    assert list(match([bought("o1", 5, product="other"), returned("r1", 5, hour=1)], 7)) == []


def test_a_return_of_an_order_that_stands_cancels_no_other():
    """Milk of three weeks ago is brought back the day after milk was bought again."""
    old = returned("r1", 5, day=20, order="o1")
    old.names_order = True
    assert list(match([bought("o1", 5), bought("o2", 5, day=19), old], 7)) == []
