"""Measure the drift of a business day: customers against training rows, matured scores against outcomes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import as_of, warehouse
from include.steps.training.panels import Panels
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.value.model import Settings


def reference(panels: Panels, anchor: str, settings: "Settings", matured: "pd.DataFrame") -> Any:
    """What later days are compared with: the training rows, and where the anchor day stood to them.

    Returns
    -------
    dict of feature to `edges`, `shares` and `psi` of the anchor day, as JSON can hold it
    """
    from include.features import customers
    from include.models.value import population_drift

    found = population_drift.reference(customers.matrix(matured, settings.leave_out))
    then = population_drift.psi(found, _today(panels, anchor, settings))
    return {name: bins | {"psi": [round(then[name], 6)]} for name, bins in found.items()}


def measure(
    panels: Panels,
    day: str,
    settings: "Settings",
    version: str,
    known: Mapping[str, Any],
    judged: "pd.DataFrame",
) -> "pd.DataFrame":
    """Rows of ml.drift of a day, beside the model that serves.

    Parameters
    ----------
    known
        The model's `reference`; a model that has none (an older one) gives no index.
    judged
        What it said on its judge day, as `judged_scores` gives it.
    """
    import pandas as pd

    from include import contracts
    from include.models.value import population_drift

    today = _today(panels, day, settings)
    lines = []
    if len(today) >= population_drift.MINIMUM_CUSTOMERS:
        lines += [
            {
                "measure": "psi",
                "feature": name,
                "value": round(index, 6),
                "at_training": known[name]["psi"][0],
                "limit_at": population_drift.LIMIT,
                "n": len(today),
            }
            for name, index in population_drift.psi(known, today).items()
        ]
    lines += [
        line | {"measure": "calibration", "limit_at": population_drift.CALIBRATION_LIMIT}
        for line in _calibration(panels, day, settings, judged)
    ]
    found = pd.DataFrame(lines, columns=contracts.load("ml", "drift").content)
    return found.assign(
        as_of=day, model_version=version, is_beyond=found["value"] > found["limit_at"]
    )


def alarm(found: "pd.DataFrame") -> str | None:
    """Why the model has to be trained again before its time, or None.

    Features that were off on the model's own anchor day are no reason: training again would not mend them.
    """
    from include.models.value import population_drift

    moved = found[
        (found["measure"] == "psi")
        & found["is_beyond"]
        & (found["at_training"].astype(float) <= population_drift.LIMIT)
    ]
    if len(moved) >= population_drift.DRIFTED_FEATURES:
        worst = ", ".join(moved.sort_values("value", ascending=False)["feature"].head(3))
        return f"{len(moved)} features drifted since it was trained ({worst}, ...)"
    off = found[(found["feature"] == "published") & found["is_beyond"]]
    if len(off):
        return f"its matured probabilities are off by {off['value'].iloc[0]:.3f} on average"
    return None


def _today(panels: Panels, day: str, settings: "Settings") -> "pd.DataFrame":
    from include.features import customers

    known = panels.features(day)
    return customers.matrix(known[known["orders_total"] > 0], settings.leave_out)


def judged_scores(conn: Connection, version: str) -> "pd.DataFrame":
    """What a model said on its judge day: customer_id, cut, p_high_value; empty where it was not kept."""
    return warehouse.frame(
        conn,
        "SELECT customer_id, cut, p_high_value FROM ml.judged_scores WHERE model_version = %(v)s "
        "ORDER BY customer_id",
        {"v": version},
    )


def _calibration(
    panels: Panels, day: str, settings: "Settings", judged: "pd.DataFrame"
) -> list[dict[str, Any]]:
    """Calibration error of the scores published a horizon ago, and of the champion on its judge day."""
    published = warehouse.frame(
        panels.conn,
        "SELECT customer_id, as_of AS cut, p_high_value FROM ml.customer_scores "
        "WHERE as_of = %(cut)s ORDER BY customer_id",
        {"cut": as_of.days_before(day, settings.horizon_days)},
    )
    lines = []
    for name, said in (("published", published), ("judged", judged)):
        if len(said):
            error, n = _error(panels, day, settings, said)
            lines.append({"feature": name, "value": error, "at_training": None, "n": n})
    return lines


def _error(
    panels: Panels, day: str, settings: "Settings", said: "pd.DataFrame"
) -> tuple[float, int]:
    from include.features.panels import high_value
    from include.models import evaluate

    rows = panels.judged(as_day(said), day)
    rows = rows.assign(label=high_value(rows, settings.high_value_share))
    both = rows.merge(said.drop(columns="cut"), on="customer_id")
    error = evaluate.ece(both["label"].to_numpy(float), both["p_high_value"].to_numpy(float))
    return round(error, 6), len(both)


def as_day(said: "pd.DataFrame") -> str:
    """The cut that scores are of, as YYYY-MM-DD."""
    import pandas as pd

    return str(pd.Timestamp(said["cut"].iloc[0]).date())
