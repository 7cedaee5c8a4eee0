"""What the generated tables are made with: the shop's time, its history as arrays, and seeded draws.

Pure functions from arrays to tables make them, in the modules beside this one. Two properties hold, and
tests keep them:

- The same input gives the same output, row for row.
- A row with stamp t is made from rows at or before t alone: cutting the history at t and generating
  again gives the same rows up to t. Each random variable therefore has a stream of its own, whose
  n-th draw belongs to the n-th line of the history. The exceptions are by design and carry nothing
  about spending: `customers.registered_at` is set shortly before the first basket, and the home store
  is that basket's.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from include.features.arrays import Floats, Ints

SEED = 20170101
ZONE = ZoneInfo("America/New_York")

#: The shop's first day, midnight in its own zone. Nothing is stamped earlier.
OPENING = int(datetime(2017, 1, 1, tzinfo=ZONE).timestamp())

#: The end of the data: midnight after its last day.
CLOSING = int(datetime(2018, 1, 1, tzinfo=ZONE).timestamp())
HOUR = 3_600
DAY = 24 * HOUR
WEEK = 7 * DAY
STAMP = pa.timestamp("s", tz="UTC")


@dataclass(frozen=True)
class Baskets:
    """Every basket in time order: arrays of one length, one element a basket."""

    order: Ints
    customer: Ints  #: household number
    store: Ints  #: store number
    stamp: Ints  #: seconds since 1970, UTC


@dataclass(frozen=True)
class Lines:
    """Every order line of a counted product, in time order: arrays of one length."""

    customer: npt.NDArray[np.int32]  #: household number
    product: npt.NDArray[np.int32]  #: row of the product table
    store: npt.NDArray[np.int32]  #: store number
    quantity: npt.NDArray[np.int32]
    stamp: Ints  #: seconds since 1970, UTC

    def __len__(self) -> int:
        return len(self.stamp)


def draws(variable: str) -> np.random.Generator:
    """A random stream of its own for each variable, so that none shifts another."""
    return np.random.default_rng([SEED, zlib.crc32(variable.encode())])


def local_days(stamps: Ints) -> Ints:
    """The shop's calendar day of each stamp, in days since 1970."""
    hours, places = np.unique(stamps // HOUR, return_inverse=True)
    offsets = np.array(
        [
            (
                datetime.fromtimestamp(int(hour) * HOUR, ZONE).utcoffset() or timedelta()
            ).total_seconds()
            for hour in hours
        ],
        dtype=np.int64,
    )
    return (stamps + offsets[places]) // DAY


def morning(day: date, hour: int = 9) -> int:
    """The stamp of an hour of a calendar day in the shop's zone."""
    return int(datetime.combine(day, time(hour), ZONE).timestamp())


def stamps(seconds: Ints) -> pa.Array:
    """Seconds as a column of stamps in UTC."""
    return pa.array(seconds, pa.int64()).cast(STAMP)


def texts(values: Iterable[Any]) -> pa.Array:
    """Any column as text, missing values kept."""
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def of_number(variable: str, number: Ints) -> Floats:
    """A uniform draw for each household that hangs on its number alone, not on who else there is."""
    return draws(variable).random(int(number.max()) + 1)[number]
