"""The control group: a persistent share of customers who would be sent something and are not.

Membership follows from a salted hash of the customer alone, so it is the same on every day and every
machine, without a list to keep. A larger share keeps everybody who was in a smaller one.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from include.policy import Control

_STEPS = 2**53


def position(customer_id: str, salt: str) -> float:
    """The customer's place in [0, 1), spread evenly by SHA-256."""
    digest = hashlib.sha256(f"{salt}|{customer_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / _STEPS


def in_control(customer_ids: Iterable[str], control: Control) -> NDArray[np.bool_]:
    """Whether each customer belongs to the control group."""
    places = np.fromiter((position(str(c), control.salt) for c in customer_ids), dtype=np.float64)
    return places < control.share
