"""A connection that does not work is one sentence: expected, found, what to do; never a password."""

import re
from urllib.parse import urlsplit

import pytest

from include import warehouse
from include.errors import BadInput, Unreachable
from include.launcher.servers.state import free_port


def answer(name: str = "shop") -> str:
    with pytest.raises(Unreachable) as caught, warehouse.connect(name):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda url: re.sub(r":\d+/", f":{free_port()}/", url), "Connection refused"),
        (
            lambda url: re.sub(r":[^:@/]+@", ":not-the-secret@", url),
            "password authentication failed",
        ),
        (lambda url: re.sub(r"/\w+$", "/nowhere", url), 'database "nowhere" does not exist'),
        (lambda url: re.sub(r"//\w+:", "//nobody:", url), "password authentication failed"),
    ],
    ids=["no server", "wrong password", "no such database", "no such role"],
)
def test_what_is_wrong_with_a_connection_is_said(shop, monkeypatch, spoil, found):
    address = spoil(shop["shop"])
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", address)
    sentence = answer()
    assert "Expected to reach the connection 'shop'" in sentence
    assert found in sentence
    assert "AIRFLOW_CONN_SHOP" in sentence
    assert urlsplit(address).password not in sentence


def test_an_unknown_connection_says_how_to_add_it(home, monkeypatch):
    monkeypatch.setattr(warehouse, "_airflow", lambda name: None)
    with pytest.raises(BadInput, match="AIRFLOW_CONN_ELSEWHERE"):
        warehouse.url("elsewhere")


def test_the_address_of_any_driver_is_understood(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgresql+psycopg2://a:b@h:1/d")
    assert warehouse.url("shop") == "postgresql://a:b@h:1/d"


def test_a_failed_transaction_leaves_nothing(request):
    request.getfixturevalue("warehouse")

    def half_done() -> None:
        with warehouse.connect() as conn:
            warehouse.execute(conn, "CREATE TABLE ops.half (a integer)")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half_done()
    with warehouse.connect() as conn:
        assert warehouse.value(conn, "SELECT to_regclass('ops.half')") is None


def test_a_server_that_is_gone_does_not_hide_what_went_wrong(request):
    request.getfixturevalue("warehouse")

    def cut_short() -> None:
        with warehouse.connect() as conn:
            own = warehouse.value(conn, "SELECT pg_backend_pid()")
            with warehouse.connect() as other:
                warehouse.execute(other, "SELECT pg_terminate_backend(%(pid)s)", {"pid": own})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cut_short()


def test_a_copy_whose_source_fails_says_so_and_keeps_nothing(request, shop):
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        warehouse.execute(conn, "CREATE TABLE ops.copied (a integer)")
    with (
        pytest.raises(Exception, match="division by zero"),
        warehouse.connect() as target,
        warehouse.connect("shop") as source,
    ):
        warehouse.copy_between(
            source,
            target,
            "SELECT 1 / (5000 - n) FROM generate_series(1, 9000) AS n",
            None,
            "ops.copied",
            ["a"],
        )
    with warehouse.connect() as conn:
        assert warehouse.value(conn, "SELECT count(*) FROM ops.copied") == 0


def test_frames_keep_their_types(request):
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        frame = warehouse.frame(
            conn,
            "SELECT 1 AS whole, 1.5::numeric AS part, true AS yes, DATE '2017-10-01' AS day, "
            "'' AS empty, NULL::text AS missing, TIMESTAMPTZ '2017-10-01 04:00+00' AS stamp, %(x)s AS given",
            {"x": "it's"},
        )
    row = frame.iloc[0]
    assert (row["whole"], row["part"], bool(row["yes"])) == (1, 1.5, True)
    assert row["empty"] == ""
    assert row.isna()["missing"]
    assert str(row["day"].date()) == "2017-10-01"
    assert row["stamp"].hour == 4
    assert row["given"] == "it's"
