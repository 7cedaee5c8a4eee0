"""How long it takes to score a million customers with the champion, reasons included, and in what memory.

The champion's recipe is fitted as of 2017-10-01, by the functions that the DAGs call; the day's real
customers are drawn again until there are enough, each with his own small change of every amount, so that no
two are equal. A fresh process loads the stored model, scores them by the function of `regulars_score` and
reports its own time (loading the model included, the making of the customers not) and its peak memory
(everything included). There is no peer: the limits are 60 s and 2 GiB on two cores.

    bin/regulars bench score [--customers 1000000]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._lines import show
from benchmarks._year import whole_year
from include import warehouse
from include.models import registry
from include.models.value.model import ValueModel
from include.steps import features, score
from include.steps.training.panels import Panels, settings

DAY = "2017-10-01"
SEED = 20170101


def store(folder: Path) -> str:
    """Fit the model of the day, and write it and the day's customers; how it is called."""
    chosen = settings()
    with warehouse.connect() as conn:
        panels = Panels(conn, chosen.horizon_days)
        model = ValueModel(chosen).fit(panels.matured(DAY), panels.recent(DAY))
        features.customers(conn, DAY).to_parquet(folder / "customers.parquet")
    (folder / "model").write_bytes(registry.dumps(model.state()))
    return model.algorithm


def many(customers: pd.DataFrame, count: int) -> pd.DataFrame:
    """So many customers like those given, no two of them equal."""
    random = np.random.default_rng(SEED)
    drawn = customers.iloc[random.integers(0, len(customers), count)].reset_index(drop=True)
    amounts = [name for name, kind in drawn.dtypes.items() if kind == np.float64]
    for name in amounts:
        drawn[name] *= random.uniform(0.9, 1.1, count)
    return drawn


def measure(folder: Path, count: int) -> dict[str, float]:
    """Score in this process."""
    known = many(pd.read_parquet(folder / "customers.parquet"), count)
    start, busy = time.perf_counter(), time.process_time()
    model = ValueModel.from_state(registry.loads((folder / "model").read_bytes()))
    found = score.scores(model, known)
    took = time.perf_counter() - start, time.process_time() - busy
    assert len(found) == count
    assert found["predicted_value"].notna().all()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took[0], "cpu_seconds": took[1], "peak_rss_mib": peak}


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        print(json.dumps(measure(options.within, options.customers[0])))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with whole_year():
            store(folder)
        for count in options.customers:
            command = [sys.executable, __file__, "--within", name, "--customers", str(count)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.strip().splitlines()[-1])
            for metric, unit in (
                ("seconds", "seconds"),
                ("cpu_seconds", "seconds"),
                ("peak_rss_mib", "MiB"),
            ):
                setting = f"customers={count}"
                show("score", metric, setting, found[metric], None, "", unit=unit, n=count)


if __name__ == "__main__":
    main()
