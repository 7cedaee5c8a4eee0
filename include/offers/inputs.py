"""What is known at the end of a business day: everything that deciding looks at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def no_signals() -> pd.DataFrame:
    """No signals, in the shape that all have; a trigger's query may add columns of its own."""
    text = ("customer_id", "campaign", "key", "product")
    found = {name: pd.Series(dtype="str") for name in text}
    flags = {name: pd.Series(dtype="boolean") for name in ("in_stock", "kept_back")}
    return pd.DataFrame(found | flags)


def no_chances() -> pd.DataFrame:
    """No redemption model, in its shape."""
    return pd.DataFrame({"customer_id": pd.Series(dtype="str"), "p_redeem": pd.Series(dtype=float)})


def no_accounts() -> pd.DataFrame:
    """Nobody with a second account, in their shape."""
    return pd.DataFrame({name: pd.Series(dtype="str") for name in ("person_id", "account_id")})


def coded(codes: npt.NDArray[Any], names: Iterable[str]) -> "pd.Categorical[str]":
    """Names by their codes; -1 for none."""
    return pd.Categorical.from_codes(codes, pd.Index(list(names), dtype="str"))


def first_that_holds(
    conditions: Iterable[tuple[str, npt.NDArray[np.bool_]]],
    names: Sequence[str],
    otherwise: npt.NDArray[Any] | int,
) -> npt.NDArray[np.int8]:
    """Of each row the first name whose condition holds, as its place in `names`.

    Parameters
    ----------
    conditions : pairs of a name and an array of shape (n_rows,)
        In the order that decides; a name may come more than once.
    names
        All of them.
    otherwise
        The places of the rows for which none holds.
    """
    table = list(conditions)
    places = [np.int8(names.index(name)) for name, _ in table]
    found = np.select([rows for _, rows in table], places, otherwise)
    return np.asarray(found, dtype=np.int8)


@dataclass(frozen=True)
class Past:
    """What became of a campaign so far: coupons sent long enough ago, and redeemed."""

    sent: int
    redeemed: int


@dataclass(frozen=True)
class Inputs:
    """What is known at the end of a business day.

    Attributes
    ----------
    customers
        One row per customer: customer_id, person_id (whom chance draws: everybody behind one person is in
        the same arm), external_id, segment, priority_service, predicted_value, predicted_orders,
        expected_next_order_date, orders_total, first_order_day, model_version, birth_date,
        is_birthday_faulty, first_name, region, registered_at, complained_on, returned_on.
    permissions
        One row per customer and channel, as `include.offers.guard` takes them.
    history
        Decisions of other days that were sent or held as control: customer_id, as_of, campaign, period.
    products
        Names of recommended products, best first: customer_id, list (replenish or discover), rank, name,
        score.
    newest_day
        The newest business day that the warehouse knows.
    signals
        What a campaign may answer, as its trigger's query found it: customer_id (missing: it is for more
        than one), campaign, key (what it is about), product (its name), in_stock (missing where nothing is
        counted), kept_back (for high-value customers, of whom this is none), and what else triggers look
        at.
    chances
        How readily each customer redeems: customer_id, p_redeem; empty without a model.
    redemption_version
        The model behind `chances`.
    past
        Of each campaign with coupons behind it.
    uplift
        Expected gain in margin of being sent a campaign, learnt from our own control groups: for each
        campaign that has such a model, a series by customer_id.
    uplift_version
        The model behind `uplift`.
    spent
        Expected cost of what other days sent: by campaign, and under None of all together within the total
        budget's days.
    accounts
        Accounts that were found to be of somebody who is called by another number: person_id, account_id.
    released
        Campaigns of which offers of another day were let through, so that this is no first run of theirs.
    """

    customers: pd.DataFrame
    permissions: pd.DataFrame
    history: pd.DataFrame
    products: pd.DataFrame
    newest_day: date
    signals: pd.DataFrame = field(default_factory=no_signals)
    accounts: pd.DataFrame = field(default_factory=no_accounts)
    chances: pd.DataFrame = field(default_factory=no_chances)
    redemption_version: str | None = None
    past: Mapping[str, Past] = field(default_factory=dict)
    uplift: Mapping[str, pd.Series] = field(default_factory=dict)
    uplift_version: str | None = None
    spent: Mapping[str | None, float] = field(default_factory=dict)
    released: frozenset[str] = frozenset()

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.customers["customer_id"].astype("str"))

    def positions(
        self, customer_ids: pd.Series, missing: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Where each customer stands in `customers`; who does not is left out, or gets `missing`."""
        found = self._index.get_indexer(pd.Index(customer_ids.astype("str"))).astype(np.int64)
        return found[found >= 0] if missing is None else np.where(found < 0, missing, found)
