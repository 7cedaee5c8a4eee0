"""What features and labels are, worked out by hand: given rows and expected rows of `tests/sql/tables`."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import contracts, warehouse
from include.errors import BadInput
from include.steps import features, gate
from tests.sql import cases, mutants

#: The tables with cases, and their statements: `include/sql/<statement>.sql`.
STATEMENTS = {
    "customer_features": "features/customer_features",
    "product_features": "features/product_features",
    "customer_outcomes": "queries/training/customer_outcomes",
}

#: What tells the rows of a case apart.
KEYS = {
    "customer_features": ("customer_id",),
    "product_features": ("product_id",),
    "customer_outcomes": ("customer_id",),
}

pytestmark = pytest.mark.usefixtures("warehouse")

CASES = [(table, case) for table in STATEMENTS for case in cases.of_table(table)]

LINES = "AND l.business_day <= %(as_of)s::date + %(horizon_days)s::integer"

#: One thing wrong that changes no row.
EQUIVALENT = {
    # Without an order, and with the first one on the day, one day was observed.
    "k.business_day <= %(as_of)s::date: '<=' -> '<'",
    # NULL joins nobody.
    "AND n.customer_id IS NOT NULL: 'AND n.customer_id IS NOT NULL' -> ''",
    # A line stands on the day of its order, which is limited.
    "l.business_day > %(as_of)s::date: '>' -> '>='",
    f"{LINES}: '' -> ' + 7'",
    f"{LINES}: '' -> ' + 1'",
    f"{LINES}: '{LINES}' -> ''",
}


def sql(table: str) -> str:
    return warehouse.sql(STATEMENTS[table])


def types_of(table: str) -> dict[str, str]:
    """The columns that a table's statement gives, with the types of their values."""
    with warehouse.connect() as conn:
        columns, _ = cases.built(conn, sql(table), cases.of_table(table)[0])
        return {
            name: warehouse.value(conn, "SELECT format_type(%(code)s, NULL)", {"code": code})
            for name, code in columns.items()
        }


def survivors(table: str, wrong: list[tuple[str, str]]) -> list[str]:
    """Which of the wrong statements no case of the table notices."""
    alive = wrong
    for case in cases.of_table(table):
        with warehouse.connect() as conn:
            cases.plant(conn, case)
            # A few rows are joined in any order: to look for the best one takes longest.
            warehouse.execute(conn, "SET LOCAL jit = off; SET LOCAL join_collapse_limit = 1")
            alive = [mutant for mutant in alive if not noticed(conn, table, mutant[1], case)]
            conn.rollback()
    return [name for name, _ in alive]


def noticed(conn: warehouse.Connection, table: str, statement: str, case: cases.Case) -> bool:
    """Whether a statement gives other rows than the case expects."""
    return cases.differences(cases.built(conn, statement, case)[1], case, KEYS[table]) != []


def read(table: str, folder: Path) -> None:
    for case in cases.of_table(table, folder):
        cases.check_columns(case, list(types_of(table)))


@pytest.mark.parametrize(("table", "case"), CASES, ids=[case.name for _, case in CASES])
def test_rows_are_as_expected(table: str, case: cases.Case):
    cases.check_columns(case, list(types_of(table)))
    with warehouse.connect() as conn:
        cases.plant(conn, case)
        _, rows = cases.built(conn, sql(table), case)
        conn.rollback()
    assert cases.differences(rows, case, KEYS[table]) == []


@pytest.mark.parametrize("table", STATEMENTS)
def test_a_column_without_its_expression_is_noticed(table: str):
    wrong = list(mutants.without_columns(sql(table), types_of(table)))
    assert len(wrong) == len(types_of(table)) > 0
    assert survivors(table, wrong) == []


@pytest.mark.parametrize("table", STATEMENTS)
def test_one_thing_wrong_is_noticed(table: str):
    wrong = list(mutants.of(sql(table)))
    assert len(wrong) > len(types_of(table))
    assert [name for name in survivors(table, wrong) if name not in EQUIVALENT] == []


@pytest.mark.parametrize(
    ("table", "right", "wrong"),
    [
        (
            "customer_outcomes",
            "AND o.business_day <= %(as_of)s::date + %(horizon_days)s::integer",
            "AND o.business_day <= %(as_of)s::date + %(horizon_days)s::integer + 7",
        ),
        ("customer_features", "s.retail_discount_cents_13w::", "-s.retail_discount_cents_13w::"),
        ("customer_features", "s.coupon_discount_cents_13w::", "-s.coupon_discount_cents_13w::"),
        ("product_features", "s.discount_cents_13w::", "-s.discount_cents_13w::"),
    ],
    ids=["a label a week longer", "retail discounts", "coupon discounts", "a product's discounts"],
)
def test_a_longer_label_and_a_flipped_sign_are_noticed(table, right, wrong):
    assert sql(table).count(right) == 1
    assert survivors(table, [(wrong, sql(table).replace(right, wrong))]) == []


@pytest.mark.parametrize(
    ("table", "key", "run_id"),
    [("customer_features", "customer_id", "run 1"), ("product_features", "product_id", "run 2")],
)
def test_the_published_rows_are_these_and_carry_their_run(table, key, run_id):
    (case,) = (case for case in cases.of_table(table) if case.name.endswith("/windows"))
    contract = contracts.load("features", table)
    day = str(case.parameters["as_of"])
    with warehouse.connect() as conn:
        for given in case.given:
            warehouse.execute(conn, f"TRUNCATE {given}")
        cases.plant(conn, case)
    before = datetime.now(UTC)
    gate.gate(features.build({"as_of": day, "run_id": run_id}), rebuild=features.build)
    with warehouse.connect() as conn:
        found = [
            dict(zip(contract.column_names, row, strict=True))
            for row in warehouse.rows(
                conn,
                f"SELECT {', '.join(contract.column_names)} FROM {contract.name} WHERE as_of = %(day)s",
                {"day": day},
            )
        ]
        for given in case.given:
            warehouse.execute(conn, f"TRUNCATE {given}")
    assert set(case.expected[0]) | {"run_id", "updated_at"} == set(contract.column_names)
    assert {row["run_id"] for row in found} == {run_id}
    assert all(before <= row["updated_at"] <= datetime.now(UTC) for row in found)
    assert cases.differences(found, case, (key,)) == []


@pytest.mark.parametrize("table", ["customer_features", "product_features"])
def test_a_statement_gives_the_columns_of_its_contract(table: str):
    contract = contracts.load("features", table)
    assert list(types_of(table).items()) == [
        (name, contract.column(name).type) for name in contract.content
    ]


@pytest.mark.parametrize("table", STATEMENTS)
def test_every_part_of_a_statement_is_read(table: str):
    folder = warehouse.SQL_ROOT / STATEMENTS[table]
    code = mutants.without_comments(sql(table))
    for part in folder.glob("*.sql"):
        assert re.search(rf"\b(FROM|JOIN) {part.stem} AS\b", code), (
            f"Expected {part.name} to be read in {STATEMENTS[table]}, found that nothing reads it: "
            "join it, or remove the file."
        )


def test_every_folder_of_cases_has_a_statement():
    assert sorted(STATEMENTS) == sorted(path.name for path in cases.FOLDER.iterdir())


def without(name: str) -> Callable[[Path], None]:
    """A copy of a case without some of its files."""

    def spoil(case: Path) -> None:
        for file in case.glob(name):
            file.unlink()

    return spoil


def of_nobody(case: Path) -> None:
    file = case / "expected.yml"
    file.write_text(file.read_text().replace("\n  orders: 1\n", "\n"))


def of_more(case: Path) -> None:
    file = case / "expected.yml"
    file.write_text(file.read_text().replace("\n  orders: 1\n", "\n  orders: 1\n  order: 1\n"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without("*"), "Expected given rows in tests/sql/tables/customer_outcomes/windows/, found none"),
        (
            without("parameters.yml"),
            "Expected tests/sql/tables/customer_outcomes/windows/parameters.yml, found none",
        ),
        (
            without("expected.yml"),
            "Expected tests/sql/tables/customer_outcomes/windows/expected.yml, found none",
        ),
        (shutil.rmtree, "Expected a case of customer_outcomes in tests/sql/tables/customer_outcomes/"),
        (of_nobody, "Expected a value of orders in every row of tests/sql/tables/customer_outcomes/"),
        (of_more, "Expected the statement's columns in tests/sql/tables/customer_outcomes/windows/"),
    ],
)  # fmt: skip
def test_an_incomplete_case_is_refused_with_what_is_missing(tmp_path, spoil, said):
    folder = tmp_path / "tables"
    shutil.copytree(
        cases.FOLDER / "customer_outcomes/windows", folder / "customer_outcomes/windows"
    )
    spoil(folder / "customer_outcomes/windows")
    with pytest.raises(BadInput, match=re.escape(said)):
        read("customer_outcomes", folder)
