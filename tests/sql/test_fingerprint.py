"""Two warehouses are the same to a reader: their tables' hashes say so, and say so of nothing else."""

import re
from collections.abc import Iterator

import pytest

from include import warehouse
from include.errors import BadInput
from include.offers.codes import new_code
from include.publication.fingerprint import CODE, Fingerprint, fingerprints
from include.warehouse import Connection

LINE = (
    "INSERT INTO ml.drift (as_of, measure, feature, value, limit_at, is_beyond, model_version, n, run_id, "
    "updated_at) VALUES ('2017-10-01', 'psi', %(feature)s, %(value)s, 0.2, false, %(version)s, 9, %(run)s, "
    "clock_timestamp())"
)


@pytest.fixture
def conn(warehouse: dict[str, str]) -> Iterator[Connection]:
    from include.warehouse import connect

    with connect() as made:
        yield made


def drift(conn: Connection, **omit: str) -> Fingerprint:
    left_out = {"ml.drift": list(omit.items())} if omit else None
    return next(f for f in fingerprints(conn, ["ml"], left_out) if f.table == "ml.drift")


def fill(conn: Connection, *rows: tuple[str, str, float, str]) -> Fingerprint:
    warehouse.execute(conn, "TRUNCATE ml.drift")
    for version, feature, value, run in rows:
        values = {"version": version, "feature": feature, "value": value, "run": run}
        warehouse.execute(conn, LINE, values)
    return drift(conn)


def test_content_counts_and_neither_order_nor_run_nor_version(conn: Connection) -> None:
    first = fill(conn, ("a", "one", 0.1, "r1"), ("a", "two", 0.2, "r1"))
    assert first.rows == 2
    assert fill(conn, ("b", "two", 0.2, "r2"), ("b", "one", 0.1, "r2")) == first
    assert fill(conn, ("a", "one", 0.1, "r1"), ("a", "two", 0.3, "r1")).hash != first.hash
    assert fill(conn, ("a", "one", 0.1, "r1")).hash != first.hash


def test_rows_of_a_text_can_be_left_out(conn: Connection) -> None:
    fill(conn, ("a", "one", 0.1, "r1"), ("a", "two", 0.2, "r1"))
    less = drift(conn, feature="two")
    assert less == fill(conn, ("a", "one", 0.1, "r1"))


def test_an_unknown_schema_or_table_is_named(conn: Connection) -> None:
    with pytest.raises(BadInput, match="attic"):
        list(fingerprints(conn, ["attic"]))
    with pytest.raises(BadInput, match=r"ml\.attic"):
        list(fingerprints(conn, ["ml"], {"ml.attic": [("a", "b")]}))


def test_a_coupon_code_is_known_by_its_looks() -> None:
    assert all(re.fullmatch(CODE, new_code()) for _ in range(50))
    assert not re.search(CODE, "88ac58e7-a8f1-5113-856d-966e4d0de200")
