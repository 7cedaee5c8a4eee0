"""Train the recommender of an anchor day, and find the one that serves a business day."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from include import as_of, policy
from include.errors import BadInput
from include.steps import product_rows as inputs
from include.steps.training import champions
from include.steps.training.champions import Champion, anchor_of
from include.warehouse import Connection

if TYPE_CHECKING:
    from include.features.purchases import Catalogue, Purchases
    from include.features.signals import Signals
    from include.models.products.recommender import Recommender, Settings

#: How the recommender is called in ml.models.
KIND = "als"
#: Where its code begins (`include.models.code`).
MADE_BY = ("include.steps.training.recommender", "include.steps.product_rows")


def settings() -> "Settings":
    """The policy's part of how lists are made, over the tuned rest."""
    from include.models.products.als import AlsSettings
    from include.models.products.snapshot import Settings
    from include.models.products.tuning import alternatives

    rules = policy.load()
    asked = rules.recommendations
    als = AlsSettings(
        factors=asked.als.factors,
        regularization=asked.als.regularization,
        alpha=asked.als.alpha,
        iterations=asked.als.iterations,
        half_life_days=asked.half_life_days,
        seed=rules.models.seed,
        **asked.confidence.model_dump(),
    )
    changes = [other.model_dump(exclude_none=True) for other in asked.als.alternatives]
    return Settings(
        als=als,
        list_length=asked.list_length,
        variety=asked.variety,
        alternatives=tuple(alternatives(als, changes)),
    )


def train(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Train the recommender of the batch's anchor day (`champions.train`)."""
    chosen = settings()

    def known_on(conn: Connection, anchor: str) -> "tuple[Purchases, Catalogue, Signals]":
        who = inputs.customers(conn, anchor)["customer_id"].to_list()
        purchases, known = inputs.load_purchases(conn, anchor, who)
        return purchases, known, inputs.load_signals(conn, anchor, purchases, known)

    return champions.train(
        batch,
        KIND,
        lambda anchor: recipe(anchor, chosen),
        known_on,
        lambda known, anchor, made_of: fit(*known, anchor, chosen, made_of),
    )


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a recommender besides the data, and a hash of it."""
    from include.steps.training import recipes

    libraries = ("implicit", "numpy", "scikit-learn")
    return recipes.recipe(anchor, recipes.method(MADE_BY, asdict(chosen), libraries))


def fit(
    purchases: "Purchases",
    known: "Catalogue",
    signals: "Signals",
    anchor: str,
    chosen: "Settings",
    made_of: Mapping[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The recommender of an anchor day as a row of ml.models, and its backtest as rows of ml.backtests.

    The backtest fits once more four weeks earlier and judges that model on the four weeks up to the
    anchor, beside what most customers buy and what each customer bought most often.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from include.features.purchases import one_day
    from include.features.signals import Signals
    from include.models.products import backtest, recommender
    from include.models.products.rankers import weights
    from include.models.products.tuning import tune

    # Several tasks share few cores: threads that wait by spinning would slow all of them.
    with threadpool_limits(1, user_api="blas"):
        judged_by = Signals.none() if inputs.signals_are_generated() else signals
        day = one_day(anchor)
        tuned, trials = tune(purchases, known, day, chosen, judged_by)
        model, found = backtest.fit_and_judge(purchases, known, day, tuned, signals, judged_by)
    artefact = model.to_bytes(known)
    version = f"{KIND}-{anchor}-{hashlib.sha256(artefact).hexdigest()[:12]}"
    lines = [
        {
            "cut": as_of.days_before(anchor, recommender.HORIZON_DAYS),
            "metric": line.metric,
            "setting": f"product/{line.setting} beside {line.baseline_name}",
            "ours": line.ours,
            "baseline": line.baseline,
            "baseline_name": line.baseline_name,
            "n": line.n,
            "ours_low": line.ours_95[0] if line.ours_95 else None,
            "ours_high": line.ours_95[1] if line.ours_95 else None,
            "difference_low": line.difference_95[0] if line.difference_95 else None,
            "difference_high": line.difference_95[1] if line.difference_95 else None,
        }
        for line in found
        if line.n
    ] + [
        {
            "cut": as_of.days_before(anchor, 2 * recommender.HORIZON_DAYS),
            "metric": "tuning_ndcg_at_10",
            "setting": f"product/new als {trial.name}",
            "ours": trial.ndcg,
            "baseline": trial.declared,
            "baseline_name": "declared settings",
            "n": trial.customers,
        }
        for trial in trials
    ]
    metrics: dict[str, dict[str, float]] = {}
    for line in found:
        figures = metrics.setdefault(f"product/{line.setting}", {})
        figures[line.metric] = round(line.ours, 5)
        figures[f"{line.metric} {line.baseline_name}"] = round(line.baseline, 5)
    manifest = dict(made_of) | {
        "customers": purchases.n_customers,
        "items": int(model.als_.known_.sum()),
        "purchase_days": len(purchases.day),
        "unknown_rows": purchases.unknown_rows,
        "signals": len(signals.day),
        "als": asdict(tuned.als),
        "repeat_weights": weights(model.repeat_),
        "discover_weights": weights(model.new_),
    }
    algorithm = "ALS with a repeat and a discover ranker"
    row = champions.model_row(KIND, anchor, version, algorithm, manifest, metrics, artefact)
    return row, lines


def champion(conn: Connection, day: str) -> Champion | None:
    """The recommender that serves a day, or None before the first one."""
    made_of = recipe(anchor_of(day), settings())
    return champions.serving(conn, KIND, day, recipe=made_of["recipe"])


def require_champion(conn: Connection, day: str) -> Champion:
    """The recommender that serves a day.

    Raises
    ------
    BadInput
        When none was trained at or before the day.
    """
    found = champion(conn, day)
    if found is None:
        raise BadInput(
            f"Expected a trained recommender for {day}, found none: run regulars_models for the day first."
        )
    return found


def load_model(conn: Connection, day: str, known: "Catalogue") -> "tuple[str, Recommender]":
    """The champion of a day, on the day's catalogue.

    Raises
    ------
    BadInput
        When none was trained at or before the day.
    """
    from include.models.products.recommender import Recommender

    found = require_champion(conn, day)
    stored = champions.artefact(conn, found.model_version)
    return found.model_version, Recommender.from_bytes(stored, known, settings())
