"""Which stored model serves: the newest promoted one, of the recipe in force, unless one is pinned."""

import hashlib
import json
from typing import Any

import pytest

from include import warehouse
from include.errors import BadInput
from include.launcher.commands import models as command
from include.steps.training import champions
from include.warehouse import Connection

pytestmark = pytest.mark.usefixtures("warehouse")

KIND = "value"


@pytest.fixture
def conn(warehouse: dict[str, str]):
    from include.warehouse import connect

    with connect() as made:
        for table in ("ml.models", "ops.champion_pins"):
            made.cursor().execute(f"DELETE FROM {table}")
        yield made


def store(
    conn: Connection,
    version: str,
    anchor: str,
    *,
    promoted: bool = True,
    artefact: bytes | None = b"model",
    sealed: str | None = None,
    **manifest: Any,
) -> str:
    name = f"{KIND}-{anchor}-{version}"
    if sealed:
        manifest[champions.HASH] = sealed
    warehouse.execute(
        conn,
        """
        INSERT INTO ml.models
            (model_version, kind, anchor, algorithm, is_champion, manifest, metrics, artefact)
        VALUES (%(name)s, %(kind)s, %(anchor)s, 'blend', %(promoted)s, %(manifest)s, '{}', %(artefact)s)
        """,
        {
            "name": name,
            "kind": KIND,
            "anchor": anchor,
            "promoted": promoted,
            "manifest": json.dumps(manifest),
            "artefact": artefact,
        },
    )
    return name


def serves(conn: Connection, day: str = "2017-10-01", **asked: str) -> str | None:
    found = champions.serving(conn, KIND, day, **asked)
    return found.model_version if found else None


def test_before_the_first_one_nobody_serves(conn: Connection) -> None:
    store(conn, "a", "2017-10-08")
    assert serves(conn) is None
    with pytest.raises(BadInput, match="found none"):
        command._rollback(conn, command.parser().parse_args(["rollback"]))


def test_the_newest_promoted_model_at_or_before_the_day_serves(conn: Connection) -> None:
    old, new = store(conn, "a", "2017-09-24"), store(conn, "b", "2017-10-01")
    store(conn, "c", "2017-10-01", promoted=False)
    store(conn, "d", "2017-10-08")
    assert serves(conn) == new
    assert serves(conn, "2017-09-30") == old


def test_going_back_to_a_recipe_brings_its_model_back(conn: Connection) -> None:
    first = store(conn, "a", "2017-10-01", recipe="one")
    second = store(conn, "b", "2017-10-01", recipe="two")
    assert serves(conn, recipe="one") == first
    assert serves(conn, recipe="two") == second
    assert champions.standing(conn, KIND, "2017-10-01", "one") == first


def test_a_model_that_answers_another_question_is_the_last_resort(conn: Connection) -> None:
    asked = store(conn, "a", "2017-09-24", question="13 weeks")
    other = store(conn, "b", "2017-10-01", question="4 weeks")
    assert serves(conn, question="13 weeks") == asked
    assert serves(conn, question="a year") == other


def test_rollback_holds_whatever_is_trained_until_it_is_released(
    conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = store(conn, "a", "2017-09-24"), store(conn, "b", "2017-10-01")
    command._rollback(conn, command.parser().parse_args(["rollback", "--note", "odd scores"]))
    assert serves(conn) == old
    store(conn, "c", "2017-10-08")
    assert serves(conn, "2017-10-08") == old
    command._list(conn, command.parser().parse_args(["list"]))
    listed = states(conn, capsys)
    assert (listed[old], listed[new]) == ("pinned", "served")
    command._release(conn, command.parser().parse_args(["release"]))
    assert serves(conn) == new


def states(conn: Connection, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Version -> state, as `models list` prints them; each state is explained below the table."""
    capsys.readouterr()
    command._list(conn, command.parser().parse_args(["list"]))
    table, _, legend = capsys.readouterr().out.partition("\n\n")
    found = {line.split()[1]: line.split()[0] for line in table.splitlines()[1:]}
    explained = {line.partition(":")[0] for line in legend.splitlines()}
    assert explained == set(found.values())
    return found


def test_the_list_says_which_model_serves_and_what_became_of_the_others(
    conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    command._list(conn, command.parser().parse_args(["list"]))
    assert "No model was trained yet" in capsys.readouterr().out
    old, new = store(conn, "a", "2017-09-24"), store(conn, "b", "2017-10-01")
    lost = store(conn, "c", "2017-10-01", promoted=False)
    compared = store(conn, "d", "2017-10-01", promoted=False, artefact=None)
    assert states(conn, capsys) == {
        new: "serves", lost: "lost", compared: "compared", old: "served",
    }  # fmt: skip


def test_a_challenger_that_lost_can_be_pinned_and_one_without_a_model_cannot(
    conn: Connection,
) -> None:
    store(conn, "a", "2017-10-01")
    lost = store(conn, "b", "2017-10-01", promoted=False)
    compared = store(conn, "c", "2017-10-01", promoted=False, artefact=None)
    champions.pin(conn, KIND, lost, None)
    assert serves(conn) == lost
    with pytest.raises(BadInput, match="found none that is stored"):
        champions.pin(conn, KIND, compared, None)


def test_a_changed_file_is_not_loaded_and_the_one_before_serves(conn: Connection) -> None:
    good = store(conn, "a", "2017-09-24", sealed=hashlib.sha256(b"model").hexdigest())
    changed = store(conn, "b", "2017-10-01", sealed="of other bytes")
    with pytest.raises(BadInput, match="changed after training"):
        champions.artefact(conn, changed)
    found = champions.candidates(conn, KIND, "2017-10-01")
    loaded = champions.load(conn, found, lambda champion, stored: stored)
    assert loaded is not None
    assert (loaded[0].model_version, loaded[1]) == (good, b"model")


def test_where_nothing_can_be_read_nothing_is_loaded(conn: Connection) -> None:
    store(conn, "a", "2017-10-01")

    def refuse(champion: champions.Champion, stored: bytes) -> None:
        raise BadInput("not ours")

    assert champions.load(conn, champions.candidates(conn, KIND, "2017-10-01"), refuse) is None


def test_show_and_export_tell_what_a_model_is_made_of(
    conn: Connection, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    explained = {
        "coefficients": {
            "sales_13w": {
                "coefficient": 0.9,
                "low": 0.5,
                "high": 1.3,
                "odds_ratio": 2.46,
                "odds_ratio_low": 1.65,
                "odds_ratio_high": 3.67,
            }
        },
        "rules": ["recency_days <= 3: 80% of 100 rows"],
    }
    version = store(
        conn, "a", "2017-10-01", explained=explained, rows=12, repeat_weights={"since": -0.4}
    )
    command._show(conn, command.parser().parse_args(["show", version]))
    shown = capsys.readouterr().out
    assert "+0.900 [+0.500, +1.300]  2.46 [1.65, 3.67]" in shown
    assert "recency_days <= 3" in shown
    assert "  -0.400  days since it was bought" in shown
    command._export(conn, command.parser().parse_args(["export", version, str(tmp_path)]))
    assert (tmp_path / f"{version}.model").read_bytes() == b"model"
    about = json.loads((tmp_path / f"{version}.json").read_text())
    assert about["rows"] == 12
    assert about[champions.HASH] == hashlib.sha256(b"model").hexdigest()
    with pytest.raises(BadInput, match="models list"):
        command._stored(conn, "value-none")
