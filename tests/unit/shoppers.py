"""Made-up customers for the value models: features as of a day and what came after, from one hidden rate."""

import numpy as np
import pandas as pd

from include.features import customers as features
from include.features.panels import panel

DAYS_KNOWN = 180


def day(count: int = 400, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of `count` customers and their outcomes in the 91 days after; every tenth has gone quiet."""
    random = np.random.default_rng(seed)
    weekly = random.gamma(1.5, 12, count)
    rate = random.gamma(2, 0.5, count)
    quiet = random.random(count) < 0.1
    recency = np.where(quiet, random.integers(70, 150, count), random.poisson(7 / (rate + 0.3)))
    recency = np.clip(recency, 0, DAYS_KNOWN - 10).astype(float)
    lately = np.where(quiet, 0, weekly) * random.gamma(8, 1 / 8, count)
    order_days = 1 + random.poisson(rate * DAYS_KNOWN / 7)
    known = pd.DataFrame(
        {
            "customer_id": [f"{seed:04d}-{number:06d}" for number in random.permutation(count)],
            "first_order_day": pd.Timestamp("2017-01-02"),
            "last_order_day": pd.Timestamp("2017-06-01"),
            "orders_total": order_days,
            "order_days_total": order_days,
            "tenure_days": float(DAYS_KNOWN),
            "registered_days": float(DAYS_KNOWN),
            "sales_total": weekly * DAYS_KNOWN / 7,
        }
    )
    filled = {}
    for feature in features.FEATURES:
        name = feature.name
        if feature.unit == "band":
            filled[name] = random.choice(["25-34", "35-44", "Under 15K", "3+", "None"], count)
        elif name.startswith("root_"):
            filled[name] = np.sqrt(lately)
        elif feature.unit == "money":
            filled[name] = lately * random.gamma(20, 1 / 20, count)
        elif feature.theme == "visits":
            filled[name] = np.where(quiet, 0, random.poisson(rate * 4))
        else:
            filled[name] = random.random(count)
    known = known.join(pd.DataFrame(filled)).assign(
        recency_days=recency, sales_13w=13 * lately, gap_median_days=7 / (rate + 0.1)
    )
    spend = np.where(
        quiet & (random.random(count) < 0.8), 0, 13 * lately * random.gamma(6, 1 / 6, count)
    )
    gap = np.where(quiet, 40 + random.poisson(30, count), 1 + random.poisson(7 / (rate + 0.3)))
    outcomes = pd.DataFrame(
        {
            "customer_id": known["customer_id"],
            "spend": spend,
            "spend_4w": spend / 3,
            "orders": order_days,
            "order_days": order_days // 2,
            "days_to_next_order": gap.astype(float),
        }
    )[spend > 0]
    return known, outcomes


def cuts(count: int = 400, seeds: tuple[int, ...] = (1, 2)) -> pd.DataFrame:
    """A panel of several cuts, each with customers of its own."""
    return panel((f"2017-0{seed}-05", *day(count, seed)) for seed in seeds)
