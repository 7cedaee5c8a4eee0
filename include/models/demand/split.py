"""Who is expected to take what is wanted of a product, and where: regions, high-value customers and others.

Two sources are added up, in units: what each product sold to whom and where lately, and what the customers
are due to buy of it (`cadence`), who are of a tier and shop in a region. A product that tells little takes
after its type.
"""

import numpy as np

from include.features.arrays import Bools, Floats, Ints
from include.features.demand import Known
from include.features.demand_panel import HORIZON
from include.models.demand.cadence import Cadence

#: Weeks of sales that are added up.
HISTORY = 26
#: Weeks of what customers are due to buy, and how much a unit of it weighs beside one sold.
DUE_WEEKS, DUE_WEIGHT = 4, 4.0
#: Units that a product's type weighs beside its own, and all types beside the type.
TYPE_PRIOR, ALL_PRIOR = 1.0, 20.0


def sold(known: Known, is_high: Bools, first: int, last: int) -> Floats:
    """Units of weeks `first` up to `last`, (products, regions, 2): to others and to high-value customers."""
    bought = known.bought
    kept = (bought.week >= first) & (bought.week < last)
    shape = (bought.n_products, len(known.regions), 2)
    cell = bought.product[kept] * shape[1] + known.region[kept]
    cell = cell * 2 + is_high[bought.customer[kept]]
    flat = np.bincount(cell, weights=bought.units[kept], minlength=int(np.prod(shape)))
    return flat.reshape(shape).astype(np.float64)


def home_region(known: Known, until: int) -> Ints:
    """Where each customer took most units in the half-year before week `until`; 0 of those who took none."""
    bought = known.bought
    kept = (bought.week >= until - HISTORY) & (bought.week < until)
    regions = len(known.regions)
    flat = np.bincount(
        bought.customer[kept] * regions + known.region[kept],
        weights=bought.units[kept],
        minlength=bought.n_customers * regions,
    )
    home: Ints = flat.reshape(-1, regions).argmax(axis=1).astype(np.int64)
    return home


def shares(
    known: Known, is_high: Bools, until: int | None = None, *, with_due: bool = True
) -> Floats:
    """The share of each region and tier in what will be wanted of each product, (products, regions, 2).

    Parameters
    ----------
    is_high
        Whether each customer is of high value, (customers,).
    until
        Weeks known; all of the panel's by default.
    with_due
        Look at who is due to buy what, not only at what was sold to whom.
    """
    now = known.panel.weeks if until is None else until
    own = sold(known, is_high, now - HISTORY, now)
    products, regions, _ = own.shape
    if with_due:
        group = home_region(known, now) * 2 + is_high
        due = Cadence(HORIZON).fit(known.bought, [now]).by_group(group, regions * 2, DUE_WEEKS)
        own = own + DUE_WEIGHT * due.reshape(own.shape)
    flat = own.reshape(products, -1)
    of_all = (flat.sum(axis=0) + 1e-9) / (flat.sum() + 1e-9 * flat.shape[1])
    kinds = known.panel.by_kind(flat)
    kinds = (kinds + ALL_PRIOR * of_all) / (kinds.sum(axis=1, keepdims=True) + ALL_PRIOR)
    flat = flat + TYPE_PRIOR * kinds[known.panel.kind]
    found: Floats = (flat / flat.sum(axis=1, keepdims=True)).reshape(own.shape)
    return found
