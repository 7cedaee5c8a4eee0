"""From rows of sales, products and mailers to what a demand forecast works on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.features.arrays import Floats, Ints
from include.features.demand_panel import HORIZON, Bought, Panel


@dataclass(frozen=True)
class Known:
    """Everything that is known of demand at the end of a day.

    Attributes
    ----------
    products
        A row for each product of the panel, in its order: product_id, name, type, category, unit_margin, ...
    panel
        Units by product and week.
    bought
        The same units by customer.
    region
        The region of each row of `bought`: a place in `regions`, (rows,).
    sales
        The money of each row of `bought`, (rows,).
    """

    day: date
    products: pd.DataFrame
    panel: Panel
    bought: Bought
    region: Ints
    regions: list[str]
    sales: Floats

    @property
    def price(self) -> Floats:
        """Money paid for a piece of each product over all its weeks, (products,); 0 where none sold."""
        price: Floats = self.panel.sales.sum(axis=1) / np.maximum(
            self.panel.units.sum(axis=1), 1e-9
        )
        return price


def assemble(
    sales: pd.DataFrame,
    products: pd.DataFrame,
    mailers: pd.DataFrame,
    *,
    day: date,
    weeks: int,
    n_customers: int,
    nobody: int = -1,
    holidays: Iterable[date] = (),
) -> Known:
    """Put the rows of `queries/demand/{sales,products,mailers}.sql` in place.

    Rows come in any order: they are sorted first, since sums of money differ in their last digit with the
    order they are added in, and the same day again shall give the same forecast to the digit.
    Products that were sold but are in no list of products get a row of their own, of no type. Products that
    never sold within the weeks are left out: nothing is known of them but their type, whose `rest` they are
    part of.
    """
    sold = pd.Index(np.unique(sales["product_id"].to_numpy(dtype=object)), dtype=object)
    listed = products.set_index("product_id").reindex(sold)
    text = ["name", "department", "category", "type", "brand"]
    listed[text] = listed[text].astype(object).fillna("")
    listed = listed.rename_axis("product_id").reset_index()
    place = sold.get_indexer(pd.Index(sales["product_id"], dtype=object))
    week = weeks - 1 - sales["age"].to_numpy(dtype=np.int64)
    regions, region = np.unique(sales["region"].to_numpy(dtype=object), return_inverse=True)
    customer = sales["customer"].to_numpy(dtype=np.int64)
    order = np.lexsort((region, week, place, customer))
    place, week, region, customer = place[order], week[order], region[order], customer[order]
    units, money, discount = (
        sales[column].to_numpy(dtype=np.float64)[order] for column in ("units", "sales", "discount")
    )

    def matrix(column: Floats) -> Floats:
        flat = np.bincount(place * weeks + week, weights=column, minlength=len(sold) * weeks)
        return flat.reshape(len(sold), weeks).astype(np.float64)

    kind_names, kind = _codes(listed["type"])
    mailer, front, planned = _mailers(mailers, sold, day, weeks)
    panel = Panel(
        units=matrix(units),
        sales=matrix(money),
        discount=matrix(discount),
        kind=kind,
        kind_names=kind_names,
        department=_codes(listed["department"])[1],
        brand=_codes(listed["brand"])[1],
        mailer=mailer,
        front=front,
        planned=planned,
        holiday=_holidays(holidays, day, weeks),
    )
    bought = Bought(
        customer=customer,
        product=place,
        week=week,
        units=units,
        n_customers=n_customers,
        n_products=len(sold),
        n_weeks=weeks,
        nobody=nobody,
    )
    return Known(day, listed, panel, bought, region, [str(name) for name in regions], money)


def _codes(column: pd.Series) -> tuple[NDArray[np.str_], Ints]:
    """The names in order, and each row's place among them."""
    names, codes = np.unique(column.to_numpy(dtype="U"), return_inverse=True)
    return names, codes.astype(np.int64)


def _mailers(
    mailers: pd.DataFrame, sold: pd.Index, day: date, weeks: int
) -> tuple[Floats, Floats, int]:
    """Share of the stores with each product in the mailer of each week, and on its outside; weeks planned.

    The panel's weeks end on the origin's weekday, the mailer's on their own: a mailer counts in each of the
    two weeks that it reaches into with its share of days.
    """
    shape = (len(sold), weeks + HORIZON)
    if mailers.empty:
        return np.zeros(shape), np.zeros(shape), 0
    first = pd.Timestamp(day - timedelta(days=7 * weeks - 1))
    offset = (mailers["starts_on"] - first).dt.days.to_numpy(dtype=np.int64)
    # A plan that reaches a week's last day tells of the whole week.
    planned = int(np.clip((offset.max() + 7 - 7 * weeks) // 7, 0, HORIZON))
    place = sold.get_indexer(pd.Index(mailers["product_id"], dtype=object))
    share = mailers["store_share"].to_numpy(dtype=np.float64)
    outside = mailers["is_front"].to_numpy(dtype=bool)
    found = []
    for kept in (np.ones(len(mailers), dtype=bool), outside):
        flat = np.zeros(shape[0] * shape[1])
        for step in (0, 1):
            week, rest = offset // 7 + step, offset % 7
            days = (7 - rest) if step == 0 else rest
            inside = kept & (place >= 0) & (week >= 0) & (week < shape[1]) & (days > 0)
            cell = place[inside] * shape[1] + week[inside]
            flat += np.bincount(cell, weights=share[inside] * days[inside] / 7, minlength=len(flat))
        found.append(np.minimum(flat.reshape(shape), 1.0))
    return found[0], found[1], planned


def _holidays(holidays: Iterable[date], day: date, weeks: int) -> Floats:
    """1 where a holiday falls within the week or on the day after it, (weeks + HORIZON,)."""
    out = np.zeros(weeks + HORIZON)
    first = day - timedelta(days=7 * weeks - 1)
    for holiday in holidays:
        offset = (holiday - first).days
        for week in {offset // 7, (offset - 1) // 7}:
            if 0 <= week < len(out):
                out[week] = 1.0
    return out
