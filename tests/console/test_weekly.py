"""The weekly report: what marketing would forward, from what marketing may read."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from include.console import outreach_charts
from include.errors import BadInput
from include.launcher import cli
from include.reports import weekly
from tests.conftest import TestServer
from tests.console import sample

SECRET = "4477-the-customer"


@pytest.fixture(scope="module")
def written(warehouse: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from include.warehouse import connect

    with connect() as conn:
        sample.fill(conn)
        for segment, now, then in (("vip", 402, 398), ("lost", 268, 251)):
            sample.insert(
                conn,
                "marketing.segment_summary",
                as_of=sample.DAY,
                segment=segment,
                customers=now,
                customers_before=then,
                entered=20,
                left_for_others=16,
                value_total=1234,
                value_share=0.5,
                currency="USD",
                horizon_days=91,
            )
        for number in range(3):
            sample.insert(
                conn,
                "marketing.segment_changes",
                as_of=sample.DAY,
                external_id=f"{SECRET}{number}",
                segment_from="vip_at_risk",
                segment_to="vip",
            )
        # More ways to move than the table shows: all of them are counted.
        for number in range(14):
            sample.insert(
                conn,
                "marketing.segment_changes",
                as_of=sample.DAY,
                segment_from=f"former_{number}",
                segment_to="lost",
            )
        sample.publication(conn, "marketing.segment_changes", sample.DAY, "scores", 3, sample.NOW)
        sample.insert(
            conn,
            "marketing.coupon_triggers",
            external_id=SECRET,
            campaign="welcome",
            status="redeemed",
            redeemed_on=sample.DAY - timedelta(days=2),
            discount_given=7.5,
            coupon_code="SECRET-CODE",
        )
        sample.insert(
            conn,
            "marketing.coupon_triggers",
            campaign="welcome",
            status="redeemed",
            redeemed_on=sample.DAY - timedelta(days=9),
            discount_given=1000,
            coupon_code="OF-THE-WEEK-BEFORE",
        )
    path = tmp_path_factory.mktemp("weekly") / "week.html"
    weekly.write(path)
    return path


def test_the_week_is_told_in_figures(written: Path) -> None:
    text = " ".join(written.read_text().split())
    assert "25 Sep 2017 to 1 Oct 2017" in text
    assert "670 customers, expected to spend 2,468 USD in the next 91 days." in text
    assert "17 of them changed segment in the week." in text
    assert "Coupons redeemed: 1, which took off 7.50 USD." in text
    assert "All campaigns together: the verdict of all campaigns." in text
    assert "<td>vip at risk</td><td>vip</td>" in text
    assert text.count("<td>former ") == 11, "the largest twelve are shown"
    assert "211 messages of Sunday, 1 October 2017 asked for approval: waiting." in text
    assert re.search(r"budget spent \d", text)


def test_it_names_no_customer_and_needs_no_network(written: Path) -> None:
    text = re.sub(r"<script.*?</script>", "", written.read_text(), flags=re.DOTALL)
    assert SECRET not in text
    assert "SECRET-CODE" not in text
    assert not re.findall(r'(?:src|href)="(?!#)([^"]+)"', text)
    assert "url(" not in text


def test_it_draws_its_charts_from_the_file_alone(written: Path, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 390, "height": 800}, offline=True).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(written.as_uri())
        expect(page.locator(".plot").first).to_be_visible()
        expect(page.locator(".plot:not(:has(svg.main-svg))")).to_have_count(0, timeout=60_000)
        assert page.locator(".plot").count() == 4
        needed, there = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        browser.close()
    assert faults == []
    assert needed <= there


def test_a_warehouse_without_segments_is_one_sentence(
    server: TestServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    urls = server.create("warehouse", "weekly_empty")
    try:
        for name, url in urls.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", url)
        with pytest.raises(BadInput, match="Expected a published day with segments"):
            weekly.write(tmp_path / "x.html")
    finally:
        server.drop("weekly_empty")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_knows_it() -> None:
    options = cli.parser().parse_args(["report", "--weekly", "w.html"])
    assert options.weekly
    assert options.path == Path("w.html")


def test_a_week_without_anything_sent_says_so() -> None:
    quiet = weekly.Week(sample.DAY, "USD", 91, [], [], [], {}, [], [], [])
    assert "No message was sent." in weekly.headline(quiet)


def test_a_colour_stands_for_one_campaign_and_nothing_is_left_out() -> None:
    few = {sample.DAY: {f"campaign_{n}": 10 - n for n in range(5)}}
    many = {sample.DAY: {f"campaign_{n}": 20 - n for n in range(11)}}
    for found, names in (
        (few, [f"campaign {n}" for n in range(5)]),
        (many, [*(f"campaign {n}" for n in range(4)), "others"]),
    ):
        bars = outreach_charts.sent_per_day(found)["data"]
        assert [bar["name"] for bar in bars] == names
        assert len({bar["marker"]["color"] for bar in bars}) == len(bars)
        assert sum(sum(bar["y"]) for bar in bars) == sum(found[sample.DAY].values())
