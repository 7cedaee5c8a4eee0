"""What the tests share: one PostgreSQL of their own, and fresh databases for each module.

The server, its port and every folder are made for this run of the tests and removed after it.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg2
import pytest

from include import contracts, warehouse
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State

if TYPE_CHECKING:
    from benchmarks._mariadb import MariaDB

# Airflow writes its configuration where it is imported first: never into somebody's home.
_OWN_AIRFLOW = "AIRFLOW_HOME" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ
if _OWN_AIRFLOW:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="regulars-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).resolve().parent.parent / "dags")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["GX_ANALYTICS_ENABLED"] = "false"

#: What the tests may lose when the machine stops.
CARELESS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "150",
}

#: The tests' own key, so that pseudonyms are the same in every run.
PSEUDONYM_KEY = "7e57" * 16

PREFIX = "regulars-tests-"

_numbers = itertools.count(1)


def pytest_unconfigure() -> None:
    """Remove Airflow's folder, if it was made here."""
    if _OWN_AIRFLOW:
        shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole chain first: it takes longest, and the other tests run beside it on another core."""
    items.sort(key=lambda item: ("e2e" not in item.path.parts, item.path.stem != "test_chain"))


@dataclass(frozen=True)
class TestServer:
    """A server with the roles, and one template to copy for each kind of database."""

    __test__ = False

    server: Server
    passwords: dict[str, str]

    def create(self, kind: str, name: str) -> dict[str, str]:
        """A fresh database of a kind (`warehouse`, `shop`); connection name -> address."""
        with databases.admin(self.server.admin_url()) as conn:
            databases.make_database(conn, kind, name, template=kind)
        return databases.addresses(self.server.admin_url(), self.passwords, {kind: name})

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with databases.admin(self.server.admin_url()) as conn:
            databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """The tests' own PostgreSQL, with every role and the two templates."""
    remove_abandoned()
    state = State(Path(tempfile.gettempdir()) / f"{PREFIX}{os.getpid()}")
    try:
        with Server(state, CARELESS).use() as running:
            passwords = {role: state.secret(role) for role in databases.ROLES}
            urls = databases.prepare(running.admin_url(), passwords)
            fill_templates(urls)
            yield TestServer(running, passwords)
    finally:
        Server(state).remove()


def fill_templates(urls: dict[str, str]) -> None:
    """The tables of a warehouse and of a shop, without a row."""
    from include.demo_shop.load import create_schema

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_WAREHOUSE", urls["warehouse"])
        with warehouse.connect() as conn:
            contracts.migrate(conn)
    shop = psycopg2.connect(urls["shop_owner"])
    try:
        with shop, shop.cursor() as cursor:
            create_schema(cursor)
    finally:
        shop.close()


def remove_abandoned() -> None:
    """End and remove the servers of test runs that were killed: their names begin with their pid."""
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = home.name.removeprefix(PREFIX).partition("-")[0]
        gone = pid.isdecimal() and not psutil.pid_exists(int(pid))
        if gone and home.stat().st_uid == os.geteuid():
            with suppress(OSError):
                Server(State(home)).remove()


@pytest.fixture(scope="module")
def module_env() -> Iterator[pytest.MonkeyPatch]:
    """The environment of one module's tests, put back at its end."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def home(module_env: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder for one module, in REGULARS_HOME."""
    folder = tmp_path_factory.mktemp("home")
    module_env.setenv("REGULARS_HOME", str(folder))
    module_env.setenv("REGULARS_PSEUDONYM_KEY", PSEUDONYM_KEY)
    return folder


def _database(kind: str, server: TestServer, patch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    name = f"{kind}_{next(_numbers)}"
    urls = server.create(kind, name)
    for connection, url in urls.items():
        patch.setenv(f"AIRFLOW_CONN_{connection.upper()}", url)
    try:
        yield urls
    finally:
        server.drop(name)


@pytest.fixture(scope="module", name="warehouse")
def _warehouse(
    server: TestServer, home: Path, module_env: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """`include.warehouse.connect()` reaches a migrated, empty warehouse: its addresses by name."""
    yield from _database("warehouse", server, module_env)


@pytest.fixture(scope="module")
def shop(
    server: TestServer, home: Path, module_env: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """`include.warehouse.connect("shop")` reaches an empty shop; `shop_owner` may fill it."""
    yield from _database("shop", server, module_env)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's Chromium, for the browser tests."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.fail(
            "Expected Chromium for the browser tests, found none: install it (Debian: apt-get "
            "install chromium).",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="session")
def mariadb() -> Iterator["MariaDB"]:
    """The tests' own MariaDB, by the system's server."""
    from benchmarks import _mariadb

    if not _mariadb.program():
        pytest.fail(
            "Expected MariaDB for the tests of shops in MySQL, found none: install it (Debian: apt-get "
            "install mariadb-server; its own service need not run).",
            pytrace=False,
        )
    with _mariadb.serving() as running:
        yield running
