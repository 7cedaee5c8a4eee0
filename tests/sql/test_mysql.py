"""What a MySQL or MariaDB server holds is read as it is meant, or refused in one sentence."""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from benchmarks._mariadb import PASSWORD, READER, MariaDB
from include import contracts, warehouse
from include.errors import BadInput, Unreachable
from include.launcher.servers.state import free_port
from include.sources import shop as sources
from include.sources.mysql import server
from include.sources.mysql import source as mysql
from tests.sql.small_shop import found

START, END = datetime(2017, 3, 1, tzinfo=UTC), datetime(2017, 4, 1, tzinfo=UTC)

#: A text that means something to COPY, to CSV and to SQL.
HARD = 'tab\t, line\nend\r, \\N \\. "quoted", it\'s ,, 🍰 ﬁ'

TABLES = """
CREATE TABLE things (id bigint unsigned PRIMARY KEY, old varchar(40) CHARACTER SET latin1,
    three varchar(40) CHARACTER SET utf8mb3, full text CHARACTER SET utf8mb4,
    kind enum('a', 'ü') CHARACTER SET latin1, doc json,
    flag tinyint(1), one bit(1), many bit(12), price decimal(12, 4), ratio double, bytes blob,
    whole int, at datetime(6), moment timestamp NULL, day date) ENGINE = InnoDB;
SET time_zone = '+00:00';
"""


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.fixture(scope="module")
def base(mariadb: MariaDB, warehouse, module_env, tmp_path_factory) -> MariaDB:
    """A database with one table of every type, and a folder of SELECTs to be written."""
    from include import warehouse as module

    mariadb.run(f"CREATE DATABASE things CHARACTER SET latin1; USE things; {TABLES}")
    root = tmp_path_factory.mktemp("sql")
    (root / "extract" / "my_shop").mkdir(parents=True)
    for folder in module.SQL_ROOT.iterdir():
        if folder.name != "extract":
            (root / folder.name).symlink_to(folder)
    module_env.setattr(module, "SQL_ROOT", root)
    module_env.setenv("AIRFLOW_CONN_SHOP", mariadb.url("things", "?prefix=th"))
    return mariadb


@pytest.fixture
def read(base: MariaDB) -> Callable[..., list[tuple[Any, ...]]]:
    """What a SELECT for a table of raw gives, in the order of its first column but one."""
    base.run("DELETE FROM things", "things")

    def run(
        table: str, select: str, zone: str = "Europe/Berlin", **hooks: Any
    ) -> list[tuple[Any, ...]]:
        path = warehouse.SQL_ROOT / "extract" / "my_shop" / f"{table}.sql"
        path.write_text(select)
        warehouse.sql.cache_clear()
        contract = contracts.load("raw", table)
        with warehouse.connect() as target, mysql.opened("my_shop", zone, sources.FUTURE) as shop:
            warehouse.execute(target, f"CREATE TABLE ops.copied (LIKE raw.{table})")
            warehouse.execute(
                target, "ALTER TABLE ops.copied ALTER COLUMN _partition DROP NOT NULL"
            )
            try:
                shop.begin(target, "ops", END)
                hooks.get("after_begin", lambda: None)()
                count = shop.copy(contract, hooks.get("start", START), END, "ops.copied")
                names = ", ".join(contract.content)
                rows = warehouse.rows(target, f"SELECT {names} FROM ops.copied ORDER BY 2")
                assert count == len(rows)
                return rows
            finally:
                target.rollback()

    return run


#: A SELECT for raw.reviews of which one column is put in.
REVIEWS = (
    "SELECT {day} AS _partition, {id} AS review_id, {customer} AS customer_number, 'p' AS product_number, "
    "{rating} AS rating, {body} AS body, {at} AS written_at FROM things WHERE {where}"
)


def reviews(**parts: str) -> str:
    usual = {
        "day": "at",
        "id": "id",
        "customer": "'c'",
        "rating": "5",
        "body": "full",
        "at": "at",
        "where": "TRUE",
    }
    return REVIEWS.format(**(usual | parts))


def test_texts_come_as_they_are_whatever_their_character_set(base, read, caplog):
    base.run(
        "INSERT INTO things (id, old, three, full, kind, doc, at) VALUES "
        f"(1, 'Müller', 'Łódź', {text(HARD)}, 'ü', '{{\"a\": \"é\"}}', '2017-03-05 12:00:00'), "
        "(2, '', NULL, 'nul\\0led', 'a', NULL, '2017-03-05 12:00:00')",
        "things",
    )
    with caplog.at_level(logging.WARNING):
        rows = read(
            "products",
            "SELECT at AS _partition, cast(id AS char) AS product_number, old, three, NULL AS brand, full, "
            "kind, doc, 'é' AS name, TRUE AS active, NULL AS unit_margin, at AS updated_at FROM things",
        )
    assert [row[2:9] for row in rows] == [
        ("Müller", "Łódź", None, HARD, "ü", '{"a": "é"}', "é"),
        ("", None, None, "nulled", "a", None, "é"),
    ]
    assert "products: 1 NUL characters were left out of texts." in caplog.text


def test_numbers_and_truths_come_as_they_are(base, read):
    base.run(
        "INSERT INTO things (id, flag, one, many, price, ratio, whole, at) VALUES "
        "(1, 1, b'1', 5, 12345678.1234, 0.1, 1, '2017-03-05'), (2, 0, b'0', 6, -1, 1e-300, 0, '2017-03-05'), "
        "(3, NULL, NULL, NULL, NULL, NULL, NULL, '2017-03-05'), (4, 2, b'1', 7, 0, 1e300, 1, '2017-03-05')",
        "things",
    )

    def column(truth: str, number: str) -> list[tuple[Any, Any]]:
        rows = read(
            "products",
            "SELECT at AS _partition, cast(id AS char) AS product_number, NULL AS a, NULL AS b, NULL AS c, "
            f"NULL AS d, NULL AS e, NULL AS f, NULL AS g, {truth} AS active, {number} AS unit_margin, "
            "at AS updated_at FROM things",
        )
        return [row[9:11] for row in rows]

    truths = [True, False, None, True]
    exact = [Decimal("12345678.1234"), -1, None, 0]
    assert column("flag", "price") == list(zip(truths, exact, strict=True))
    assert [number for _, number in column("one", "ratio")] == [
        Decimal("0.1"),
        Decimal("1e-300"),
        None,
        10**300,
    ]
    assert column("whole", "many + 0") == [(True, 5), (False, 6), (None, None), (True, 7)]
    with pytest.raises(
        BadInput, match=r"my_shop/products\.sql, found: invalid input syntax for type boolean"
    ):
        column("whole + 1", "price")


def test_a_stamp_is_utc_and_its_day_the_shops(base, read):
    # Berlin's clock goes to +02:00 on 26 March 2017 at 01:00 UTC, and is changed back after the window.
    base.run(
        "INSERT INTO things (id, at, moment) VALUES (1, '2017-03-25 22:59:59.5', '2017-03-25 22:59:59'), "
        "(2, '2017-03-25 23:00:00', '2017-03-25 23:00:00'), "
        "(3, '2017-03-26 21:59:59', '2017-03-26 21:59:59'), "
        "(4, '2017-03-26 22:00:00', '2017-03-26 22:00:00'), "
        "(5, '0000-00-00 00:00:00', NULL), (6, NULL, NULL), "
        "(7, '2017-03-00 10:00:00', NULL)",
        "things",
    )
    days = [
        date(2017, 3, 25),
        date(2017, 3, 26),
        date(2017, 3, 26),
        date(2017, 3, 27),
        None,
        None,
        None,
    ]
    stamps = [
        datetime(2017, 3, 25, 22, 59, 59, 500_000, tzinfo=UTC),
        datetime(2017, 3, 25, 23, tzinfo=UTC),
        datetime(2017, 3, 26, 21, 59, 59, tzinfo=UTC),
        datetime(2017, 3, 26, 22, tzinfo=UTC),
        None, None, None,
    ]  # fmt: skip
    rows = read("reviews", reviews())
    assert [(row[0], row[6]) for row in rows] == list(zip(days, stamps, strict=True))
    # A TIMESTAMP is kept with its zone: the server's own, five hours away, changes nothing.
    rows = read("reviews", reviews(day="moment", at="moment"))
    assert [row[0] for row in rows] == days
    assert rows[1][6] == stamps[1]
    # What is named as the shop's own time is read as such.
    rows = read(
        "reviews",
        reviews(day="at", at="at")
        .replace("AS _partition", "AS _partition_local")
        .replace("AS written_at", "AS written_at_local"),
    )
    assert [row[0] for row in rows] == [
        date(2017, 3, 25),
        date(2017, 3, 25),
        *[date(2017, 3, 26)] * 2,
        None,
        None,
        None,
    ]
    assert [rows[0][6], rows[3][6]] == [
        datetime(2017, 3, 25, 21, 59, 59, 500_000, tzinfo=UTC),
        datetime(2017, 3, 26, 20, tzinfo=UTC),
    ]
    # A SELECT may give the day itself, and what it converts.
    rows = read(
        "reviews", reviews(day="date(at)", at="convert_tz(at, '+02:00', '+00:00')", where="id = 4")
    )
    assert [(row[0], row[6]) for row in rows] == [
        (date(2017, 3, 26), datetime(2017, 3, 26, 20, tzinfo=UTC))
    ]


def test_windows_are_half_open_in_utc_and_names_get_their_prefix(base, read):
    base.run(
        "INSERT INTO things (id, at) VALUES (1, '2017-02-28 23:59:59'), (2, '2017-03-01'), "
        "(3, '2017-03-31 23:59:59'), (4, '2017-04-01'), (5, '0001-01-01'), (6, '9999-12-31 23:59:58')",
        "things",
    )
    select = reviews(where="at >= %(start)s AND at < %(end)s").replace("things", "%(prefix)sings")
    assert [row[1] for row in read("reviews", select)] == [2, 3]
    # The window begins and ends at midnight in UTC, an hour and two after that in Berlin.
    in_berlin = reviews(where="at >= %(local_start)s AND at < %(local_end)s")
    assert [row[1] for row in read("reviews", in_berlin)] == [3, 4]
    read("reviews", select)
    with mysql.opened("my_shop", "UTC", sources.FUTURE) as shop:
        contract = contracts.load("raw", "reviews")
        assert shop.holds(contract)
        (warehouse.SQL_ROOT / "extract/my_shop/_covered_days.sql").write_text(
            "SELECT '2017-03-01' + INTERVAL 0 DAY, cast('2017-03-31 23:30:00' AS datetime)"
        )
        with pytest.raises(BadInput, match="give days, or stamps in UTC, found str"):
            shop.covered()
        (warehouse.SQL_ROOT / "extract/my_shop/_covered_days.sql").write_text(
            "SELECT min(at), max(at) FROM things WHERE id BETWEEN 2 AND 3"
        )
        warehouse.sql.cache_clear()
        assert shop.covered() == (date(2017, 3, 1), date(2017, 3, 31))
        assert shop.outside(contract, START, END) == (3, date(1, 1, 1), date(9999, 12, 31))


def test_one_state_of_the_shop_is_read_whatever_happens_meanwhile(base, read):
    base.run("INSERT INTO things (id, at) VALUES (1, '2017-03-05')", "things")

    def happens() -> None:
        base.run(
            "INSERT INTO things (id, at) VALUES (2, '2017-03-05'); DELETE FROM things WHERE id = 1",
            "things",
        )

    assert [row[1] for row in read("reviews", reviews(), after_begin=happens)] == [1]
    assert [row[1] for row in read("reviews", reviews())] == [2]


def test_the_reader_may_not_write(base):
    with server.connect() as shop:
        shop.begin()
        with pytest.raises(pymysql.MySQLError, match="READ ONLY|command denied"):
            shop.rows("DELETE FROM things")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"rating": "old"}, "to give rating as integer, found text"),
        ({"rating": "price"}, "to give rating as integer, found decimal"),
        ({"body": "bytes"}, "to give body as text, found binary"),
        ({"body": "whole"}, "to give body as text, found int"),
        ({"at": "old"}, "to give written_at as timestamptz, found text"),
        ({"at": "day"}, "to give written_at as timestamptz, found date"),
        ({"day": "whole"}, "to give _partition as date, found int"),
        ({"rating": "5 AS more, 6"}, "the 7 columns of raw.reviews in their order, found 8"),
        ({"body": "words"}, "found: Unknown column 'words'"),
        ({"where": "EXISTS (SELECT 1 FROM nowhere)"}, r"found: Table 'things\.nowhere' doesn't exist"),
        ({"where": "nonsense(1)"}, "for routine 'things.nonsense'"),
        ({"where": "at >"}, "found: You have an error in your SQL syntax"),
        ({"id": "18446744073709551615"}, 'value "?...'),
        ({"where": "convert_tz(at, '+00:00', %(timezone)s) IS NOT NULL"}, "know the time zone Europe/Berlin"),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence_with_the_file(base, read, parts, said):
    base.run("INSERT INTO things (id, at) VALUES (1, '2017-03-05')", "things")
    with pytest.raises(BadInput, match=said) as refused:
        read("reviews", reviews(**parts))
    assert "include/sql/extract/my_shop/reviews.sql" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_row_beyond_the_servers_limit_is_refused_and_not_lost(base, read):
    base.run(
        "INSERT INTO things (id, at, full) VALUES (1, '2017-03-05', repeat('x', 40000))", "things"
    )
    assert len(read("reviews", reviews(body="repeat(full, 30)"))[0][5]) == 1_200_000
    base.run("SET GLOBAL max_allowed_packet = 1048576", "things")
    try:
        for body in ("repeat(full, 27)", "concat(repeat('x', 1048000), repeat('\"', 500))"):
            with pytest.raises(
                BadInput, match=r"my_shop/reviews\.sql, found: .*max_allowed_packet"
            ):
                read("reviews", reviews(body=body))
    finally:
        base.run("SET GLOBAL max_allowed_packet = 16777216", "things")


def test_what_the_server_could_not_convert_is_told(base, read, caplog):
    base.run("INSERT INTO things (id, at, full) VALUES (1, '2017-03-05', 'secret')", "things")
    with caplog.at_level(logging.WARNING):
        read("reviews", reviews(rating="cast(full AS signed)"))
    assert (
        "reviews.sql: the server warned 1 times, first: Truncated incorrect INTEGER value: '...'."
        in caplog.text
    )


def test_long_answers_come_whole(base, read):
    """Texts of every length that the protocol spells in its own way, over many blocks."""
    base.run("INSERT INTO things (id, at, full) VALUES (1, '2017-03-05', 'é')", "things")
    select = reviews(id="seq", body="repeat(full, seq * 7)").replace(
        "things WHERE", "things, seq_1_to_900 WHERE"
    )
    rows = read("reviews", select + " AND seq % 3 <> 0".replace("%", "%%"))
    assert [len(row[5]) for row in rows] == [n * 7 for n in range(1, 901) if n % 3]
    assert {*"".join(row[5] for row in rows)} == {"é"}


def test_new_columns_and_engines_without_transactions_are_told(base, read, caplog):
    base.run("CREATE TABLE drifting (id bigint, at datetime, full text) ENGINE = MyISAM", "things")
    select = reviews().replace("things", "drifting")

    def noted() -> list[str]:
        with warehouse.connect() as target, mysql.opened("my_shop", "UTC", sources.FUTURE) as shop:
            shop.begin(target, "ops", END)
            assert shop._tables is not None
            return shop._tables.note(target, select, "my_shop")

    with caplog.at_level(logging.WARNING):
        assert noted() == []
    assert "table drifting is kept by MyISAM, which knows no transactions" in caplog.text
    base.run(
        "ALTER TABLE drifting ADD COLUMN colour varchar(9), MODIFY id int, DROP COLUMN full",
        "things",
    )
    assert noted() == [
        "drifting has a new column colour",
        "drifting has lost its column full",
        "drifting.id has become int(11) from bigint(20)",
    ]
    assert found(
        "SELECT column_name, type FROM ops.source_columns WHERE relation = 'drifting' AND is_new"
    ) == [("colour", "varchar(9) latin1")]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda url: url.replace(url.split(":")[3].split("/")[0], str(free_port())),
            "Can't connect",
        ),
        (lambda url: url.replace("read%2Fonly", "not-it"), "Access denied for user"),
        (lambda url: url.replace("/things", "/nowhere"), "Unknown database 'nowhere'"),
    ],
    ids=["no server", "wrong password", "no such database"],
)
def test_what_is_wrong_with_an_address_is_said(base, monkeypatch, spoil, said):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", spoil(base.url("things")))
    with (
        pytest.raises(Unreachable, match="reach the connection 'shop'") as refused,
        server.connect(),
    ):
        pass
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "not-it" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("?prefx=wp_", "found prefx: take it out"),
        ("?prefix=wp_;%20x", "as the prefix of the tables"),
    ],
)
def test_an_address_holds_nothing_that_is_not_known(base, monkeypatch, options, said):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", base.url("things", options))
    with pytest.raises(BadInput, match=said), server.connect():
        pass


def test_a_session_that_is_ended_may_be_tried_again(base, read):
    def end() -> None:
        conn = base.connect()
        with conn.cursor() as cursor:
            cursor.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{READER}'")
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")
        conn.close()

    with pytest.raises(Unreachable, match="'shop' to last until the work was done") as cut:
        read("reviews", reviews(), after_begin=end)
    assert len(str(cut.value).splitlines()) == 1


def test_the_scheme_of_the_address_says_which_engine_it_is():
    for scheme in ("mysql", "mariadb", "mysql+pymysql"):
        assert sources.is_mysql(f"{scheme}://reader:x@shop.example/shop")
    assert not sources.is_mysql("postgresql://reader:x@shop.example/mysql")
