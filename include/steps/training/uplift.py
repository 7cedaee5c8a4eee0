"""Learn from our own control groups what campaigns add to the margin, and say it of a day's customers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include import policy, warehouse
from include.steps.measure import WINDOW_DAYS
from include.steps.training import champions
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.campaigns.uplift import Settings

#: How the uplift model is called in ml.models.
KIND = "uplift"
#: Where its code begins (`include.models.code`).
MADE_BY = ("include.steps.training.uplift",)


def rows(conn: Connection, day: str) -> "pd.DataFrame":
    """`queries/training/uplift_rows.sql` as of a day."""
    return warehouse.frame(
        conn,
        warehouse.sql("queries/training/uplift_rows"),
        {"as_of": day, "window_days": WINDOW_DAYS},
    )


def train(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Train the uplift model of the batch's anchor day (`champions.train`).

    Where no control group is large enough yet there is no such model, which is no failure.
    """
    from include.models.campaigns.uplift import Settings

    chosen = Settings(seed=policy.load().models.seed)
    return champions.train(
        batch,
        KIND,
        lambda anchor: recipe(anchor, chosen),
        rows,
        lambda found, anchor, made_of: fit(found, anchor, chosen, made_of),
        optional=True,
    )


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides an uplift model besides the data, and a hash of it."""
    from include.steps.training import recipes

    made_by = recipes.method(MADE_BY, chosen.as_dict(), window_days=WINDOW_DAYS)
    return recipes.recipe(anchor, made_by)


def fit(
    found: "pd.DataFrame", anchor: str, chosen: "Settings", made_of: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The model of an anchor day as a row of ml.models, and its judgement as rows of ml.backtests.

    Raises
    ------
    BadInput
        When no campaign has large enough arms.
    """
    import numpy as np

    from include.models import registry
    from include.models.campaigns.uplift import UpliftModel

    model = UpliftModel(chosen).fit(found)
    about = dict(made_of) | {
        "algorithm": "x_learner",
        "data": champions.data_hash(found),
        "rows": len(found),
        "ranked": sorted(n for n, c in model.campaigns_.items() if c.learner is not None),
    }
    version = registry.version(KIND, anchor, about)
    metrics = {
        f"{metric}:{name}": round(value, 5)
        for name, judged in model.judged_.items()
        for metric, value in judged.items()
        if np.isfinite(value)
    }
    row = champions.model_row(
        KIND, anchor, version, "x_learner", about, metrics, registry.dumps(model.state())
    )
    lines = [
        {
            "cut": anchor,
            "metric": "qini",
            "setting": name,
            "ours": judged["qini"],
            "baseline": 0.0,
            "baseline_name": "any order",
            "n": int((found["campaign"] == name).sum()),
        }
        for name, judged in model.judged_.items()
        if np.isfinite(judged["qini"])
    ]
    return row, lines


def gains(conn: Connection, day: str) -> "tuple[str | None, dict[str, pd.Series]]":
    """What each campaign with a model adds to each customer's margin, as of a day; the model's version.

    Without a model, which is how every shop begins, the version is None and nothing is known.
    """
    from include.models import registry
    from include.models.campaigns.uplift import FEATURES, UpliftModel

    champion = champions.serving(conn, KIND, day)
    if champion is None:
        return None, {}
    stored = champions.artefact(conn, champion.model_version)
    known = warehouse.frame(
        conn,
        f"SELECT customer_id, {', '.join(FEATURES)} FROM features.customer_features "
        "WHERE as_of = %(day)s ORDER BY customer_id",
        {"day": day},
    )
    return champion.model_version, UpliftModel.from_state(registry.loads(stored)).predict(known)
