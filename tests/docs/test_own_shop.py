"""docs/own-shop.md is followed to the letter: another shop, other tables, SQL alone."""

import re
from pathlib import Path

import psycopg2
import pytest
import yaml

from include import contracts, policy, warehouse
from include.errors import BadInput
from include.steps import gate, ingest
from include.warehouse import ROOT

PAGE = (ROOT / "docs" / "own-shop.md").read_text()

#: A shop that calls things by other names, and has no more than the page asks for.
TABLES = """
CREATE SCHEMA sales;
CREATE TABLE sales.accounts (id bigint PRIMARY KEY, given text, family text, born date,
    branch_id bigint, joined_at timestamptz, changed_at timestamptz);
CREATE TABLE sales.branches (id bigint PRIMARY KEY, area text, changed_at timestamptz);
CREATE TABLE sales.articles (id bigint PRIMARY KEY, title text, family text, changed_at timestamptz);
CREATE TABLE sales.orders (id bigint PRIMARY KEY, account_id bigint, branch_id bigint, web boolean,
    placed_at timestamptz, changed_at timestamptz);
CREATE TABLE sales.items (order_id bigint, place int, article_id bigint, pieces int, paid numeric);
INSERT INTO sales.branches VALUES (1, 'north', '2021-03-01 06:00+00');
INSERT INTO sales.articles SELECT n, 'Article ' || n, 'FOOD', '2021-03-01 06:00+00'
    FROM generate_series(1, 20) AS n;
INSERT INTO sales.accounts SELECT n, 'Ana', 'Sample', '1980-05-05', 1, '2021-03-01 08:00+00',
    '2021-03-01 08:00+00' FROM generate_series(1, 50) AS n;
INSERT INTO sales.orders SELECT n, 1 + n %% 50, 1, n %% 3 = 0,
    timestamptz '2021-03-01 09:00+00' + n * interval '30 minutes',
    timestamptz '2021-03-01 09:00+00' + n * interval '30 minutes' FROM generate_series(1, 400) AS n;
INSERT INTO sales.items SELECT n, p, 1 + (n + p) %% 20, 1 + p, 2.50 * (1 + p)
    FROM generate_series(1, 400) AS n, generate_series(1, 3) AS p;
""".replace("%%", "%")

WINDOW = "{0} >= %(start)s AND {0} < %(end)s"
DAY = "({} AT TIME ZONE %(timezone)s)::date AS _partition"


def selects() -> dict[str, str]:
    """The folder of SELECTs; that for orders is the page's own."""
    (orders,) = re.findall(r"```sql\n(-- Grain: one row per order .*?)```", PAGE, flags=re.DOTALL)
    changed = f"{DAY.format('changed_at')}"
    return {
        "_covered_days": """
            SELECT min((placed_at AT TIME ZONE %(timezone)s)::date),
                max((placed_at AT TIME ZONE %(timezone)s)::date)
            FROM sales.orders""",
        "orders": orders,
        "order_lines": f"""
            SELECT {DAY.format("o.placed_at")}, o.id::text, i.place, i.article_id::text, i.pieces,
                i.paid, 0, 0, 0, o.placed_at
            FROM sales.items AS i JOIN sales.orders AS o ON o.id = i.order_id
            WHERE {WINDOW.format("o.placed_at")}""",
        "customers": f"""
            SELECT {changed}, id::text, given, family, born::text, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, branch_id::text, NULL, joined_at, changed_at
            FROM sales.accounts WHERE {WINDOW.format("changed_at")}""",
        "stores": f"""
            SELECT {changed}, id::text, area, changed_at
            FROM sales.branches WHERE {WINDOW.format("changed_at")}""",
        "products": f"""
            SELECT {changed}, id::text, NULL, family, NULL, family, family, NULL, title, true, 0.3,
                changed_at
            FROM sales.articles WHERE {WINDOW.format("changed_at")}""",
    }


@pytest.fixture(scope="module")
def own_shop(
    warehouse: dict[str, str],
    shop: dict[str, str],
    module_env: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The steps of the page: the reader, the folder, the policy."""
    from include import warehouse as module

    owner = psycopg2.connect(shop["shop_owner"])
    try:
        with owner, owner.cursor() as cursor:
            cursor.execute(TABLES)
            cursor.execute("GRANT USAGE ON SCHEMA sales TO regulars_reader")
            cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA sales TO regulars_reader")
    finally:
        owner.close()

    root = tmp_path_factory.mktemp("sql")
    for folder in module.SQL_ROOT.iterdir():
        if folder.name != "extract":
            (root / folder.name).symlink_to(folder)
    folder = root / "extract" / "my_shop"
    folder.mkdir(parents=True)
    for name, text in selects().items():
        (folder / f"{name}.sql").write_text(text)

    rules = yaml.safe_load((ROOT / "config" / "policy.yml").read_text())
    (written,) = re.findall(r"```yaml\n(shop:.*?)```", PAGE, flags=re.DOTALL)
    rules |= yaml.safe_load(written)
    rules["models"]["anchor_start"] = rules["shop"]["opened_on"]
    have = set(selects())
    rules["ingest"]["sources"] = {name: name in have for name in rules["ingest"]["sources"]}
    path = root / "policy.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))

    module_env.setenv("REGULARS_POLICY", str(path))
    module_env.setattr(module, "SQL_ROOT", root)
    module_env.setattr(policy, "SOURCES", root / "extract")
    return folder


def test_page_lists_the_keys_of_the_shop_as_they_are() -> None:
    (written,) = re.findall(r"```yaml\n(shop:.*?)```", PAGE, flags=re.DOTALL)
    assert set(yaml.safe_load(written)["shop"]) == set(policy.Shop.model_fields)


def test_the_page_shows_the_mapping_of_returns_and_its_sources_as_they_are() -> None:
    from include.sources import file_mapping

    mapping = file_mapping.load("file_drop")
    (shown,) = re.findall(r"```yaml\ntables:\n(.*?)```", PAGE, flags=re.DOTALL)
    returns = yaml.safe_load(shown)["returns"]
    real = mapping.tables["returns"].model_dump(by_alias=True, exclude_none=True)
    assert returns == real
    (sources,) = re.findall(r"```yaml\n(customers: true.*?)```", PAGE, flags=re.DOTALL)
    assert set(yaml.safe_load(sources)) == set(mapping.tables)


def test_orders_of_the_page_have_the_columns_of_the_contract() -> None:
    named = re.findall(
        r"(?:AS )?(\w+),?\s*$", selects()["orders"].split("FROM sales")[0], flags=re.M
    )
    wanted = contracts.load("raw", "orders").content
    assert [name for name in named if name in wanted] == wanted


def test_own_shop_reaches_core_by_sql_alone(own_shop: Path) -> None:
    run = {"as_of": "2021-03-08", "since": "2021-03-01", "run_id": "own"}
    planned = ingest.plan(run)
    raw = ingest.extract(planned)
    gate.gate(raw, rebuild=ingest.extract)
    core = ingest.build_core(planned)
    counts = gate.gate(core, rebuild=ingest.build_core)
    assert counts["core.customers"] == 50
    with warehouse.connect() as conn:
        found = dict(
            warehouse.rows(conn, "SELECT channel, count(*)::int FROM core.orders GROUP BY channel")
        )
        lines = warehouse.rows(
            conn,
            "SELECT count(*)::int, count(DISTINCT customer_id)::int, sum(sales)::float FROM core.order_lines",
        )
        rejected = warehouse.value(conn, "SELECT count(*) FROM quarantine.rejected_rows")
    with warehouse.connect("shop") as shop:
        placed = warehouse.rows(
            shop,
            "SELECT count(*)::int, 3 * count(*)::int FROM sales.orders "
            "WHERE (placed_at AT TIME ZONE 'Europe/Berlin')::date <= '2021-03-08'",
        )
    orders, items = placed[0]
    assert sum(found.values()) == orders
    assert set(found) == {"web", "till"}
    assert lines[0][0] == items
    assert lines[0][1] == 50
    assert rejected == 0


def test_missing_column_names_the_file_to_change(own_shop: Path) -> None:
    path = own_shop / "stores.sql"
    before = path.read_text()
    warehouse.sql.cache_clear()
    path.write_text(before.replace("area", "district"))
    try:
        with pytest.raises(BadInput, match=r"extract/my_shop/stores\.sql.*district"):
            ingest.extract({"as_of": "2021-03-08", "since": "2021-03-08", "run_id": "own"})
    finally:
        path.write_text(before)
        warehouse.sql.cache_clear()
