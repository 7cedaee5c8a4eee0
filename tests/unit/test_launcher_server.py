"""The embedded server: made, started, killed, started again; its roles and what they may not do."""

import json
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from include.errors import BadInput, Unreachable
from include.launcher.servers import databases
from include.launcher.servers import postgresql as server_module
from include.launcher.servers.connections import embedded
from include.launcher.servers.postgresql import SYSTEM_FOLDER, Server, postmaster
from include.launcher.servers.state import State

PASSWORDS = {role: f"secret of {role}/@:?" for role in databases.ROLES}


@pytest.fixture(scope="module")
def state() -> Iterator[State]:
    folder = Path(tempfile.gettempdir()) / f"regulars-tests-{os.getpid()}-server"
    found = State(folder)
    yield found
    Server(found).remove()


@pytest.fixture
def running(state: State) -> Iterator[Server]:
    with Server(state).use() as server:
        yield server


def ask(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


def refused(url: str, statement: str) -> bool:
    try:
        ask(url, statement)
    except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction):
        return True
    return False


def test_it_listens_on_the_loopback_alone_and_wants_a_password(running: Server):
    assert ask(running.admin_url(), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(running.admin_url(), "SHOW unix_socket_directories") == ""
    assert ask(running.admin_url(), "SHOW jit") == "off"
    assert str(ask(running.admin_url(), "SHOW server_version")).startswith("18.")
    methods = ask(
        running.admin_url(), "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    )
    assert methods == "scram-sha-256"
    wrong = f"postgresql://postgres:wrong@127.0.0.1:{running.port}/postgres"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask(wrong, "SELECT 1")
    assert stat.S_IMODE(running.data.stat().st_mode) == 0o700


def test_root_runs_it_under_a_user_of_its_own(running: Server):
    owner = running.data.stat().st_uid
    assert owner != 0
    if os.geteuid() != 0:
        assert owner == os.geteuid()


def test_it_lives_as_long_as_somebody_uses_it(state: State):
    with Server(state).use() as first:
        with Server(state).use() as second:
            assert second.port == first.port
        assert first.is_up()
        assert not Server(state).stop_unused()
        assert first.is_up()
    assert not first.is_up()
    assert postmaster(first.data) is None


def test_users_at_once_share_one_start(state: State):
    ports: list[int] = []
    together = threading.Barrier(3)

    def use() -> None:
        with Server(state).use() as server:
            ports.append(server.port)
            ask(server.admin_url(), "SELECT 1")
            together.wait(30)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ports) == 3
    assert len(set(ports)) == 1
    assert not Server(state).is_up()


def test_what_was_committed_stands_after_kill_9_of_the_postmaster(running: Server):
    ask(running.admin_url(), "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    pid = postmaster(running.data)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    running.start()
    assert postmaster(running.data) not in (pid, None)
    assert ask(running.admin_url(), "SELECT count(*) FROM kept") == 1000
    ask(running.admin_url(), "DROP TABLE kept")


def test_a_taken_port_is_chosen_anew_and_every_address_follows(state: State):
    with embedded(state) as before:
        port = Server(state).port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with embedded(state) as after:
            assert after != before
            assert Server(state).port != port
            assert ask(after["warehouse"], "SELECT current_user") == "regulars_etl"
    kept = json.loads((state.home / "connections.json").read_text())
    assert kept == after
    for name in ("connections.json", "pgpass", "pseudonym.key", "secrets.json"):
        assert stat.S_IMODE((state.home / name).stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another user")
def test_the_data_stand_elsewhere_where_the_servers_user_cannot_pass(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Server(State(closed / "state"))
    try:
        with server.use():
            assert server.data.is_relative_to(SYSTEM_FOLDER)
            assert ask(server.admin_url(), "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        data = server.data
        with Server(State(closed / "state")).use() as again:
            assert again.data == data
    finally:
        server.remove()
    assert not data.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another user")
def test_the_programs_are_copied_where_the_servers_user_cannot_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    closed = tmp_path / "closed" / "site-packages"
    package = server_module.installed_binaries().parents[1]
    shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18")
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, closed / libraries)
    closed.parent.chmod(0o700)
    theirs = Path(f"/var/lib/regulars-tests-{os.getpid()}")
    monkeypatch.setattr(server_module, "SYSTEM_FOLDER", theirs)
    binaries = closed / package.name / "pginstall18" / "bin"
    monkeypatch.setattr(server_module, "installed_binaries", lambda: binaries)
    before = os.umask(0o077)
    try:
        with Server(State(closed.parent / "state")).use() as server:
            assert server.binary("postgres").startswith(str(theirs))
            assert server.data.is_relative_to(theirs)
            assert ask(server.admin_url(), "SELECT 1") == 1
        server.remove()
    finally:
        os.umask(before)
        shutil.rmtree(theirs, ignore_errors=True)
    assert stat.S_IMODE(closed.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server under another user")
def test_a_state_folder_that_was_removed_leaves_no_old_cluster_in_the_way(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "state"
    with Server(State(home)).use() as first:
        ask(first.admin_url(), "CREATE TABLE old (n integer)")
        # The folder and its secrets go while the server runs.
        for path in home.iterdir():
            path.unlink()
        second = Server(State(home))
        with second.use():
            assert second.data == SYSTEM_FOLDER / second.data.parent.name / "postgres"
            assert ask(second.admin_url(), "SELECT to_regclass('old')") is None
    second.remove()


def test_a_cluster_whose_place_was_forgotten_is_found_again(running: Server):
    ask(running.admin_url(), "CREATE TABLE found AS SELECT 1 AS n")
    (running.state.home / "server.json").unlink()
    running.stop_unused()
    running.start()
    assert ask(running.admin_url(), "SELECT n FROM found") == 1
    ask(running.admin_url(), "DROP TABLE found")


def test_a_server_that_cannot_start_says_why(tmp_path: Path):
    folder = Path(tempfile.mkdtemp(prefix="regulars-tests-", dir=tempfile.gettempdir()))
    folder.chmod(0o711)
    server = Server(State(folder), {"shared_buffers": "nonsense"})
    try:
        with pytest.raises(Unreachable, match=r"(?s)embedded PostgreSQL to start.*shared_buffers"):
            server.start()
    finally:
        server.remove()


def test_preparing_twice_changes_nothing_and_passwords_may_hold_anything(running: Server):
    first = databases.prepare(running.admin_url(), PASSWORDS)
    assert databases.prepare(running.admin_url(), PASSWORDS) == first
    assert set(first) == set(databases.CONNECTIONS)
    for name, (role, database) in databases.CONNECTIONS.items():
        assert ask(first[name], "SELECT current_user || ' ' || current_database()") == (
            f"{role} {database}"
        )


def test_each_role_may_do_its_work_and_no_more(running: Server):
    urls = databases.prepare(running.admin_url(), PASSWORDS)
    ask(urls["shop_owner"], "CREATE TABLE IF NOT EXISTS orders (n integer)")
    assert ask(urls["shop"], "SELECT count(*) FROM orders") == 0
    assert refused(urls["shop"], "INSERT INTO orders VALUES (1)")
    assert refused(urls["shop"], "CREATE TABLE mine (n integer)")
    writing = "BEGIN; SET TRANSACTION READ WRITE; {}"
    assert refused(urls["shop"], writing.format("INSERT INTO orders VALUES (1)"))
    ask(urls["warehouse"], "CREATE SCHEMA IF NOT EXISTS core")
    ask(urls["warehouse"], "CREATE TABLE IF NOT EXISTS core.orders (n integer)")
    for name in ("warehouse_marketing", "warehouse_console"):
        assert refused(urls[name], "SELECT * FROM core.orders")
        assert refused(urls[name], writing.format("CREATE SCHEMA mine"))
        assert refused(urls[name], writing.format("CREATE TABLE public.mine (n integer)"))
        assert refused(urls[name], "CREATE TEMPORARY TABLE mine (n integer)")
    for role in databases.ROLES:
        assert (
            ask(
                running.admin_url(),
                "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
                f"FROM pg_roles WHERE rolname = '{role}'",
            )
            is False
        )


@pytest.mark.parametrize("role", ["regulars_marketing", "regulars_console", "regulars_reader"])
def test_a_reader_reaches_its_own_database_only(running: Server, role: str):
    databases.prepare(running.admin_url(), PASSWORDS)
    own = {database for owner, database in databases.CONNECTIONS.values() if owner == role}
    for database in {"airflow", "shop", "warehouse", "postgres", "template1"} - own:
        url = databases.address(running.admin_url(), role, PASSWORDS[role], database)
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            ask(url, "SELECT 1")


def test_a_missing_password_is_named(running: Server):
    with pytest.raises(BadInput, match="found none for regulars_etl"):
        databases.prepare(running.admin_url(), {**PASSWORDS, "regulars_etl": ""})


def test_a_wrong_administrator_is_told_where_without_the_password(running: Server):
    url = f"postgresql://postgres:hush@127.0.0.1:{running.port}/postgres"
    with pytest.raises(Unreachable, match=r"at 127\.0\.0\.1:\d+ as its administrator") as caught:
        databases.prepare(url, PASSWORDS)
    assert "hush" not in str(caught.value)


def test_no_statement_or_row_reaches_the_log(running: Server):
    urls = databases.prepare(running.admin_url(), PASSWORDS)
    ask(urls["warehouse"], "CREATE SCHEMA IF NOT EXISTS core")
    ask(urls["warehouse"], "CREATE TABLE IF NOT EXISTS core.people (name text PRIMARY KEY)")
    ask(urls["warehouse"], "INSERT INTO core.people VALUES ('Ada Example') ON CONFLICT DO NOTHING")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        ask(urls["warehouse"], "INSERT INTO core.people VALUES ('Ada Example')")
    assert "Ada Example" not in running.log_tail(1000)
