"""Train the recommender of an anchor day, and list products for every customer of a business day."""

import hashlib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, warehouse
from include.errors import BadInput
from include.publication import Batch
from include.steps import champions
from include.steps.champions import Champion
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.purchases import Catalogue, Purchases
    from include.models.recommend import Recommender, Settings

log = logging.getLogger(__name__)

#: How the recommender is called in ml.models.
KIND = "als"


def settings() -> "Settings":
    """The policy's part of how lists are made, over the tuned rest."""
    from include.models.als import AlsSettings
    from include.models.recommend import Settings

    rules = policy.load()
    asked = rules.recommendations
    return Settings(
        als=AlsSettings(
            factors=asked.als.factors,
            regularization=asked.als.regularization,
            alpha=asked.als.alpha,
            iterations=asked.als.iterations,
            half_life_days=asked.half_life_days,
            seed=rules.models.seed,
        ),
        list_length=asked.list_length,
    )


def until(day: str) -> dict[str, Any]:
    """What the SQL here is told about a business day: the day and the first instant after it."""
    _, end = as_of.window(day, day, policy.load().shop.timezone)
    return {"as_of": day, "end": end}


def interactions(conn: Connection, day: str) -> "pd.DataFrame":
    """What each customer had bought on which day by the end of `day`: features/interactions.sql."""
    return warehouse.frame(conn, warehouse.sql("features/interactions"), until(day))


def catalogue(conn: Connection, day: str, level: str = "product") -> "Catalogue":
    """The catalogue as of a day, by product or, coarser, by product type.

    Only what is listed for sale and sold by the piece or pack is eligible for a list.
    """
    from include.models.purchases import Catalogue

    products = warehouse.frame(conn, warehouse.sql("ml/recommendations_catalogue"), until(day))
    return Catalogue.from_frame(items(products, level))


def items(products: "pd.DataFrame", level: str) -> "pd.DataFrame":
    """Catalogue rows as items of a level: each product, or each product type."""
    import pandas as pd

    if level == "product":
        return pd.DataFrame(
            {
                "item_id": products["product_id"],
                "name": products["name"],
                "group": products["type"],
                "family": products["category"],
                "maker": products["manufacturer_id"],
                "eligible": products["active"] & products["is_unit"],
            }
        )
    if level != "type":
        raise BadInput(f"Expected the level product or type, found {level}.")
    typed = products[products["type"].notna()]
    first = typed.sort_values("product_id").groupby("type", sort=True)
    kinds = first.agg(category=("category", "first"), eligible=("is_unit", "any")).reset_index()
    return pd.DataFrame(
        {
            "item_id": kinds["type"],
            "name": kinds["type"],
            "group": kinds["category"],
            "family": pd.Series([None] * len(kinds), dtype="str"),
            "maker": pd.Series([None] * len(kinds), dtype="str"),
            "eligible": kinds["eligible"],
        }
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


def load_purchases(conn: Connection, day: str) -> "tuple[Purchases, Catalogue]":
    """Purchases by product as of a day, and the catalogue they are coded by."""
    from include.models.purchases import Purchases

    known = catalogue(conn, day)
    bought = Purchases.from_frame(interactions(conn, day), known)
    if bought.unknown_rows:
        log.warning(
            "%s purchase rows are of products that the catalogue does not list; left out.",
            f"{bought.unknown_rows:,}",
        )
    return bought, known


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
        purchases, known = load_purchases(conn, anchor)
    row, backtests = fit(purchases, known, anchor, chosen, made_of)
    version = str(row["model_version"].iloc[0])
    with warehouse.connect() as conn:
        for name, data, mine in (
            ("models", row, "kind = %(kind)s"),
            ("backtests", backtests, "model_version LIKE %(kind)s || '-%%'"),
        ):
            table = opened.table(contracts.load("ml", name))
            warehouse.execute(conn, f"DELETE FROM {table} WHERE {mine}", {"kind": KIND})
            warehouse.copy_frame(conn, data, table)
    metrics = row["metrics"].iloc[0]
    log.info("Trained %s: %s", version, metrics)
    return {"model_version": version, "trained": True, "metrics": metrics}


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a recommender besides the data, and a hash of it."""
    from include.models import als, purchases, recommend, registry

    code = "".join(inspect.getsource(module) for module in (als, purchases, recommend))
    code += warehouse.sql("features/interactions") + warehouse.sql("ml/recommendations_catalogue")
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

    # Several tasks share few cores: threads that wait by spinning would slow all of them.
    with threadpool_limits(1, user_api="blas"):
        model, found = backtest.fit_and_judge(purchases, known, one_day(anchor), chosen)
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
        }
        for line in found
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
        "repeat_weights": recommend.weights(model.repeat_),
        "discover_weights": recommend.weights(model.new_),
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
    """Stage both recommendation tables of the batch's day.

    Returns
    -------
    dict
        The batch, with the rows staged and the customers who have a list.
    """
    from include import publication
    from include.models.recommend import lists

    opened = Batch.from_dict(batch)
    day = opened.as_of
    with warehouse.connect() as conn:
        purchases, known = load_purchases(conn, day)
        version, model = load_model(conn, day, known)
        people = warehouse.frame(conn, warehouse.sql("ml/recommendations_customers"), until(day))
    people = people.sort_values("customer_id", ignore_index=True)
    regions = dict(zip(people["customer_id"], people["region"].fillna(""), strict=True))
    now = model.snapshot(purchases, known, _number(day))
    found = lists(
        model, now, people["customer_id"].to_numpy(dtype="U"), regions, model.settings.list_length
    )
    found = found.assign(
        as_of=day,
        model_version=version,
        external_id=found["customer_id"].map(people.set_index("customer_id")["external_id"]),
        policy_hash=policy.load().hash,
    )
    counts = {}
    with warehouse.connect() as conn:
        for schema, table in (("ml", "recommendations"), ("marketing", "product_recommendations")):
            contract = contracts.load(schema, table)
            staged = publication.stage(conn, opened, contract)
            counts[table] = warehouse.copy_frame(conn, found[contract.content], staged)
    log.info("Listed products for %s customers: %s", f"{found['customer_id'].nunique():,}", counts)
    return dict(batch) | {
        "recommended_customers": int(found["customer_id"].nunique()),
        "recommendation_rows": counts,
    }


def _number(day: str) -> int:
    from include.models.purchases import one_day

    return one_day(day)
