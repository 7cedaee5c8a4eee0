"""Purchases as coded arrays, and what they say about a customer and an item as of a cut-off day.

Everything here sees rows with ``day <= cut`` and nothing later, so the same code builds training
rows at past cuts and candidates today. An *item* is a product or, at the coarser level, a product
type; its *group* is the level above (the type of a product, the category of a type).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.features.arrays import Bools, Integers, Reals


def day_number(days: Any) -> NDArray[np.int32]:
    """Days since 1970-01-01 of dates, timestamps without zone or ISO strings."""
    stamps = pd.DatetimeIndex(pd.to_datetime(pd.Series(days)))
    return np.asarray(stamps.to_numpy().astype("datetime64[D]").astype(np.int64), dtype=np.int32)


def one_day(day: Any) -> int:
    """Days since 1970-01-01 of one date."""
    return int(day_number([day])[0])


@dataclass(frozen=True)
class Catalogue:
    """Items with what is known of them; all arrays have one entry an item, in `item_ids` order."""

    item_ids: NDArray[np.str_]
    names: NDArray[np.object_]
    group: Integers  # code of the level above, -1 where unknown
    maker: Integers  # code of manufacturer or brand, -1 where unknown
    family: Integers  # code of two levels above, -1 where unknown
    group_names: NDArray[np.object_]
    family_names: NDArray[np.object_]
    maker_names: NDArray[np.object_]
    eligible: Bools
    text: NDArray[np.object_]  # words that say what the item is
    margin: Reals  # gross margin as a share of sales, NaN where unknown
    known_from: Integers  # day on which the shop first recorded the item

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Catalogue:
        """From columns item_id, name, group, family, maker, eligible; one row an item.

        Three more may be there: text (default: the names), margin (unknown) and known_from, a date
        (long ago).
        """
        if frame["item_id"].duplicated().any():
            twice = frame.loc[frame["item_id"].duplicated(), "item_id"].iloc[0]
            raise ValueError(
                f"Catalogue: expected one row an item, found {twice} twice; pass current rows only."
            )
        ordered = frame.assign(item_id=frame["item_id"].astype(str)).sort_values("item_id")
        group, group_names = pd.factorize(ordered["group"], sort=True)
        maker, maker_names = pd.factorize(ordered["maker"], sort=True)
        family, family_names = pd.factorize(ordered["family"], sort=True)
        words = [ordered[name].fillna("").astype(str) for name in ("name", "group", "family")]
        since = (
            ordered["known_from"] if "known_from" in ordered else pd.Series(pd.NaT, ordered.index)
        )
        known_from = day_number(pd.to_datetime(since).fillna(pd.Timestamp(0)))
        return cls(
            item_ids=ordered["item_id"].to_numpy(dtype="U"),
            names=ordered["name"].fillna("").to_numpy(dtype=object),
            group=np.asarray(group, dtype=np.int64),
            maker=np.asarray(maker, dtype=np.int64),
            family=np.asarray(family, dtype=np.int64),
            group_names=np.asarray(group_names, dtype=object),
            family_names=np.asarray(family_names, dtype=object),
            maker_names=np.asarray(maker_names, dtype=object),
            eligible=ordered["eligible"].to_numpy(dtype=bool),
            text=(
                ordered["text"].fillna("").to_numpy(dtype=object)
                if "text" in ordered
                else (words[0] + " " + words[1] + " " + words[2]).to_numpy(dtype=object)
            ),
            margin=(
                ordered["margin"].to_numpy(dtype=float)
                if "margin" in ordered
                else np.full(len(ordered), np.nan)
            ),
            known_from=known_from.astype(np.int64),
        )


@dataclass(frozen=True)
class Purchases:
    """One row a customer, item and day, ordered so; codes point into the id arrays."""

    customer_ids: NDArray[np.str_]
    customer: Integers
    item: Integers
    day: NDArray[np.int32]
    sales: Reals
    discount: Reals
    quantity: Reals
    n_items: int
    unknown_rows: int  # rows left out because the catalogue does not know their item
    #: What was bought without a customer: item, day and orders of each row. It tells what is popular.
    of_nobody: Integers = field(default_factory=lambda: np.empty((0, 3), dtype=np.int64))

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, catalogue: Catalogue, customers: Sequence[str] = ()
    ) -> Purchases:
        """From columns customer_id, product_id, business_day, sales, discount, quantity.

        Rows without a customer, which have a column orders, count in what is popular and are nobody's.

        Parameters
        ----------
        customers : sequence of str
            Further customers to have codes for: those who have bought nothing yet.

        Raises
        ------
        ValueError
            When sales, discount or quantity are NaN or infinite, or a quantity is negative. Rows of
            items that the catalogue does not know are left out and counted in `unknown_rows`.
        """
        amounts = frame[["sales", "discount", "quantity"]].to_numpy(dtype=float)
        bad = int((~np.isfinite(amounts)).any(axis=1).sum())
        if bad:
            raise ValueError(
                f"Purchases: expected finite sales, discounts and quantities, found {bad} rows with "
                "NaN or infinity; correct or quarantine them first."
            )
        negative = int((amounts[:, 2] < 0).sum())
        if negative:
            raise ValueError(
                f"Purchases: expected quantities of 0 or more, found {negative} negative ones; leave "
                "returns out or net them against their purchases first."
            )
        products, product_ids = pd.factorize(frame["product_id"].astype("category").astype(str))
        position = pd.Index(catalogue.item_ids).get_indexer(pd.Index(product_ids))
        item = position[products] if len(products) else np.empty(0, dtype=np.int64)
        known = item >= 0
        day = day_number(frame["business_day"])
        nobody = frame["customer_id"].isna().to_numpy()
        of_nobody = np.empty((0, 3), dtype=np.int64)
        if nobody.any():
            rows = nobody & known
            orders = frame["orders"].to_numpy(dtype=np.int64)
            of_nobody = np.column_stack([item[rows], day[rows], orders[rows]]).astype(np.int64)
        who = frame["customer_id"].astype(str).where(~nobody, "")
        customer_ids = np.unique(np.asarray([*who[~nobody].unique(), *customers], dtype="U"))
        customer = pd.Index(customer_ids).get_indexer(pd.Index(who))
        order = np.lexsort((day, item, customer))
        order = order[(known & ~nobody)[order]]
        return cls(
            customer_ids=np.asarray(customer_ids, dtype="U"),
            customer=np.asarray(customer, dtype=np.int64)[order],
            item=np.asarray(item, dtype=np.int64)[order],
            day=day[order],
            sales=amounts[order, 0].astype(np.float32),
            discount=amounts[order, 1].astype(np.float32),
            quantity=amounts[order, 2].astype(np.float32),
            n_items=len(catalogue.item_ids),
            unknown_rows=int((~known).sum()),
            of_nobody=of_nobody,
        )

    @property
    def n_customers(self) -> int:
        return len(self.customer_ids)

    def until(self, cut: int) -> Purchases:
        """The rows known at the end of day `cut`, with the same codes."""
        known = self._where(self.day <= cut)
        return replace(known, of_nobody=self.of_nobody[self.of_nobody[:, 1] <= cut])

    def pairs_between(self, after: int, until: int) -> Integers:
        """Sorted keys customer * n_items + item of pairs bought in (after, until]."""
        inside = (self.day > after) & (self.day <= until)
        return np.unique(self.customer[inside] * self.n_items + self.item[inside])

    def _where(self, rows: Bools) -> Purchases:
        return Purchases(
            self.customer_ids,
            self.customer[rows],
            self.item[rows],
            self.day[rows],
            self.sales[rows],
            self.discount[rows],
            self.quantity[rows],
            self.n_items,
            self.unknown_rows,
            self.of_nobody,
        )


def _starts(keys: Integers) -> Integers:
    """Where each run of equal keys starts, in sorted keys."""
    if len(keys) == 0:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])


@dataclass(frozen=True)
class Rhythm:
    """How often and how lately something was bought: one row a key, keys sorted."""

    keys: Integers
    days: Integers  # distinct purchase days
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    last_gap: Reals  # days between the last two purchase days, NaN before the second
    decayed: dict[int, Reals]  # half-life in days -> decayed number of purchase days

    def find(self, keys: Integers) -> Integers:
        """Row of each key, -1 where it was never bought."""
        if len(self.keys) == 0:
            return np.full(len(keys), -1)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, -1)


def rhythm(keys: Integers, day: NDArray[np.int32], cut: int, half_lives: tuple[int, ...]) -> Rhythm:
    """Rhythm of keyed purchase days; any order, repeats of a day count once."""
    order = np.lexsort((day, keys))
    keys, day = keys[order], day[order]
    if len(keys):
        once = np.r_[True, (keys[1:] != keys[:-1]) | (day[1:] != day[:-1])]
        keys, day = keys[once], day[once]
    starts = _starts(keys)
    ends = np.r_[starts[1:], len(keys)] - 1 if len(starts) else starts
    counts = ends - starts + 1
    gap = np.full(len(starts), np.nan, dtype=np.float32)
    again = counts > 1
    gap[again] = day[ends[again]] - day[ends[again] - 1]
    age = (cut - day).astype(np.float32)
    decayed = {
        half: np.add.reduceat(np.float32(0.5) ** (age / np.float32(half)), starts)
        if len(starts)
        else np.empty(0, dtype=np.float32)
        for half in half_lives
    }
    return Rhythm(keys[starts], counts, day[starts], day[ends], gap, decayed)
