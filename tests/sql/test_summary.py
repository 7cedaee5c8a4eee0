"""What the demo prints about the models."""

import io

from rich.console import Console

from include import contracts, warehouse
from include.launcher.commands import summary
from tests.sql.planted import fill

DAY = "2017-10-01"


def model(
    version: str, algorithm: str, *, anchor: str = DAY, champion: bool = False
) -> dict[str, object]:
    return {
        "model_version": version,
        "kind": "value",
        "anchor": anchor,
        "algorithm": algorithm,
        "is_champion": champion,
        "manifest": "{}",
        "metrics": "{}",
    }


def figure(version: str, setting: str, ours: float, cut: str = "2017-07-02") -> dict[str, object]:
    return {
        "model_version": version,
        "anchor": DAY,
        "cut": cut,
        "metric": "roc_auc",
        "setting": setting,
        "ours": ours,
        "baseline": 0.9,
        "baseline_name": "spend in the last 13 weeks",
        "n": 2394,
    }


def test_the_champion_is_shown_beside_its_rivals_and_the_baseline(request):
    request.getfixturevalue("warehouse")
    with warehouse.connect() as conn:
        fill(
            conn,
            "ml.models",
            [
                model("v1", "random_forest", champion=True),
                model("v2", "decision_tree"),
                model("v0", "logistic_regression", anchor="2017-09-24", champion=True),
            ],
        )
        fill(
            conn,
            "ml.backtests",
            [
                figure("v1", "random_forest", 0.95),
                figure("v2", "decision_tree", 0.91),
                figure("v0", "logistic_regression", 0.94),
                figure("v1", "random_forest", 5.1) | {"metric": "novelty"},
                figure("v1", "beside spend / 2", 0.95)
                | {"baseline": 0.89, "baseline_name": "spend / 2"},
            ],
        )
        out = io.StringIO()
        summary._show_models(Console(file=out, width=132), conn, DAY)
        conn.rollback()
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "random_forest (serves) 0.95 / 0.9" in lines
    assert "decision_tree 0.91 / 0.9" in lines
    # A further baseline is named by its line, so the others need no column for theirs.
    assert "beside spend / 2 0.95 / 0.89" in lines
    assert not any("logistic" in line for line in lines)
    assert not any("novelty" in line for line in lines)
    assert any("baseline spend in the last 13 weeks, cut 2017-07-02, n 2394" in x for x in lines)


def test_the_rows_shown_are_those_of_the_day_though_later_ones_stand_beside_them(request):
    request.getfixturevalue("warehouse")
    names = {DAY: "of_the_day", "2017-10-04": "of_a_later_day"}
    with warehouse.connect() as conn:
        fill(
            conn,
            "marketing.segment_summary",
            [{"as_of": day, "segment": name} for day, name in names.items()],
        )
        out = io.StringIO()
        table = contracts.load("marketing", "segment_summary")
        summary._show_table(Console(file=out, width=132), conn, table, DAY)
        conn.rollback()
    assert "marketing.segment_summary: 2 rows." in out.getvalue()
    assert "of_the_day" in out.getvalue()
    assert "of_a_later_day" not in out.getvalue()
