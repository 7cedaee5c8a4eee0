"""Fit, judge and store the value model of an anchor day, and find the one that serves."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
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

    from include.models.value.contest import Judged, Verdict
    from include.models.value.model import Settings, ValueModel
    from include.models.value.search import Trial

log = logging.getLogger(__name__)

#: How the value model is called in ml.models.
KIND = "value"
#: Where its code begins (`include.models.code`).
MADE_BY = (
    "include.steps.training.value_model",
    "include.steps.training.panels",
    "include.steps.features",
)

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

    The winner of the contest (`hold`) is fitted again on every matured cut; whether it takes the champion's
    place, `include.models.value.contest` says. `because` is why it is trained.

    Raises
    ------
    BadInput
        When the history is too short or too poor to learn from.
    """
    from include.models import registry
    from include.models.value.model import ValueModel

    anchor, cuts = made_of["anchor"], made_of["cuts"]
    if not cuts or not matured_cuts(cuts[0], chosen.horizon_days):
        raise BadInput(
            f"Expected at least {2 * chosen.horizon_days + MINIMUM_HISTORY_DAYS} days of history by "
            f"{anchor}, to learn from one period and be judged on a later one, found fewer: the present "
            "champion stays; run a later day."
        )
    held = hold(panels, chosen, cuts[0], anchor)
    verdict = _verdict(panels, chosen, made_of, held, serving)
    matured = panels.matured(anchor)
    model = ValueModel(held.tuned, held.winner).fit(matured, panels.recent(anchor))
    reference = population_drift.reference(panels, anchor, held.tuned, matured)
    stored = registry.dumps(model.state())
    manifest = dict(made_of) | {
        "tuning": held.tuned.tuning.as_dict(),
        "data": _hash(panels, anchor),
        "window": {"first_cut": cuts[-1], "last_cut": cuts[0], "outcomes_until": anchor},
        "rows": len(matured),
        "features": held.tuned.names,
    }
    told = {
        "explained": model.explained(matured),
        "trained_because": because,
        "promotion": verdict.as_dict(),
        "search": held.searched(),
        "reference": reference,
        champions.HASH: hashlib.sha256(stored).hexdigest(),
    }
    versions = {
        name: registry.version(KIND, anchor, manifest | {"algorithm": name}) for name in held.names
    }
    return Trained(
        models=_models(held, versions, manifest, told, stored, verdict),
        backtests=_backtests(panels, chosen, held, versions, anchor),
        judged_scores=held.scores(versions[held.winner]),
        version=versions[held.winner],
        verdict=verdict,
        reference=reference,
    )


@dataclass(frozen=True)
class Held:
    """A contest as it was held: what was learnt from, who competed, what each reached, who won.

    Attributes
    ----------
    cut
        The judge's day; `past` had matured by then, `later` are its own customers.
    tuned
        The settings with what the search found, `trials` what it tried.
    """

    cut: str
    past: "pd.DataFrame"
    later: "pd.DataFrame"
    tuned: "Settings"
    trials: "Sequence[Trial]"
    rivals: "Mapping[str, ValueModel]"
    judged: "Mapping[str, Judged]"
    winner: str

    @property
    def names(self) -> list[str]:
        """The algorithms, the winner first."""
        return sorted(self.rivals, key=lambda name: name != self.winner)

    def searched(self) -> dict[str, Any]:
        """How the settings were found, as JSON can hold it."""
        from include.models.value import search

        return {
            "budget": search.BUDGET,
            "outcomes_until": self.cut,
            "rows": len(self.past),
            "trials": [trial.as_dict() for trial in self.trials],
        }

    def scores(self, version: str) -> "pd.DataFrame":
        """Rows of ml.judged_scores: what the winner said of the judge day's customers."""
        import pandas as pd

        return pd.DataFrame(
            {
                "model_version": version,
                "customer_id": self.later["customer_id"],
                "cut": self.cut,
                "p_high_value": self.rivals[self.winner].predict_high_value(self.later),
            }
        ).head(KEPT_SCORES)


def hold(panels: Panels, chosen: "Settings", cut: str, asked_on: str) -> Held:
    """Let every algorithm compete on one day.

    Each is tuned and fitted on the cuts that had matured by then and judged on the day's customers, whose own
    outcomes have matured by the end of `asked_on`. The blend is the standing algorithm; another one takes
    its place only where it is better by more than chance.
    """
    from include.models.value import contest, search

    past, later = panels.matured(cut), panels.judged(cut, asked_on)
    tuning, trials = search.search(chosen, past)
    tuned = replace(chosen, tuning=tuning)
    rivals = contest.rivals(tuned, past)
    judged = contest.judge(rivals, later)
    return Held(cut, past, later, tuned, trials, rivals, judged, contest.winner(rivals, later))


def _verdict(
    panels: Panels,
    chosen: "Settings",
    made_of: Mapping[str, Any],
    held: Held,
    serving: Champion | None,
) -> "Verdict":
    """Whether the winner takes the champion's place, judged where neither has learnt."""
    from include.features.panels import high_value
    from include.models.value import contest, search
    from include.models.value.model import ValueModel

    judged, rival = held.judged[held.winner], held.rivals[held.winner]
    if serving is None or serving.manifest.get("question") != made_of["question"]:
        return contest.first(judged)
    before = _judged(panels.conn, serving)
    if before and serving.manifest.get("method") == made_of["method"]:
        return contest.renewal(judged, before)
    said = population_drift.judged_scores(panels.conn, serving.model_version)
    if said.empty:
        # A champion from before such scores were kept: its own figures are all there is.
        return contest.renewal(judged, before) if before else contest.first(judged)
    cut = population_drift.as_day(said)
    later = panels.judged(cut, made_of["anchor"])
    if cut != held.cut:
        past = panels.matured(cut)
        tuned = replace(chosen, tuning=search.search(chosen, past)[0])
        rival = ValueModel(tuned, rival.algorithm).fit_high_value(past)
    later = later.assign(
        label=high_value(later, chosen.high_value_share), ours=rival.predict_high_value(later)
    )
    both = later.merge(said.drop(columns="cut"), on="customer_id")
    return contest.challenge(
        judged,
        both["label"].to_numpy(float),
        both["ours"].to_numpy(float),
        both["p_high_value"].to_numpy(float),
        age_days=(as_of.parse(made_of["anchor"]) - as_of.parse(serving.anchor)).days,
        seed=chosen.seed,
    )


def _judged(conn: Connection, serving: Champion) -> "Judged | None":
    """What the champion and the baselines reached on its judge day; None where it was not kept."""
    from include.models.value.contest import Judged

    found = warehouse.rows(
        conn,
        "SELECT baseline_name, ours, baseline FROM ml.backtests "
        "WHERE model_version = %(v)s AND metric = 'roc_auc' "
        "AND (setting = %(setting)s OR setting = 'beside ' || baseline_name)",
        {"v": serving.model_version, "setting": serving.algorithm},
    )
    if not found:
        return None
    return Judged(
        {"roc_auc": found[0][1]}, {name: {"roc_auc": figure} for name, _, figure in found}
    )


def _models(
    held: Held,
    versions: Mapping[str, str],
    manifest: Mapping[str, Any],
    told: Mapping[str, Any],
    stored: bytes,
    verdict: "Verdict",
) -> "pd.DataFrame":
    """Rows of ml.models, the winner's first: it alone can be asked to predict.

    Its rivals, who learnt from less, are kept for what they showed.
    """
    import pandas as pd

    rows = []
    for name in held.names:
        wins = name == held.winner
        about = dict(manifest) | {"algorithm": name}
        more = told if wins else {"explained": held.rivals[name].explained(held.past)}
        figures = held.judged[name].ours
        rows.append(
            champions.model_row(
                KIND,
                manifest["anchor"],
                versions[name],
                name,
                about | dict(more),
                {metric: _rounded(figure) for metric, figure in figures.items()},
                stored if wins else None,
                is_champion=verdict.promoted and wins,
            )
        )
    return pd.DataFrame(rows)


def _backtests(
    panels: Panels, chosen: "Settings", held: Held, versions: Mapping[str, str], anchor: str
) -> "pd.DataFrame":
    """Rows of ml.backtests: each algorithm beside the usual baseline, the winner beside all."""
    import pandas as pd

    from include.models.value.baselines import USUAL

    lines = []
    for name in held.names:
        judged = held.judged[name]
        others = [b for b in judged.baselines if b != USUAL] if name == held.winner else []
        for baseline in (USUAL, *others):
            setting = name if baseline == USUAL else f"beside {baseline}"
            lines += [
                _line(
                    versions[name], anchor, held.cut, metric, setting, baseline,
                    ours, judged.baselines[baseline][metric], len(held.later),
                )
                for metric, ours in judged.ours.items()
            ]  # fmt: skip
    lines += _rolling(panels, chosen, held.winner, versions[held.winner], anchor, held.cut)
    return pd.DataFrame(lines, columns=contracts.load("ml", "backtests").content)


def _rolling(
    panels: Panels, chosen: "Settings", algorithm: str, version: str, anchor: str, newest: str
) -> list[dict[str, Any]]:
    """Figures of the recipe at several past days, as rows of ml.backtests.

    With the settings that a search starts from, whose choice saw none of these outcomes.
    """
    from include.models.value import rolling
    from include.models.value.baselines import USUAL
    from include.models.value.model import ValueModel

    lines = []
    for origin in origins(newest, chosen.horizon_days):
        past, later = panels.matured(origin), panels.judged(origin, anchor)
        model = ValueModel(chosen, algorithm).fit_high_value(past).fit_spend(past)
        for figure in rolling.figures(rolling.judged(model, past, later), chosen.seed):
            setting = "rolling" + (f"/decile={figure.decile}" if figure.decile else "")
            lines.append(
                _line(
                    version,
                    anchor,
                    origin,
                    figure.metric,
                    setting,
                    USUAL,
                    figure.ours,
                    figure.baseline,
                    figure.n,
                )  # fmt: skip
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
    baseline_name: str,
    ours: float,
    baseline: float,
    n: int,
) -> dict[str, Any]:
    return {
        "model_version": version,
        "anchor": anchor,
        "cut": cut,
        "metric": metric,
        "setting": setting,
        "ours": ours,
        "baseline": baseline,
        "baseline_name": baseline_name,
        "n": n,
    }


def _hash(panels: Panels, anchor: str) -> str:
    """A hash of every row that the model of an anchor day learns from."""
    import pandas as pd

    rows = pd.concat([panels.matured(anchor), panels.recent(anchor)])
    return champions.data_hash(rows.drop(columns=["first_order_day", "last_order_day"]))


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
