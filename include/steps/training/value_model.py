"""Fit, judge and store the value model of an anchor day, and find the one that serves."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, warehouse
from include.errors import BadInput
from include.steps.training import champions, population_drift
from include.steps.training.champions import Champion, anchor_of
from include.steps.training.panels import (
    MINIMUM_HISTORY_DAYS,
    RECENT_CUTS_DAYS,
    Panels,
    matured_cuts,
    origins,
    settings,
)
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.value.contest import Figures, Verdict
    from include.models.value.model import Settings, ValueModel

log = logging.getLogger(__name__)

#: How the value model is called in ml.models.
KIND = "value"
#: Where its code begins (`include.models.code`).
MADE_BY = (
    "include.steps.training.value_model",
    "include.steps.training.panels",
    "include.steps.features",
)

BASELINE_NAME = "spend in the last 13 weeks"

#: Judged customers whose scores are kept for the next contest: a bootstrap of more tells nothing new.
KEPT_SCORES = 20_000


@dataclass(frozen=True)
class Trained:
    """What one training leaves, as rows of the tables that are named so."""

    models: "pd.DataFrame"
    backtests: "pd.DataFrame"
    judged_scores: "pd.DataFrame"
    version: str
    verdict: "Verdict"
    reference: Mapping[str, Any]


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a value model besides the data, and hashes of it.

    `question` is what the model is asked, `method` how it answers, `recipe` both for one anchor day.
    """
    from include.models import registry
    from include.steps.training import recipes

    asked = {"horizon_days": chosen.horizon_days, "high_value_share": chosen.high_value_share}
    method = recipes.method(MADE_BY, chosen.as_dict(), recent_cuts_days=list(RECENT_CUTS_DAYS))
    return recipes.recipe(
        anchor,
        method,
        cuts=matured_cuts(anchor, chosen.horizon_days),
        question=registry.digest(asked),
        method=registry.digest(method),
    )


def fit(
    panels: Panels,
    chosen: "Settings",
    made_of: Mapping[str, Any],
    serving: Champion | None,
    because: str,
) -> Trained:
    """The models of an anchor day, how each did on later customers, and whether the best one serves.

    Every algorithm is tuned and fitted on the cuts that had matured by the judge's day and judged on that
    day, whose own outcomes have matured by now. The blend is the standing algorithm; another one takes its
    place only where it is better by more than chance. The winner is fitted again on every matured cut;
    whether it takes the champion's place, `include.models.value.contest` says. `because` is why it is
    trained.

    Raises
    ------
    BadInput
        When the history is too short or too poor to learn from.
    """
    import pandas as pd

    from include.models import registry
    from include.models.value import contest, search
    from include.models.value import model as value

    anchor, cuts = made_of["anchor"], made_of["cuts"]
    if not cuts or not matured_cuts(cuts[0], chosen.horizon_days):
        raise BadInput(
            f"Expected at least {2 * chosen.horizon_days + MINIMUM_HISTORY_DAYS} days of history by "
            f"{anchor}, to learn from one period and be judged on a later one, found fewer: the present "
            "champion stays; run a later day."
        )
    judge_cut = cuts[0]
    past, later = panels.matured(judge_cut), panels.judged(judge_cut)
    tuning, trials = search.search(chosen, past)
    tuned = replace(chosen, tuning=tuning)
    rivals = contest.rivals(tuned, past)
    judged = {name: contest.judge(rival, later) for name, rival in rivals.items()}
    algorithm = contest.winner(rivals, later)
    verdict = _verdict(panels, chosen, made_of, rivals[algorithm], judged[algorithm], serving)
    matured = panels.matured(anchor)
    model = value.ValueModel(tuned, algorithm).fit(matured, panels.recent(anchor))
    reference = population_drift.reference(panels, anchor, tuned, matured)
    manifest = dict(made_of) | {
        "tuning": tuning.as_dict(),
        "data": _hash(panels, anchor),
        "window": {"first_cut": cuts[-1], "last_cut": cuts[0], "outcomes_until": anchor},
        "rows": len(matured),
        "features": tuned.names,
    }
    stored = registry.dumps(model.state())
    rows: list[dict[str, Any]] = []
    backtests: list[dict[str, Any]] = []
    for name in sorted(rivals, key=lambda rival: rival != algorithm):
        about = manifest | {"algorithm": name}
        version = registry.version(KIND, anchor, about)
        more: dict[str, Any] = {"explained": rivals[name].explained(past)}
        if name == algorithm:
            more = {
                "explained": model.explained(matured),
                "trained_because": because,
                "promotion": verdict.as_dict(),
                "search": {
                    "budget": search.BUDGET,
                    "outcomes_until": judge_cut,
                    "rows": len(past),
                    "trials": [trial.as_dict() for trial in trials],
                },
                "reference": reference,
                champions.HASH: hashlib.sha256(stored).hexdigest(),
            }
        rows.append(
            {
                "model_version": version,
                "kind": KIND,
                "anchor": anchor,
                "algorithm": name,
                "is_champion": verdict.promoted and name == algorithm,
                "manifest": about | more,
                "metrics": {m: _rounded(figure["ours"]) for m, figure in judged[name].items()},
                # Rivals are kept for what they showed; only the winner can be asked to predict.
                "artefact": "\\x" + stored.hex() if name == algorithm else None,
            }
        )
        backtests += [
            _line(version, anchor, judge_cut, metric, name, figure, len(later))
            for metric, figure in judged[name].items()
        ]
    version = rows[0]["model_version"]
    backtests += _rolling(panels, chosen, algorithm, version, anchor, judge_cut)
    return Trained(
        models=pd.DataFrame(rows),
        backtests=pd.DataFrame(backtests, columns=contracts.load("ml", "backtests").content),
        judged_scores=pd.DataFrame(
            {
                "model_version": version,
                "customer_id": later["customer_id"],
                "cut": judge_cut,
                "p_high_value": rivals[algorithm].predict_high_value(later),
            }
        ).head(KEPT_SCORES),
        version=version,
        verdict=verdict,
        reference=reference,
    )


def _verdict(
    panels: Panels,
    chosen: "Settings",
    made_of: Mapping[str, Any],
    rival: "ValueModel",
    figures: "Figures",
    serving: Champion | None,
) -> "Verdict":
    """Whether the model takes the champion's place, judged where neither has learnt."""
    from include.features.panels import high_value
    from include.models.value import contest, search
    from include.models.value import model as value

    if serving is None or serving.manifest.get("question") != made_of["question"]:
        return contest.first(figures)
    before = _figures(panels.conn, serving)
    if before and serving.manifest.get("method") == made_of["method"]:
        return contest.renewal(figures, before)
    said = population_drift.judged_scores(panels.conn, serving.model_version)
    if said.empty:
        # A champion from before such scores were kept: its own figures are all there is.
        return contest.renewal(figures, before) if before else contest.first(figures)
    cut = population_drift.as_day(said)
    later = panels.judged(cut)
    if cut != made_of["cuts"][0]:
        past = panels.matured(cut)
        tuned = replace(chosen, tuning=search.search(chosen, past)[0])
        rival = value.ValueModel(tuned, rival.algorithm).fit_high_value(past)
    later = later.assign(
        label=high_value(later, chosen.high_value_share), ours=rival.predict_high_value(later)
    )
    both = later.merge(said.drop(columns="cut"), on="customer_id")
    return contest.challenge(
        figures,
        both["label"].to_numpy(float),
        both["ours"].to_numpy(float),
        both["p_high_value"].to_numpy(float),
        age_days=(as_of.parse(made_of["anchor"]) - as_of.parse(serving.anchor)).days,
        seed=chosen.seed,
    )


def _figures(conn: Connection, serving: Champion) -> "Figures":
    """What the champion and the naive rule reached on its judge day."""
    return {
        metric: {"ours": ours, "baseline": baseline}
        for metric, ours, baseline in warehouse.rows(
            conn,
            "SELECT metric, ours, baseline FROM ml.backtests "
            "WHERE model_version = %(v)s AND setting = %(setting)s AND metric = 'roc_auc'",
            {"v": serving.model_version, "setting": serving.algorithm},
        )
    }


def _rolling(
    panels: Panels, chosen: "Settings", algorithm: str, version: str, anchor: str, newest: str
) -> list[dict[str, Any]]:
    """Figures of the recipe at several past days, as rows of ml.backtests.

    With the settings that a search starts from, whose choice saw none of these outcomes.
    """
    from include.models.value import rolling
    from include.models.value.model import ValueModel

    lines = []
    for origin in origins(newest, chosen.horizon_days):
        past, later = panels.matured(origin), panels.judged(origin)
        model = ValueModel(chosen, algorithm).fit_high_value(past).fit_spend(past)
        for figure in rolling.figures(rolling.judged(model, past, later), chosen.seed):
            setting = "rolling" + (f"/decile={figure.decile}" if figure.decile else "")
            pair = {"ours": figure.ours, "baseline": figure.baseline}
            lines.append(
                _line(version, anchor, origin, figure.metric, setting, pair, figure.n)
                | {
                    "ours_low": figure.low,
                    "ours_high": figure.high,
                    "difference_low": figure.difference_low,
                    "difference_high": figure.difference_high,
                }
            )
    return lines


def _line(
    version: str,
    anchor: str,
    cut: str,
    metric: str,
    setting: str,
    figure: Mapping[str, float],
    n: int,
) -> dict[str, Any]:
    return {
        "model_version": version,
        "anchor": anchor,
        "cut": cut,
        "metric": metric,
        "setting": setting,
        "ours": figure["ours"],
        "baseline": figure["baseline"],
        "baseline_name": BASELINE_NAME,
        "n": n,
    }


def _hash(panels: Panels, anchor: str) -> str:
    """A hash of every row that the model of an anchor day learns from."""
    import numpy as np
    import pandas as pd

    rows = pd.concat([panels.matured(anchor), panels.recent(anchor)])
    data = pd.util.hash_pandas_object(
        rows.drop(columns=["first_order_day", "last_order_day"]), index=False
    )
    return hashlib.sha256(np.asarray(data).tobytes()).hexdigest()


def _rounded(figure: float) -> float | None:
    return None if figure != figure else round(figure, 5)


def champion(conn: Connection, day: str) -> Champion | None:
    """The value model that serves a day, or None before the first one."""
    return next(iter(_candidates(conn, day)), None)


def load_champion(conn: Connection, day: str) -> "tuple[str, ValueModel]":
    """The value model that serves a day: the champion, or the one before it where it cannot be read.

    Raises
    ------
    BadInput
        When none was trained at or before the day.
    """
    from include.features import customers
    from include.models import registry
    from include.models.value.model import ValueModel

    def read(found: Champion, stored: bytes) -> "ValueModel":
        unknown = set(found.manifest.get("features", [])) - set(customers.NAMES)
        if unknown:
            raise BadInput(
                f"Expected features that the code knows, found {', '.join(sorted(unknown))}: the model is of "
                "another version of it."
            )
        return ValueModel.from_state(registry.loads(stored))

    loaded = champions.load(conn, _candidates(conn, day), read)
    if loaded is None:
        raise BadInput(
            f"Expected a trained value model for {day}, found none: run regulars_models for the day first."
        )
    return loaded[0].model_version, loaded[1]


def _candidates(conn: Connection, day: str) -> list[Champion]:
    made_of = recipe(anchor_of(day), settings())
    return champions.candidates(
        conn, KIND, day, recipe=made_of["recipe"], question=made_of["question"]
    )


def reference(conn: Connection, version: str) -> dict[str, Any]:
    """What later days are compared with for drift; empty for a model from before it was kept."""
    found: dict[str, Any] | None = warehouse.value(
        conn,
        "SELECT manifest -> 'reference' FROM ml.models WHERE model_version = %(v)s",
        {"v": version},
    )
    return found or {}
