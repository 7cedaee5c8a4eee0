"""Train the recommender of an anchor day, and list products for every customer of a business day."""

import hashlib
import inspect
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, warehouse
from include.errors import BadInput, RegularsError
from include.publication import Batch
from include.steps import champions
from include.steps import recommend_inputs as inputs
from include.steps.champions import Champion
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.lists import ListMaker
    from include.models.purchases import Catalogue, Purchases
    from include.models.recommend import Recommender, Settings
    from include.models.signals import Signals

log = logging.getLogger(__name__)

#: How the recommender is called in ml.models.
KIND = "als"


def settings() -> "Settings":
    """The policy's part of how lists are made, over the tuned rest."""
    from include.models.als import AlsSettings
    from include.models.snapshot import Settings
    from include.models.tuning import alternatives

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


def anchor_of(day: str) -> str:
    """The anchor day whose champion serves `day`: the newest one at or before it."""
    rules = policy.load().models
    days = (as_of.parse(day) - rules.anchor_start).days
    if days < 0:
        raise BadInput(
            f"Expected a business day from {rules.anchor_start} on (models.anchor_start), found {day}."
        )
    return as_of.days_before(day, days % rules.anchor_every_days)


def train(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Fit the recommender of the batch's anchor day, unless it stands already, and stage it.

    Its rows go into the batch's staged `ml.models` and `ml.backtests`, beside those of other models;
    rows of an earlier try are taken out first.

    Returns
    -------
    dict
        The model's version, whether it was trained now, and the figures of its backtest.
    """
    opened = Batch.from_dict(batch)
    anchor = anchor_of(opened.as_of)
    chosen = settings()
    made_of = recipe(anchor, chosen)
    with warehouse.connect() as conn:
        found = champions.standing(conn, KIND, anchor, made_of["recipe"])
        if found:
            log.info("The recommender of %s stands: %s", anchor, found)
            return {"model_version": found, "trained": False, "metrics": {}}
        who = inputs.customers(conn, anchor)["customer_id"].to_list()
        purchases, known = inputs.load_purchases(conn, anchor, who)
        signals = inputs.load_signals(conn, anchor, purchases, known)
    row, backtests = fit(purchases, known, signals, anchor, chosen, made_of)
    version = str(row["model_version"].iloc[0])
    champions.stage(opened, KIND, {"models": row, "backtests": backtests})
    metrics = row["metrics"].iloc[0]
    log.info("Trained %s: %s", version, metrics)
    return {"model_version": version, "trained": True, "metrics": metrics}


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a recommender besides the data, and a hash of it."""
    from include.models import (
        als,
        purchases,
        rankers,
        recommend,
        registry,
        signals,
        snapshot,
        tuning,
    )

    modules = (als, purchases, rankers, recommend, signals, snapshot, tuning)
    code = "".join(inspect.getsource(module) for module in modules)
    for name in (
        "features/interactions",
        "ml/recommendations_catalogue",
        "ml/recommendations_signals",
    ):
        code += warehouse.sql(name)
    made_of = {
        "anchor": anchor,
        "settings": asdict(chosen),
        "code": hashlib.sha256(code.encode()).hexdigest(),
        "libraries": {
            name: library_version(name) for name in ("implicit", "numpy", "scikit-learn")
        },
    }
    return made_of | {"recipe": registry.digest(made_of)}


def fit(
    purchases: "Purchases",
    known: "Catalogue",
    signals: "Signals",
    anchor: str,
    chosen: "Settings",
    made_of: Mapping[str, Any],
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The recommender of an anchor day as a row of ml.models, and its backtest as rows of ml.backtests.

    The backtest fits once more four weeks earlier and judges that model on the four weeks up to the
    anchor, beside what most customers buy and what each customer bought most often.
    """
    import pandas as pd
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from include.models import backtest, recommend
    from include.models.purchases import one_day
    from include.models.rankers import weights
    from include.models.signals import Signals
    from include.models.tuning import tune

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
            "model_version": version,
            "anchor": anchor,
            "cut": as_of.days_before(anchor, recommend.HORIZON_DAYS),
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
            "model_version": version,
            "anchor": anchor,
            "cut": as_of.days_before(anchor, 2 * recommend.HORIZON_DAYS),
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
    row = pd.DataFrame(
        {
            "model_version": [version],
            "kind": [KIND],
            "anchor": [anchor],
            "algorithm": ["ALS with a repeat and a discover ranker"],
            "is_champion": [True],
            "manifest": [manifest],
            "metrics": [metrics],
            "artefact": ["\\x" + artefact.hex()],
        }
    )
    names = contracts.load("ml", "backtests").content
    return row, pd.DataFrame(lines, columns=names)


def champion(conn: Connection, day: str) -> Champion | None:
    """The recommender that serves a day, or None before the first one."""
    made_of = recipe(anchor_of(day), settings())
    return champions.serving(conn, KIND, day, recipe=made_of["recipe"])


def load_model(conn: Connection, day: str, known: "Catalogue") -> "tuple[str, Recommender]":
    """The champion of a day, on the day's catalogue.

    Raises
    ------
    BadInput
        When none was trained at or before the day.
    """
    from include.models.recommend import Recommender

    found = champion(conn, day)
    if found is None:
        raise BadInput(
            f"Expected a trained recommender for {day}, found none: run regulars_models for the day first."
        )
    stored = champions.artefact(conn, found.model_version)
    return found.model_version, Recommender.from_bytes(stored, known, settings())


def recommend(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Stage the recommendation tables of the batch's day.

    Returns
    -------
    dict
        The batch, with the rows staged and the customers who have a list.
    """
    from include import publication
    from include.models.lists import lists

    opened = Batch.from_dict(batch)
    day = opened.as_of
    with warehouse.connect() as conn:
        version, maker, who = maker_of(conn, day, inputs.staged_segments(conn, opened))
    found, summaries = lists(maker)
    external = who.set_index("customer_id")["external_id"]
    counts = {}
    with warehouse.connect() as conn:
        for frame, schema, table in (
            (found, "ml", "recommendations"),
            (found, "marketing", "product_recommendations"),
            (summaries, "marketing", "recommendation_lists"),
        ):
            contract = contracts.load(schema, table)
            staged = publication.stage(conn, opened, contract)
            filled = frame.assign(
                as_of=day,
                model_version=version,
                external_id=frame["customer_id"].map(external),
                policy_hash=policy.load().hash,
            )
            counts[table] = warehouse.copy_frame(conn, filled[contract.content], staged)
    short = int(summaries["why_short"].notna().sum())
    log.info(
        "Listed products for %s customers, %s of %s lists short: %s",
        f"{found['customer_id'].nunique():,}",
        f"{short:,}",
        f"{len(summaries):,}",
        counts,
    )
    return dict(batch) | {
        "recommended_customers": int(found["customer_id"].nunique()),
        "short_lists": short,
        "recommendation_rows": counts,
    }


def maker_of(
    conn: Connection, day: str, segments: "pd.DataFrame", only: str | None = None
) -> "tuple[str, ListMaker, pd.DataFrame]":
    """The champion's version, what makes a day's lists, and the customers they are for.

    Parameters
    ----------
    segments : DataFrame
        customer_id, segment, value_tier.
    only : str, optional
        The external number of the one customer to make lists for.
    """
    from include.models import list_rules
    from include.models.lists import ListMaker

    who = inputs.customers(conn, day)
    purchases, known = inputs.load_purchases(conn, day, who["customer_id"].to_list())
    signals = inputs.load_signals(conn, day, purchases, known)
    version, model = load_model(conn, day, known)
    if only is not None:
        who = who[who["external_id"] == only]
    persons = inputs.people(purchases, who, segments)
    shelf = inputs.shelf(conn, day, known, persons.regions.tolist())
    rules = policy.load().recommendations
    for sentence in list_rules.unknown(rules.rules, known):
        log.warning("%s", sentence)
    now = model.snapshot(purchases, known, _number(day), signals)
    return version, ListMaker(model, now, persons, shelf, rules), who


def explain(external_id: str, day: str | None = None) -> str:
    """Which rule and which model did what to one customer's lists of a day (default: the newest published).

    Raises
    ------
    BadInput
        When nothing was published, or the shop does not know the customer.
    """
    from include.models.list_explain import explain as lines_of

    with warehouse.connect() as conn:
        newest = warehouse.value(conn, "SELECT max(as_of) FROM marketing.product_recommendations")
        if day is None and newest is None:
            raise BadInput(
                "Expected published recommendations, found none: run regulars_score for a day first."
            )
        day = day or newest.isoformat()
        segments = inputs.published_segments(conn, day)
        version, maker, who = maker_of(conn, day, segments, only=external_id)
    if who.empty:
        raise BadInput(
            f"Expected the number of a customer known by {day}, found '{external_id}': look it up in "
            "marketing.current_customer_segments.external_id."
        )
    head = f"Customer {external_id} as of {day}, by {version} and policy {policy.load().hash}"
    return "\n".join([head, *lines_of(maker)])


USAGE = """usage: regulars recommend explain CUSTOMER [DAY]
       what each model and rule did to the customer's product lists of a business day"""


def main(argv: list[str]) -> int:
    """`regulars recommend explain`; the exit code is 0 when told, 1 when not possible, 2 for usage."""
    if len(argv) not in (2, 3) or argv[0] != "explain":
        sys.stderr.write(USAGE + "\n")
        return 2
    try:
        day = as_of.parse(argv[2]).isoformat() if len(argv) > 2 else None
        sys.stdout.write(explain(argv[1], day) + "\n")
    except RegularsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _number(day: str) -> int:
    from include.models.purchases import one_day

    return one_day(day)
