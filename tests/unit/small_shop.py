"""A small shop: eighty customers of two tastes, sixty things, half a year of weekly baskets."""

import numpy as np
import pandas as pd

from include import policy
from include.features.purchases import one_day
from include.models.lists.build import ListMaker, lists
from include.models.lists.eligibility import Shelf
from include.models.products.als import AlsSettings
from include.models.products.pool import People
from include.models.products.recommender import Settings

DAY = one_day("2017-06-25")
SETTINGS = Settings(
    als=AlsSettings(factors=8, regularization=2.0, iterations=8, min_buyers=2),
    als_depth=20,
    popular_depth=20,
)


def catalogue(n=60, *, withdrawn=()):
    items = [f"p{i:02d}" for i in range(n)]
    return pd.DataFrame(
        {
            "item_id": items,
            "name": [f"Thing {i}" for i in range(n)],
            "group": [f"kind {i // 5}" for i in range(n)],
            "family": [f"aisle {i // 20}" for i in range(n)],
            "maker": [f"maker {i % 7}" for i in range(n)],
            "eligible": [item not in withdrawn for item in items],
        }
    )


def purchases(customers=80, n=60, days=170, seed=1):
    """Each customer has a taste for half of the things, and a few bought every week or two."""
    generator = np.random.default_rng(seed)
    rows = []
    for customer in range(customers):
        taste = np.arange(n // 2) + (customer % 2) * (n // 2)
        staples = generator.choice(taste, 6, replace=False)
        for day in range(int(generator.integers(0, 7)), days, 7):
            bought = {int(s) for s in staples if generator.random() < 0.7}
            bought |= {int(i) for i in generator.choice(taste, 2)}
            rows += [(f"c{customer:02d}", f"p{i:02d}", day) for i in bought]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "day"])
    start = pd.Timestamp("2017-06-25") - pd.Timedelta(days=days - 29)
    frame["business_day"] = start + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame.assign(sales=2.0, discount=0.0, quantity=1.0)


def rules(*more, **changed):
    """The policy's section with none of its rules but `more`, no variety and nothing kept back."""
    asked = policy.load(policy.DEFAULT_PATH).recommendations.model_dump()
    asked["rules"] = [dict(rule) for rule in more]
    asked["variety"] = 0.0
    asked["new_products"]["slots"] = 0
    asked["eligibility"] = {
        "minimum_margin": -1.0,
        "stock_counts_days": 14,
        "replacement_share": 0.0,
    }
    asked["reviews"]["weight"] = 0.0
    for name, value in changed.items():
        if isinstance(value, dict):
            asked[name] = asked[name] | value
        else:
            asked[name] = value
    return policy.Recommendations.model_validate(asked)


def people(bought, listed=None, regions=None, segment="", low_value=False):
    """Everybody in the purchases' codes; `listed` gets lists, `regions` maps ids to regions."""
    ids = bought.customer_ids
    of = [(regions or {}).get(str(c), "") for c in ids]
    names = sorted(set(of) - {""})
    return People(
        customer_ids=ids,
        listed=np.ones(len(ids), dtype=bool) if listed is None else np.isin(ids, listed),
        region=np.asarray([names.index(r) if r else -1 for r in of], dtype=np.int64),
        regions=np.asarray(names, dtype="U"),
        segment=np.full(len(ids), segment, dtype=object),
        low_value=np.full(len(ids), low_value),
    )


def maker(model, bought, known, asked=None, signals=None, shelf=None, **of_people):
    """What makes the lists of DAY."""
    now = model.snapshot(bought, known, DAY, signals)
    persons = people(bought, **of_people)
    shelf = shelf or Shelf.unknown(len(persons.regions), now.n_items)
    return ListMaker(model, now, persons, shelf, asked or rules())


def everyone(*args, **kwargs):
    """The rows of both lists."""
    return lists(maker(*args, **kwargs))[0]
