"""Train the value model of an anchor day on past cut-off days, and publish champions."""

import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, gates, policy, publication, warehouse
from include.errors import BadInput
from include.publication import Batch
from include.steps import features
from include.steps.recommend import anchor_of
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.models.value import Settings, ValueModel

log = logging.getLogger(__name__)

#: How the value model is called in ml.models.
KIND = "value"

#: A model whose ROC AUC on the later cut is this much below the naive rule's does not serve.
WORSE_BY = 0.005

#: Days between the cut-off days of the training rows.
CUT_STEP_DAYS = 28

#: No cut before the shop had this many days of orders: a shorter history tells nobody apart.
MINIMUM_HISTORY_DAYS = 28

#: Later cuts, besides the matured ones, that churn and the next order are learnt from.
RECENT_CUTS_DAYS = (28, 56)


def plan(run: Mapping[str, Any]) -> dict[str, Any]:
    """Open the batch that the trainings of the day fill side by side."""
    with publication.opened("champions", dict(run) | {"since": run["as_of"]}) as (conn, batch):
        for contract in contracts.of_dataset("champions"):
            publication.stage(conn, batch, contract)
    return batch.as_dict()


def settings() -> "Settings":
    """What the policy says about the value model; no model learns from generated columns."""
    from include.models.value import Settings

    rules = policy.load().models
    return Settings(
        horizon_days=rules.horizon_days,
        high_value_share=rules.high_value_share,
        seed=rules.seed,
        leave_out=features.generated(),
    )


def matured_cuts(day: str, horizon_days: int) -> list[str]:
    """Cut-off days whose horizon has passed by the end of `day`, newest first."""
    rules = policy.load()
    first = as_of.parse(as_of.days_before(rules.shop.opened_on.isoformat(), -MINIMUM_HISTORY_DAYS))
    newest = as_of.parse(anchor_of(as_of.days_before(day, horizon_days)))
    count = max(0, (newest - first).days // CUT_STEP_DAYS + 1) if newest >= first else 0
    return [as_of.days_before(newest.isoformat(), CUT_STEP_DAYS * k) for k in range(count)]


def train_value(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Fit, judge and stage the value model of the batch's anchor day, unless it stands already.

    Returns
    -------
    dict
        The model's version, whether it was trained now, and its figures beside the baseline's.
    """
    opened = Batch.from_dict(batch)
    anchor = anchor_of(opened.as_of)
    chosen = settings()
    made_of = recipe(anchor, chosen)
    with warehouse.connect() as conn:
        found = _standing(conn, anchor, made_of["recipe"])
        if found:
            log.info("The value model of %s stands: %s", anchor, found)
            return {"model_version": found, "trained": False, "metrics": {}}
        panels = Panels(conn, chosen.horizon_days)
        rows, backtests = fit(panels, anchor, chosen, made_of)
    with warehouse.connect() as conn:
        table = opened.table(contracts.load("ml", "models"))
        warehouse.execute(conn, f"DELETE FROM {table} WHERE kind = %(kind)s", {"kind": KIND})
        warehouse.copy_frame(conn, rows, table)
        table = opened.table(contracts.load("ml", "backtests"))
        warehouse.execute(
            conn, f"DELETE FROM {table} WHERE model_version LIKE %(kind)s", {"kind": f"{KIND}-%"}
        )
        warehouse.copy_frame(conn, backtests, table)
    best = rows.sort_values("is_champion", ascending=False, kind="stable").iloc[0]
    log.info("Trained %s: %s", best["model_version"], best["metrics"])
    return {"model_version": best["model_version"], "trained": True, "metrics": best["metrics"]}


def recipe(anchor: str, chosen: "Settings") -> dict[str, Any]:
    """What decides a value model besides the data, and a hash of it."""
    from include.features import customers
    from include.models import blend, evaluate, lifetime, recipes, registry, value

    code = "".join(
        inspect.getsource(module)
        for module in (customers, blend, evaluate, lifetime, recipes, value)
    )
    code += warehouse.sql("features/customer_features") + warehouse.sql("ml/customer_outcomes")
    made_of = {
        "anchor": anchor,
        "settings": chosen.as_dict(),
        "cuts": matured_cuts(anchor, chosen.horizon_days),
        "recent_cuts_days": list(RECENT_CUTS_DAYS),
        "code": hashlib.sha256(code.encode()).hexdigest(),
        "libraries": {name: library_version(name) for name in ("numpy", "scikit-learn", "scipy")},
    }
    return made_of | {"recipe": registry.digest(made_of)}


class Panels:
    """Training rows; the features of a cut are built once, whoever asks.

    Parameters
    ----------
    known
        Features by cut; hand in one dictionary for several horizons, and they share what is built.
    """

    def __init__(
        self, conn: Connection, horizon_days: int, known: "dict[str, pd.DataFrame] | None" = None
    ) -> None:
        self.conn = conn
        self.horizon_days = horizon_days
        self.known = {} if known is None else known

    def matured(self, day: str) -> "pd.DataFrame":
        """Rows of every cut whose horizon had passed by the end of `day`."""
        return self._panel(matured_cuts(day, self.horizon_days), self.horizon_days)

    def recent(self, day: str) -> "pd.DataFrame":
        """Rows of the matured cuts and of later ones whose next four weeks had passed by then."""
        from include.models.value import CHURN_DAYS

        later = [as_of.days_before(day, days) for days in RECENT_CUTS_DAYS]
        return self._panel([*later, *matured_cuts(day, self.horizon_days)], CHURN_DAYS)

    def judged(self, cut: str) -> "pd.DataFrame":
        """The rows of one cut."""
        return self._panel([cut], self.horizon_days)

    def _panel(self, cuts: Sequence[str], days: int) -> "pd.DataFrame":
        from include.models.value import panel

        return panel(
            (cut, self._features(cut), features.outcomes(self.conn, cut, days))
            for cut in sorted(cuts)
        )

    def _features(self, cut: str) -> "pd.DataFrame":
        if cut not in self.known:
            self.known[cut] = features.customers(self.conn, cut)
        return self.known[cut]


def fit(
    panels: Panels, anchor: str, chosen: "Settings", made_of: Mapping[str, Any]
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The models of an anchor day as rows of ml.models, and their backtests as rows of ml.backtests.

    Every algorithm is fitted on the cuts that had matured by the judge's day and judged on that day,
    whose own outcomes have matured by now. The blend is the standing recipe; another algorithm takes its
    place only where it is better by more than chance. The winner is fitted again on every matured cut,
    and serves unless the naive rule was better by more than `WORSE_BY`.

    Raises
    ------
    BadInput
        When the history is too short or too poor to learn from.
    """
    import numpy as np
    import pandas as pd

    from include.models import registry, value

    judge_cut = made_of["cuts"][0] if made_of["cuts"] else None
    if judge_cut is None or not matured_cuts(judge_cut, chosen.horizon_days):
        raise BadInput(
            f"Expected at least {2 * chosen.horizon_days + MINIMUM_HISTORY_DAYS} days of history by "
            f"{anchor}, to learn from one period and be judged on a later one, found fewer: the present "
            "champion stays; run a later day."
        )
    past, later = panels.matured(judge_cut), panels.judged(judge_cut)
    rivals = value.rivals(chosen, past)
    judged = {name: value.judge(model, later) for name, model in rivals.items()}
    algorithm = value.winner(rivals, later)
    figures = judged[algorithm]["roc_auc"]
    serves = figures["ours"] >= figures["baseline"] - WORSE_BY
    if not serves:
        log.warning(
            "The best model of %s has a ROC AUC of %.4f on %s, the naive rule %.4f: the champion stays.",
            anchor,
            figures["ours"],
            judge_cut,
            figures["baseline"],
        )
    matured, recent = panels.matured(anchor), panels.recent(anchor)
    model = value.ValueModel(chosen, algorithm).fit(matured, recent)
    data = pd.util.hash_pandas_object(
        pd.concat([matured, recent]).drop(columns=["first_order_day", "last_order_day"]),
        index=False,
    )
    manifest = dict(made_of) | {
        "data": hashlib.sha256(np.asarray(data).tobytes()).hexdigest(),
        "rows": len(matured),
        "features": list(model.names),
    }
    rows, backtests = [], []
    for name, rival in rivals.items():
        about = manifest | {"algorithm": name}
        version = registry.version(KIND, anchor, about)
        serving = model if name == algorithm else rival
        rows.append(
            {
                "model_version": version,
                "kind": KIND,
                "anchor": anchor,
                "algorithm": name,
                "is_champion": serves and name == algorithm,
                "manifest": about | {"explained": serving.explained()},
                "metrics": {m: _rounded(figure["ours"]) for m, figure in judged[name].items()},
                # Rivals are kept for what they showed; only the champion can be asked to predict.
                "artefact": (
                    "\\x" + registry.dumps(model.state()).hex()
                    if serves and name == algorithm
                    else None
                ),
            }
        )
        backtests += [
            {
                "model_version": version,
                "anchor": anchor,
                "cut": judge_cut,
                "metric": metric,
                "setting": name,
                "ours": figure["ours"],
                "baseline": figure["baseline"],
                "baseline_name": "spend in the last 13 weeks",
                "n": len(later),
            }
            for metric, figure in judged[name].items()
        ]
    return pd.DataFrame(rows), pd.DataFrame(backtests)


def _rounded(figure: float) -> float | None:
    return None if figure != figure else round(figure, 5)


def _standing(conn: Connection, anchor: str, made_of: str) -> str | None:
    found: str | None = warehouse.value(
        conn,
        "SELECT model_version FROM ml.models WHERE kind = %(kind)s AND anchor = %(anchor)s "
        "AND manifest ->> 'recipe' = %(recipe)s ORDER BY is_champion DESC, algorithm LIMIT 1",
        {"kind": KIND, "anchor": anchor, "recipe": made_of},
    )
    return found


def build(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the gate publishes, for a gate whose staged batch is gone."""
    from include.steps import recommend

    opened = plan(batch)
    train_value(opened)
    recommend.train(opened)
    return opened


def gate(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Publish what was trained; where a training failed, the champion before it goes on serving.

    Raises
    ------
    BadInput
        When a kind has no champion at all for the day.
    """
    from include.steps import recommend

    counts = gates.gate(batch, rebuild=build)
    day = batch["as_of"]
    with warehouse.connect() as conn:
        serving = {
            KIND: champion(conn, day),
            recommend.KIND: (recommend.champion(conn, day) or (None,))[0],
        }
    missing = [kind for kind, version in serving.items() if version is None]
    if missing:
        raise BadInput(
            f"Expected a champion of each kind for {day}, found none of {', '.join(missing)}: see the failed "
            "training task of this run; scoring cannot start without one."
        )
    return counts | {"champions": serving}


def champion(conn: Connection, day: str) -> str | None:
    """Version of the value model that serves a day, or None before the first one."""
    found: str | None = warehouse.value(
        conn,
        """
        SELECT model_version FROM ml.models
        WHERE kind = %(kind)s AND is_champion AND anchor <= %(day)s
        ORDER BY anchor DESC, updated_at DESC, model_version LIMIT 1
        """,
        {"kind": KIND, "day": day},
    )
    return found


def load_champion(conn: Connection, day: str) -> "tuple[str, ValueModel]":
    """The value model that serves a day.

    Raises
    ------
    BadInput
        When none was trained at or before the day.
    """
    from include.models import registry
    from include.models.value import ValueModel

    version = champion(conn, day)
    if version is None:
        raise BadInput(
            f"Expected a trained value model for {day}, found none: run regulars_models for the day first."
        )
    stored = warehouse.value(
        conn, "SELECT artefact FROM ml.models WHERE model_version = %(v)s", {"v": version}
    )
    return version, ValueModel.from_state(registry.loads(bytes(stored)))
