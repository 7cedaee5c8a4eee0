"""What a trigger looks at on a business day, and what it answers with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Whom a trigger finds, one entry a customer.

    Attributes
    ----------
    customer : array of shape (n,)
        Positions in the frame of customers.
    key : array of shape (n,) of text, or None
        The one thing that the message is about, for campaigns that repeat with each.
    last_day : array of shape (n,) of datetime64, or None
        The last day on which the message makes sense.
    row : array of shape (n,), or None
        Positions in the rows of the trigger's query.
    """

    customer: Ints
    key: npt.NDArray[Any] | None = None
    last_day: npt.NDArray[np.datetime64] | None = None
    row: Ints | None = None

    def only(self, fits: Flags) -> "Found":
        """Some of them."""
        return Found(
            self.customer[fits],
            None if self.key is None else self.key[fits],
            None if self.last_day is None else self.last_day[fits],
            None if self.row is None else self.row[fits],
        )


@dataclass(frozen=True)
class Day:
    """What is known at the end of a business day, for one campaign.

    Attributes
    ----------
    customers, products
        As `include.offers.inputs` has them.
    rows
        What the trigger's query gave for the campaign.
    places
        Where each of some customers stands in `customers`; -1: nowhere.
    as_of
        The business day. Messages leave from the day after.
    """

    customers: pd.DataFrame
    products: pd.DataFrame
    rows: pd.DataFrame
    places: Callable[[pd.Series], Ints]
    as_of: date

    def nobody(self) -> Found:
        """No customer."""
        return Found(np.arange(0))

    def everybody(self) -> Found:
        """Every customer."""
        return Found(np.arange(len(self.customers)))

    def those(self, fits: Flags) -> Found:
        """The customers for whom a flag is set."""
        return Found(np.flatnonzero(fits))

    def among(self, customer_ids: pd.Series) -> Flags:
        """Of each customer: whether they are one of these."""
        fits = np.zeros(len(self.customers) + 1, dtype=bool)  # the last place is for strangers
        fits[self.places(customer_ids)] = True
        return fits[:-1]

    def days_since(self, days: pd.Series) -> Floats:
        """Days from each day to the business day; NaN where it is missing, which no comparison holds for."""
        gone = (pd.Timestamp(self.as_of) - pd.to_datetime(days)).dt.days
        return np.asarray(gone.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)

    def within(self, days: int) -> Flags:
        """Of each row: whether it happened at most so many days ago."""
        age = self.days_since(self.rows["happened_on"])
        return np.asarray((age >= 0) & (age <= days))

    def newest(self, fits: Flags | None = None, first: Floats | None = None) -> Found:
        """One row a customer: in stock before out of it, then `first`, the newest, the key.

        Parameters
        ----------
        fits : array of shape (rows,), optional
            Which rows count; all where it is not given.
        first : array of shape (rows,), optional
            Lower comes first.
        """
        rows = self.rows
        row = np.arange(len(rows)) if fits is None else np.flatnonzero(fits)
        customer = self.places(rows["customer_id"].iloc[row])
        row, customer = row[customer >= 0], customer[customer >= 0]
        day = pd.to_datetime(rows["happened_on"]).to_numpy(dtype="datetime64[D]").astype(np.int64)
        keys = rows["key"].to_numpy(dtype=object)
        out = ~rows["in_stock"].to_numpy(dtype=bool, na_value=True)
        rank = np.zeros(len(row)) if first is None else first[row]
        order = np.lexsort((keys[row].astype(str), -day[row], rank, out[row], customer))
        row, customer = row[order], customer[order]
        leading = np.r_[True, customer[1:] != customer[:-1]] if len(customer) else np.zeros(0, bool)
        row, customer = row[leading], customer[leading]
        return Found(customer, keys[row], None, row)

    def by_month(self, found: Found) -> Found:
        """The same, about a product of this month, not of every month."""
        keys = [] if found.key is None else [f"{key}/{self.as_of:%Y-%m}" for key in found.key]
        return Found(found.customer, np.array(keys, dtype=object), None, found.row)
