"""Uplift: whom a campaign makes buy more, learnt from a control group, on simulations whose truth is known.

SIMULATION: customers, what they spend and what a campaign adds to it are drawn by a seeded generator: spend
is skewed and often nothing, a tenth of the people are in control, decisions are spread over many days.
Three worlds: `none` (the campaign changes nothing), `constant` (it adds the same for everybody) and `mixed`
(it adds a lot for those who have been away for a while, and costs margin with those who come anyway).

* policy_gain: true gain a person of sending to those whose predicted uplift is above the cost of sending;
  peers in the same world: sending to everybody, and to those whom a T-learner picks (nobody: 0),
* correlation: of predicted and true uplift, in the mixed world,
* ranked: the share of draws in which the model claimed to tell people apart; where nobody gains more than
  others that is a false claim, and the peer is the 2.5% that an interval of 95% lets through on that side,
* apart: how far the learner's estimates lie from those of econml's X-learner over the same regressions;
  econml is no part of the project: `--peer` installs it into an environment of its own.

    bin/regulars bench uplift [--draws 30] [--people 20000] [--peer]
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._lines import show
from benchmarks._peers import python_with
from include.features.arrays import Bools, Floats
from include.models.campaigns.uplift import FEATURES, Settings, UpliftModel, XLearner, matrix

WORLDS = ("none", "constant", "mixed")
CONTROL, COST, SEED = 0.10, 1.0, 20170101
DAYS = 60

PEER, PEER_VERSION = "econml", "0.17.0"

#: Run by the peer's own Python: learns, estimates, keeps the estimates and prints the seconds.
PEER_SCRIPT = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from econml.metalearners import XLearner
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
data, penalty = np.load(sys.argv[1]), float(sys.argv[2])
ridge = lambda: make_pipeline(StandardScaler(), Ridge(alpha=penalty))
start = time.perf_counter()
model = XLearner(models=ridge(), cate_models=ridge(), propensity_model=DummyClassifier(strategy="prior"))
model.fit(data["outcome"], data["treated"].astype(int), X=data["known"])
effect = model.effect(data["later"]).ravel()
seconds = time.perf_counter() - start
np.save(sys.argv[3], effect)
print(json.dumps({"seconds": seconds}))
"""


@dataclass(frozen=True)
class World:
    """What was seen of some people, and what sending truly adds for others."""

    seen: pd.DataFrame
    later: pd.DataFrame
    truth: Floats


def drawn(kind: str, people: int, seed: int) -> World:
    """People to learn from, and as many new ones with the true effect of each."""
    random = np.random.default_rng(seed)
    known = _known(people, random)
    treated = random.random(people) >= CONTROL
    margin = _margin(known, random) + treated * _effect(kind, known)
    seen = known.assign(
        campaign="win_back",
        decided_on=pd.Timestamp("2017-10-01") + pd.to_timedelta(np.arange(people) % DAYS, "D"),
        is_treated=treated,
        propensity=1 - CONTROL,
        spend_before=known["sales_13w"],
        margin_after=margin,
    )
    later = _known(people, random)
    return World(seen, later, _effect(kind, later))


def _known(people: int, random: np.random.Generator) -> pd.DataFrame:
    sales = random.gamma(0.6, 400.0, people)
    recency = np.minimum(random.exponential(30.0, people), 300.0)
    found = {name: np.zeros(people) for name in FEATURES} | {
        "customer_id": [f"c{n}" for n in range(people)],
        "recency_days": recency,
        "tenure_days": random.uniform(30, 900, people),
        "sales_13w": sales,
        "sales_4w": sales * random.beta(2, 5, people),
        "orders_13w": np.ceil(sales / 40),
        "basket_mean_26w": random.gamma(4.0, 10.0, people),
    }
    return pd.DataFrame(found)


def _margin(known: pd.DataFrame, random: np.random.Generator) -> Floats:
    """Margin of four weeks: nothing for many, a lot for a few, more for those who spent more before."""
    mean = 0.05 * known["sales_13w"].to_numpy()
    buys = random.random(len(known)) < 0.6
    return np.asarray(buys * mean / 0.6 * random.gamma(1.5, 1 / 1.5, len(known)))


def _effect(kind: str, known: pd.DataFrame) -> Floats:
    if kind == "none":
        return np.zeros(len(known))
    if kind == "constant":
        return np.full(len(known), 2.0)
    away = np.clip((np.log1p(known["recency_days"].to_numpy()) - 2.5) / 1.5, -1.0, 1.5)
    return np.asarray(4.0 * away)


def gain(world: World, chosen: Bools) -> float:
    """True gain a person of sending to those chosen."""
    return float(np.where(chosen, world.truth - COST, 0.0).mean())


def t_learner(world: World) -> Floats:
    """The plainer peer: a fit of outcomes in each arm, the effect being their difference."""
    part = world.seen
    known, treated = matrix(part), part["is_treated"].to_numpy(dtype=bool)
    outcome = part["margin_after"].to_numpy(dtype=np.float64)
    arms = (treated, ~treated)
    fits = [
        make_pipeline(StandardScaler(), Ridge(alpha=Settings().penalty)).fit(
            known[arm], outcome[arm]
        )
        for arm in arms
    ]
    later = matrix(world.later)
    return np.asarray(fits[0].predict(later) - fits[1].predict(later))


def beside_peer(people: int) -> None:
    """The same people given to the peer's X-learner: seconds, and the largest difference in estimates."""
    python = python_with(PEER, PEER_VERSION)
    if python is None:
        return
    world = drawn("mixed", people, SEED)
    known, later = matrix(world.seen), matrix(world.later)
    outcome = world.seen["margin_after"].to_numpy(dtype=np.float64)
    treated = world.seen["is_treated"].to_numpy(dtype=bool)
    start = time.perf_counter()
    ours = XLearner().fit(known, outcome, treated).predict(later, float(treated.mean()))
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "people.npz", Path(folder) / "effect.npy"
        np.savez(given, known=known, later=later, outcome=outcome, treated=treated)
        done = subprocess.run(
            [str(python), "-c", PEER_SCRIPT, str(given), str(Settings().penalty), str(found)],
            check=True,
            capture_output=True,
            text=True,
        )
        theirs = np.load(found)
    taken = float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])
    more = {"peer_version": PEER_VERSION, "basis": "simulation"}
    apart = float(np.abs(ours - theirs).max() / theirs.std()) * 1e6
    show("uplift", "apart", "mixed", apart, None, PEER, unit="millionths of a standard deviation",
         n=people, **more)  # fmt: skip
    show("uplift", "seconds", "mixed", seconds, taken, PEER, unit="seconds", n=people, **more)


def main() -> None:
    """Print every figure of every world."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--peer", action="store_true", help=f"compare with {PEER}, too")
    options = parser.parse_args()
    if options.peer:
        beside_peer(options.people)
    for kind in WORLDS:
        figures: dict[str, list[float]] = defaultdict(list)
        for number in range(options.draws):
            world = drawn(kind, options.people, SEED + number)
            model = UpliftModel().fit(world.seen)
            predicted = model.predict(world.later)["win_back"].to_numpy()
            figures["ours"].append(gain(world, predicted > COST))
            figures["everybody"].append(gain(world, np.ones(len(predicted), dtype=bool)))
            figures["T-learner"].append(gain(world, t_learner(world) > COST))
            figures["best"].append(gain(world, world.truth > COST))
            figures["ranked"].append(model.campaigns_["win_back"].learner is not None)
            if kind == "mixed" and np.ptp(predicted) > 0:
                figures["correlation"].append(float(np.corrcoef(predicted, world.truth)[0, 1]))
        mean = {name: float(np.mean(values)) for name, values in figures.items()}
        more = {"draws": options.draws, "best": round(mean["best"], 4), "basis": "simulation"}
        for peer in ("everybody", "T-learner"):
            show("uplift", "policy_gain", kind, mean["ours"], mean[peer], peer, unit="money a person",
                 n=options.people, **more)  # fmt: skip
        level = None if kind == "mixed" else 0.025
        show("uplift", "ranked", kind, mean["ranked"], level, "chance", unit="share",
             n=options.draws, **more)  # fmt: skip
        if kind == "mixed":
            show("uplift", "correlation", kind, mean.get("correlation"), None, "", unit="",
                 n=options.people, **more)  # fmt: skip


if __name__ == "__main__":
    main()
