"""Weekly units of every product as a forecast sees them, and what is known of each at an origin.

Weeks are runs of seven days that end with the origin's day, so any day can be an origin. Everything here is
of weeks that had ended at the origin, but for the mailers and holidays of the weeks ahead, as planned.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.features.arrays import Floats, Ints

#: Weeks forecast.
HORIZON = 8
#: A product is forecast singly when it sold within so many weeks.
WINDOW = 13
#: A regular series sold in at least so many weeks of the window; the others are occasional.
REGULAR_WEEKS = 7
#: A week counts as one with a mailer where at least this share of the stores had it.
IN_MAILER = 0.3


@dataclass(frozen=True)
class Bought:
    """Units by customer, product and week.

    Attributes
    ----------
    customer, product
        Codes from 0, (rows,).
    week
        0 is the oldest week, (rows,).
    units
        Pieces, (rows,).
    n_customers, n_products, n_weeks
        How many there are of each; every week counts, whether it has rows or not.
    nobody
        The code of what was sold without a customer; -1 where there is none.
    """

    customer: Ints
    product: Ints
    week: Ints
    units: Floats
    n_customers: int
    n_products: int
    n_weeks: int
    nobody: int = -1


@dataclass(frozen=True)
class Settings:
    """How much is learnt from, and how. Chosen on weeks up to the 36th of the demo shop."""

    seed: int = 20170101
    origins: int = 4  # past origins that a booster learns from,
    spacing: int = 2  # so many weeks apart
    iterations: int = 120
    learning_rate: float = 0.1
    leaves: int = 31
    leaf_rows: int = 60
    feature_share: float = 0.6
    #: Shares of regular and of occasional series that are learnt from, weighted to count for all.
    sample: tuple[float, float] = (0.6, 0.12)
    #: Boosters whose forecasts are averaged; they differ in the seed alone.
    boosters: int = 2
    #: Weeks of backtest that the average of its kind weighs in the choice of a series' method.
    choice_prior: float = 80.0


@dataclass(frozen=True)
class Panel:
    """What sold, week by week, and what is known of the products.

    Attributes
    ----------
    units, sales, discount
        (n products, w weeks), oldest first; the last week ends with the origin. Pieces and money.
    kind, department, brand
        Codes of type, department and brand, (n,). A type is `kind_names[kind]`.
    mailer, front
        Share of the stores that have the product in the week's mailer, and on its front or back page or
        wrap, (n, w + HORIZON).
    planned
        How many coming weeks' mailers are known at the origin, 0 to HORIZON.
    holiday
        1 where a public holiday falls within the week or on the day after it, (w + HORIZON,).
    """

    units: Floats
    sales: Floats
    discount: Floats
    kind: Ints
    kind_names: NDArray[np.str_]
    department: Ints
    brand: Ints
    mailer: Floats
    front: Floats
    planned: int
    holiday: Floats

    @property
    def weeks(self) -> int:
        """Weeks of history."""
        return self.units.shape[1]

    @property
    def n_kinds(self) -> int:
        return len(self.kind_names)

    def by_kind(self, values: Floats) -> Floats:
        """Sums over the products of each type, (n, weeks) -> (kinds, weeks)."""
        return summed(values, self.kind, self.n_kinds)

    def active(self, origin: int) -> Ints:
        """The products that sold within the window before an origin."""
        return np.flatnonzero((self.units[:, max(0, origin - WINDOW) : origin] > 0).any(axis=1))

    def sold_weeks(self, origin: int, rows: Ints) -> Ints:
        """In how many weeks of the window each product sold."""
        return (self.units[rows, max(0, origin - WINDOW) : origin] > 0).sum(axis=1)


def learnt_from(known: int, settings: Settings) -> list[int]:
    """Origins whose eight weeks had ended after `known` weeks, newest first."""
    newest = known - HORIZON
    found = [newest - settings.spacing * step for step in range(settings.origins)]
    return [origin for origin in found if origin >= min(WINDOW, max(newest, 4))]


def summed(values: Floats, group: Ints, n_groups: int) -> Floats:
    """Sums over the rows of each group, (n, weeks) -> (groups, weeks)."""
    out = np.empty((n_groups, values.shape[1]))
    for column, of_week in enumerate(values.T):
        out[:, column] = np.bincount(group, weights=of_week, minlength=n_groups)
    return out
