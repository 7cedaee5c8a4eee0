"""The figures of the value model are read with the console's own rights, and drawn."""

import json
from datetime import date

import pytest

from include.console import model_charts, models
from include.warehouse import connect
from tests.console import sample

VERSION = "value-2017-10-01-abc"


@pytest.fixture
def filled(warehouse: dict[str, str]) -> None:
    explained = {
        "importance": {"recency": 0.2, "recent_spend": 0.8},
        "coefficients": {"sales_13w": {"coefficient": 0.9, "low": 0.5, "high": 1.3}},
    }
    with connect() as conn:
        sample.insert(
            conn,
            "ml.models",
            model_version=VERSION,
            kind="value",
            anchor=sample.DAY,
            is_champion=True,
            manifest=json.dumps({"explained": explained}),
            artefact=b"x",
        )
        for cut, ours in ((date(2017, 6, 25), 0.94), (date(2017, 7, 2), 0.95)):
            lines: list[tuple[str, str, float, float | None]] = [("roc_auc", "rolling", ours, 0.93)]
            for decile in range(1, 11):
                place = f"rolling/decile={decile}"
                lines += [
                    ("lift", place, 4.0 if decile == 1 else 6 / 9, 3.0 if decile == 1 else 7 / 9),
                    ("chance", place, 0.9 / decile, None),
                    ("observed", place, 0.8 / decile, None),
                ]
            for metric, setting, value, baseline in lines:
                sample.insert(
                    conn,
                    "ml.backtests",
                    model_version=VERSION,
                    anchor=sample.DAY,
                    cut=cut,
                    metric=metric,
                    setting=setting,
                    ours=value,
                    ours_low=value - 0.01,
                    ours_high=value + 0.01,
                    baseline=baseline,
                    n=2000,
                )
        for feature, value in (("sales_13w", 0.02), ("recency_days", 0.4)):
            sample.insert(
                conn,
                "ml.drift",
                as_of=sample.DAY,
                measure="psi",
                feature=feature,
                value=value,
                limit_at=0.25,
                model_version=VERSION,
                n=2000,
            )


def test_without_a_model_there_is_nothing_to_draw(warehouse: dict[str, str]) -> None:
    with connect() as conn:
        conn.cursor().execute("DELETE FROM ml.models")
    with connect("warehouse_console") as conn:
        assert models.read(conn) is None
    assert set(model_charts.of(None).values()) == {None}


@pytest.mark.usefixtures("filled")
def test_every_figure_is_read_and_drawn() -> None:
    with connect("warehouse_console") as conn:
        found = models.read(conn)
    assert found is not None
    assert (found.version, found.judged) == (VERSION, date(2017, 7, 2))
    assert [origin.ours for origin in found.rolling] == [0.94, 0.95]
    assert found.gains[1] == pytest.approx((0.1, 0.4, 0.3))
    assert found.gains[-1] == pytest.approx((1, 1, 1))
    assert found.calibration[0] == pytest.approx((0.9, 0.8, 200))
    assert found.importance[0] == ("recent_spend", 0.8)
    assert found.drift[0] == ("recency_days", 0.4)
    drawn = model_charts.of(found)
    assert all(drawn.values())
    rolling = drawn["rolling"]
    assert rolling is not None
    assert rolling["data"][0]["error_y"]["array"] == pytest.approx([0.01, 0.01])
