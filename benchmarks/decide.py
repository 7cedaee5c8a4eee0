"""Deciding a day for up to a million customers: seconds, peak memory, and how both grow.

SIMULATION: customers, permissions and earlier decisions are drawn by a seeded generator; every customer is a
candidate of five campaigns, and the budgets pay for about a fifth of them. Everything after the reading of
the inputs runs as in the DAG, by its own functions: candidates, guard, the choice within the budgets, control
group, coupon codes and messages, staging, the gate's audit and the publication, in a database of its own that
is dropped again. Each size runs in a process of its own; memory is that process's, interpreter included.

* seconds: of each stage and in all; the peer of a larger size is the smallest size's time, scaled by the
  number of candidates, so that a ratio of 1 is linear growth,
* peak_rss_mib: the largest resident memory.

    bin/regulars bench decide [--customers 100000 300000 1000000]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._lines import show
from include import (
    contracts,
    policy,
    publication,
    warehouse,
)
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State
from include.offers.inputs import Inputs
from include.policy import Policy
from include.policy.triggers.segment import Segment
from include.steps import activate, gate

DATABASE = "bench_decide"
DAY = date(2017, 10, 1)
SEED = 20170101

#: The campaigns, and those of the shipped policy that they are made of: with coupons, and words that need
#: nothing but the customer.
CAMPAIGNS = {
    "first": "welcome",
    "second": "second_purchase",
    "third": "vip_exclusive",
    "fourth": "win_back",
    "fifth": "win_back",
}

#: Expected cost, for each customer, that the budgets of a day pay for.
PAID = 0.12

STAGES = ("decide", "stage", "publish")


def rules(customers: int) -> Policy:
    """The shipped policy with five campaigns for everybody, and budgets that are short."""
    shipped = policy.parse(policy.DEFAULT_PATH.read_text(encoding="utf-8"))
    campaigns = [
        shipped.campaign(model).model_copy(
            update={
                "name": name,
                "trigger": Segment(when="segment"),
                "audience": "all",
                "repeat": "month",
                "gap_days": 0,
                "budget_per_day": 0.3 * PAID * customers,
            }
        )
        for name, model in CAMPAIGNS.items()
    ]
    budgets = shipped.budgets.model_copy(update={"per_day": PAID * customers})
    return shipped.model_copy(update={"campaigns": campaigns, "budgets": budgets})


def drawn(customers: int) -> Inputs:
    """Customers who may nearly all be sent something, a decision of another day behind each."""
    random = np.random.default_rng(SEED)
    words = random.integers(0, 2**32, (customers, 2))
    ids = pd.Series([f"{a:08x}-0000-4000-8000-{b:012x}" for a, b in words.tolist()]).sort_values(
        ignore_index=True
    )
    numbers = np.arange(customers)
    never = pd.Series(np.full(customers, np.datetime64("NaT"), dtype="datetime64[s]"))
    people = pd.DataFrame(
        {
            "customer_id": ids,
            "person_id": ids,
            "external_id": pd.Series(numbers).astype("str"),
            "segment": pd.Series(np.array(["regular", "vip", "drifting"])[numbers % 3]).astype(
                "str"
            ),
            "priority_service": numbers % 3 == 1,
            "predicted_value": random.gamma(2.0, 200.0, customers).round(2),
            "predicted_orders": random.gamma(3.0, 4.0, customers).round(2),
            "expected_next_order_date": never,
            "orders_total": 9,
            "first_order_day": never,
            "model_version": "value-simulated",
            "birth_date": never,
            "is_birthday_faulty": False,
            "first_name": "Ann",
            "region": pd.Series(np.array(["north", "south"])[numbers % 2]).astype("str"),
            "registered_at": never,
            "complained_on": never,
            "returned_on": never,
        }
    )
    channels = pd.DataFrame({"customer_id": ids, "granted": random.random(customers) < 0.8})
    permissions = channels.assign(
        channel="email", has_contact=True, verified=True, suppressed=False
    )
    history = pd.DataFrame(
        {
            "customer_id": ids,
            "as_of": pd.Timestamp(DAY) - pd.to_timedelta(random.integers(1, 60, customers), "D"),
            "campaign": "an earlier one",
            "period": "2017-09",
        }
    )
    products = pd.DataFrame(
        {
            "customer_id": ids.repeat(2).to_numpy(),
            "list": "discover",
            "rank": np.tile([1, 2], customers),
            "name": np.tile(["Aged Gouda", "Sourdough bread"], customers),
            "score": 0.1,
        }
    )
    return Inputs(people, permissions, history, products, newest_day=DAY)


@contextmanager
def own_warehouse() -> Iterator[None]:
    """A fresh warehouse for `warehouse.connect()`, dropped at the end. The server must be up."""
    state = State()
    admin_url = Server(state).admin_url()
    passwords = {role: state.secret(role) for role in databases.ROLES}
    urls = databases.addresses(admin_url, passwords, {"warehouse": DATABASE})
    with databases.admin(admin_url) as conn:
        databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)
        databases.make_database(conn, "warehouse", DATABASE)
    before = dict(os.environ)
    os.environ.update({f"AIRFLOW_CONN_{name.upper()}": url for name, url in urls.items()})
    try:
        with warehouse.connect() as conn:
            contracts.migrate(conn)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        with databases.admin(admin_url) as conn:
            databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)


def measure(customers: int) -> dict[str, float]:
    """Decide and publish a day in this process: seconds of each stage, rows, peak memory."""
    from include.offers.decide import Day

    given, inputs = rules(customers), drawn(customers)
    figures: dict[str, float] = {"drawn_rss_mib": _peak_mib()}
    with own_warehouse():
        start = time.perf_counter()
        Day(inputs, given, DAY)
        figures["decide"] = time.perf_counter() - start
        start = time.perf_counter()
        run = {"as_of": DAY.isoformat(), "run_id": "bench"}
        with publication.new_batch(activate.DATASET, run) as (conn, batch):
            for name in activate.TABLES:
                publication.stage(conn, batch, contracts.load("marketing", name))
            activate.stage_day(conn, batch, inputs, given, DAY)
        figures["stage"] = time.perf_counter() - start - figures["decide"]
        start = time.perf_counter()
        counts = gate.gate(batch.as_dict(), rebuild=lambda _: batch.as_dict())
        figures["publish"] = time.perf_counter() - start
        with warehouse.connect() as conn:
            gap = warehouse.value(conn, "SELECT max(gap) FROM marketing.budget_use")
    return figures | {
        "candidates": counts["marketing.decisions"],
        "messages": counts["marketing.messages"],
        "gap": float(gap),
        "peak_rss_mib": _peak_mib(),
    }


def _peak_mib() -> float:
    """The largest resident memory since this program started; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found, "expected VmHWM in /proc/self/status"
    return int(found[1]) / 1024


def main() -> None:
    """Print every figure of every size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    smallest: dict[str, float] = {}
    for customers in options.customers:
        answer = subprocess.run(
            [sys.executable, __file__, "--measure", str(customers)],
            check=True,
            stdout=subprocess.PIPE,
        )
        found = json.loads(answer.stdout)
        n = int(found["candidates"])
        found["seconds"] = sum(found[stage] for stage in STAGES)
        smallest = smallest or found
        setting = f"customers={customers},candidates={n}"
        more = {"messages": int(found["messages"]), "basis": "simulation"}
        scale = n / smallest["candidates"]
        for name in ("seconds", *STAGES):
            line = smallest[name] * scale if smallest is not found else None
            metric = name if name == "seconds" else f"seconds_{name}"
            show("decide", metric, setting, found[name], line, "smallest size, scaled", unit="s",
                 n=n, **more)  # fmt: skip
        show("decide", "peak_rss_mib", setting, found["peak_rss_mib"], None, "", unit="MiB", n=n,
             inputs_mib=round(found["drawn_rss_mib"]), **more)  # fmt: skip
        show("decide", "gap", setting, found["gap"], None, "bound", unit="share", n=n, **more)


if __name__ == "__main__":
    main()
