"""Somebody signs in to a real Airflow and opens *Today*, with eyes, keyboard and phone."""

import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect, sync_playwright

from include.launcher.servers.airflow import USER, Airflow
from include.launcher.servers.state import State
from tests.conftest import TestServer
from tests.console import sample

pytestmark = pytest.mark.browser

PATIENCE = 120


@dataclass(frozen=True)
class Site:
    """A running API server with its login."""

    url: str
    password: str


@pytest.fixture(scope="module")
def site(
    server: TestServer, warehouse: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Airflow's API server with the plugin, over a warehouse with three days in it."""
    from include.warehouse import connect

    with connect() as conn:
        sample.fill(conn)
    database = server.create("airflow", "browser_airflow")["airflow"]
    airflow = Airflow(State(tmp_path_factory.mktemp("airflow")), database)
    try:
        airflow.migrate()
        airflow.state.write("airflow_users.json", f'{{"{USER}": "{airflow.password}"}}')
        log = airflow.log("api-server")
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["airflow", "api-server"],
                env=airflow.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(airflow.url, process, log)
            yield Site(airflow.url, airflow.password)
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)
    finally:
        server.drop("browser_airflow")


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(f"{url}/api/v2/version", timeout=5):  # noqa: S310
                return
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.5)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@contextmanager
def visitor(
    browser: Browser, site: Site, *, width: int = 1280, height: int = 900, scheme: str = "light"
) -> Iterator[Page]:
    """A page of somebody who has signed in through Airflow's own form."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{site.url}/")
        page.locator("input[name=username]").fill(USER)
        page.locator("input[name=password]").fill(site.password)
        page.locator("button[type=submit]").click()
        page.wait_for_url(lambda url: "/auth/login" not in url)
        yield page
    finally:
        context.close()


def opened(page: Page, site: Site) -> Frame:
    """The frame of *Today* inside the Airflow UI, with its charts drawn."""
    page.goto(f"{site.url}/plugin/today")
    element = page.wait_for_selector("iframe[title=Today]")
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    frame.wait_for_selector("h1")
    drawn(frame)
    return frame


def drawn(place: Page | Frame) -> None:
    """Wait until every chart is drawn."""
    expect(place.locator(".plot").first).to_be_visible()
    expect(place.locator(".plot:not(:has(svg.main-svg))")).to_have_count(0, timeout=60_000)


def test_anonymous_visitor_gets_nothing(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    try:
        for path in ("/regulars/", "/regulars/static/plotly.min.js"):
            assert context.request.get(f"{site.url}{path}").status == 401
    finally:
        context.close()


def test_today_opens_from_the_navigation_and_draws_from_this_host_alone(
    browser: Browser, site: Site
) -> None:
    hosts: set[str | None] = set()
    faults: list[str] = []
    with visitor(browser, site) as page:
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.get_by_role("link", name="Today").first.click()
        page.wait_for_url("**/plugin/today")
        frame = opened(page, site)
        assert frame.inner_text("h1") == "Today"
        assert frame.locator(".plot svg.main-svg").count() >= 4
        for title in ("The chain", "Tables that marketing reads", "Data quality", "Decisions"):
            expect(frame.get_by_role("heading", name=title, exact=True)).to_be_visible()
    assert hosts <= {"127.0.0.1", None, ""}
    assert faults == []


def test_link_to_a_dag_leaves_the_frame(browser: Browser, site: Site) -> None:
    with visitor(browser, site) as page:
        opened(page, site).get_by_role("link", name="ingest").click()
        page.wait_for_url("**/dags/regulars_ingest**")
        assert page.main_frame.url.startswith(f"{site.url}/dags/regulars_ingest")


def test_page_follows_the_theme_of_airflow(browser: Browser, site: Site) -> None:
    backgrounds = []
    for theme in ("light", "dark"):
        with visitor(browser, site) as page:
            page.evaluate(f"localStorage.setItem('theme', '{theme}')")
            frame = opened(page, site)
            expect(frame.locator(f"html[data-theme={theme}]")).to_have_count(1)
            backgrounds.append(frame.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark = backgrounds
    assert light != dark


@pytest.mark.parametrize("width", [360, 390, 768])
def test_narrow_screen_needs_no_sideways_scrolling(
    browser: Browser, site: Site, width: int
) -> None:
    with visitor(browser, site, width=width, height=800) as page:
        page.goto(f"{site.url}/regulars/")
        drawn(page)
        needed, there = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert needed <= there


def test_keyboard_alone_reaches_the_content_and_every_link(browser: Browser, site: Site) -> None:
    with visitor(browser, site) as page:
        page.goto(f"{site.url}/regulars/")
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        assert page.evaluate(f"{focused}.className") == "skip"
        assert page.evaluate(f"{focused}.getBoundingClientRect().left") >= 0
        reached = set()
        for _ in itertools.repeat(None, 20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(f"{focused}.textContent.trim()"))
        assert {"ingest", "features", "models", "score", "activate", "deliver"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, site: Site, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 for every colour that words are set in."""
    with visitor(browser, site, scheme=scheme) as page:
        page.goto(f"{site.url}/regulars/")
        names = ("--ink", "--muted", "--accent", "--good", "--warn", "--bad", "--paper")
        style = "getComputedStyle(document.documentElement)"
        values = page.evaluate(f"{list(names)}.map(n => {style}.getPropertyValue(n).trim())")
    *inks, paper = (_luminance(value) for value in values)
    for name, ink in zip(names, inks, strict=False):
        light, dark = max(ink, paper), min(ink, paper)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def _luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
