"""BG/NBD and Gamma-Gamma against the published figures and against the `lifetimes` package.

On CDNOW (2,357 customers, in weeks, calibrated to 1997-09-30) the parameters are compared with those of
Fader, Hardie and Lee (2005) and Fader and Hardie (2013). On simulated customers the time to fit and to
predict 13 weeks is compared with that of `lifetimes`, at the likelihood that each reaches: with times in
whole days, as orders are counted here and many customers share a history, and with continuous times, where
no two customers are alike. `apart` is how far the two lie apart.

`lifetimes`, which also holds the CDNOW data, is installed into an environment of its own under the state
folder, by pip; it is no part of the project. Where it cannot be had, the peer's figures are null, and the
data may be given as a CSV file with the columns x, t_x, T, zbar.

    bin/regulars bench lifetime [--customers 200000] [--continuous 20000] [--cdnow FILE]
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lines import show
from benchmarks._peers import python_with
from include.features.arrays import Floats
from include.models.lifetime import BetaGeo, GammaGamma

PEER = "lifetimes"
PEER_VERSION = "0.11.3"
CDNOW = "datasets/cdnow_customers_summary_with_transactions.csv"

#: Fader, Hardie and Lee (2005), table 2; Fader and Hardie (2013).
PUBLISHED_BG = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
PUBLISHED_GG = {"p": 6.25, "q": 3.745, "v": 15.45}

WEEKS_AHEAD = 13
SEED = 20170101

#: Run by the peer's own Python: fits, predicts and prints what it took.
PEER_SCRIPT = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from lifetimes import BetaGeoFitter
data = np.load(sys.argv[1])
x, t_x, age = data["x"], data["t_x"], data["age"]
start = time.perf_counter()
model = BetaGeoFitter().fit(x, t_x, age)
fitted = time.perf_counter()
expected = model.conditional_expected_number_of_purchases_up_to_time(int(sys.argv[2]), x, t_x, age)
done = time.perf_counter()
print(json.dumps({
    "fit": fitted - start, "predict": done - fitted, "expected": float(np.nansum(expected)),
    "params": {name: float(value) for name, value in model.params_.items()},
}))
"""


def cdnow(python: Path | None, given: str | None) -> pd.DataFrame:
    """Frequency, recency, T and mean value of the CDNOW customers, in weeks and dollars."""
    path = given
    if path is None and python is not None:
        found = subprocess.run(
            [str(python), "-c", f"import {PEER}; print({PEER}.__path__[0])"],
            check=True,
            capture_output=True,
            text=True,
        )
        path = str(Path(found.stdout.strip()) / CDNOW)
    if path is None:
        raise SystemExit(
            "Expected the CDNOW data, found neither the package that holds it nor --cdnow FILE: give a CSV "
            "with the columns x, t_x, T, zbar."
        )
    return pd.read_csv(path)[["x", "t_x", "T", "zbar"]]


def peer(python: Path | None, x: Floats, t_x: Floats, age: Floats) -> dict[str, Any] | None:
    """What the peer makes of the same customers, in a process of its own."""
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.npz"
        np.savez(path, x=x, t_x=t_x, age=age)
        done = subprocess.run(
            [str(python), "-c", PEER_SCRIPT, str(path), str(WEEKS_AHEAD)],
            check=True,
            capture_output=True,
            text=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def likelihood_of(
    theirs: dict[str, Any] | None, x: Floats, t_x: Floats, age: Floats
) -> float | None:
    """The peer's log-likelihood, by the same formula as ours."""
    if theirs is None:
        return None
    model = BetaGeo()
    for name in PUBLISHED_BG:
        setattr(model, f"{name}_", theirs["params"][name])
    return float(model.log_likelihood(x, t_x, age).sum())


def show_apart(
    setting: str,
    model: BetaGeo,
    theirs: dict[str, Any] | None,
    n: int,
    expected: float | None = None,
) -> None:
    """The largest difference from the peer's parameters and expected purchases, as a share of them."""
    if theirs is None:
        return
    pairs = [(float(getattr(model, f"{name}_")), theirs["params"][name]) for name in PUBLISHED_BG]
    if expected is not None:
        pairs.append((expected, theirs["expected"]))
    most = max(abs(ours / peers - 1) for ours, peers in pairs)
    show("lifetime", "apart", setting, most * 1e6, None, PEER, unit="millionths", n=n)


def on_cdnow(data: pd.DataFrame, python: Path | None) -> None:
    """Parameters beside the published ones, likelihood and time beside the peer's."""
    x, t_x, age = (data[name].to_numpy(np.float64) for name in ("x", "t_x", "T"))
    repeats = data[data["x"] > 0]
    start = time.perf_counter()
    model = BetaGeo().fit(x, t_x, age)
    seconds = time.perf_counter() - start
    money = GammaGamma().fit(repeats["x"], repeats["zbar"])
    for fitted, published in ((model, PUBLISHED_BG), (money, PUBLISHED_GG)):
        for name, value in published.items():
            ours = float(getattr(fitted, f"{name}_"))
            n = len(data) if fitted is model else len(repeats)
            show("lifetime", name, "cdnow", ours, value, "published", unit="parameter", n=n)
    theirs = peer(python, x, t_x, age)
    show(
        "lifetime", "log_likelihood", "cdnow",
        model.log_likelihood_, likelihood_of(theirs, x, t_x, age), PEER, unit="nats", n=len(data),
    )  # fmt: skip
    show(
        "lifetime", "seconds", "cdnow", seconds, theirs["fit"] if theirs else None, PEER,
        unit="seconds", n=len(data), what="fit",
    )  # fmt: skip
    show_apart("cdnow", model, theirs, len(data))


def simulated(customers: int, *, by_day: bool) -> tuple[Floats, Floats, Floats]:
    """Frequency, recency and T of customers who follow the published CDNOW parameters."""
    random = np.random.default_rng(SEED)
    age = random.integers(27 * 7, 78 * 7, customers) / 7
    if not by_day:
        age += random.random(customers) / 7
    rate = random.gamma(PUBLISHED_BG["r"], 1 / PUBLISHED_BG["alpha"], customers)
    drop = random.beta(PUBLISHED_BG["a"], PUBLISHED_BG["b"], customers)
    x, t_x, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = np.arange(customers)
    while len(alive):
        now[alive] += random.exponential(1 / np.maximum(rate[alive], 1e-12))
        alive = alive[now[alive] <= age[alive]]
        x[alive] += 1
        t_x[alive] = np.floor(now[alive] * 7) / 7 if by_day else now[alive]
        alive = alive[random.random(len(alive)) >= drop[alive]]
    return x, t_x, age


def on_simulated(customers: int, python: Path | None, *, by_day: bool) -> None:
    """Time to fit and to predict, at the likelihood reached."""
    x, t_x, age = simulated(customers, by_day=by_day)
    start = time.perf_counter()
    model = BetaGeo().fit(x, t_x, age)
    fitted = time.perf_counter()
    expected = model.expected_purchases(WEEKS_AHEAD, x, t_x, age)
    done = time.perf_counter()
    theirs = peer(python, x, t_x, age)
    setting = f"customers={customers}" if by_day else f"customers={customers}, continuous"
    distinct = len(np.unique(np.column_stack([x, t_x, age]), axis=0))
    show(
        "lifetime", "seconds", setting, done - start,
        theirs["fit"] + theirs["predict"] if theirs else None, PEER, unit="seconds", n=customers,
        fit=round(fitted - start, 3), predict=round(done - fitted, 3), distinct_rows=distinct,
    )  # fmt: skip
    show(
        "lifetime", "log_likelihood", setting, model.log_likelihood_,
        likelihood_of(theirs, x, t_x, age), PEER, unit="nats", n=customers,
    )  # fmt: skip
    show(
        "lifetime", "expected_purchases", setting, float(expected.sum()),
        theirs["expected"] if theirs else None, PEER, unit="purchases", n=customers,
    )  # fmt: skip
    show_apart(setting, model, theirs, customers, float(expected.sum()))


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument(
        "--continuous",
        type=int,
        nargs="*",
        default=[20_000],
        help="customers with continuous times",
    )
    parser.add_argument("--cdnow", help="CSV file with the columns x, t_x, T, zbar")
    options = parser.parse_args()
    python = python_with(PEER, PEER_VERSION)
    on_cdnow(cdnow(python, options.cdnow), python)
    for customers in options.customers:
        on_simulated(customers, python, by_day=True)
    for customers in options.continuous:
        on_simulated(customers, python, by_day=False)


if __name__ == "__main__":
    main()
