"""Who is left to chance: control groups that are sent nothing, and offers that are picked at random.

Control groups are persistent. Membership follows from a salted hash of the person alone (and of the
campaign, for a campaign's own group), so it is the same on every day and every machine. A larger share keeps
everybody who was in a smaller one. Who explores is drawn anew each day.
"""

import hashlib
from collections.abc import Iterable
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.policy import Policy
from include.policy.limits import Control

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: The scope of the group that no campaign may reach.
EVERY_CAMPAIGN = "all campaigns"

_STEPS = 2**53


def position(person: str, salt: str) -> float:
    """The person's place in [0, 1), spread evenly by SHA-256."""
    digest = hashlib.sha256(f"{salt}|{person}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / _STEPS


def places(people: Iterable[str], salt: str) -> Floats:
    """`position` of many."""
    return np.fromiter((position(str(person), salt) for person in people), dtype=np.float64)


def in_control(people: Iterable[str], control: Control) -> Flags:
    """Whether each person belongs to the control group of all campaigns."""
    return places(people, control.salt) < control.share


def drawn(
    customer: Ints, campaign: npt.NDArray[np.object_], customers: pd.DataFrame, policy: Policy
) -> tuple[Flags, Floats]:
    """Whether each of what would be sent falls to a control group, and the chance of it.

    Parameters
    ----------
    customer : array of shape (n,)
        Positions in `customers`.
    campaign : array of shape (n,) of names
    customers
        With person_id.
    policy
        The shares: of all campaigns together, and of each.
    """
    people = customers["person_id"].to_numpy(dtype=object)[customer]
    rules = policy.control
    held, chance = in_control(people, rules), np.full(len(customer), rules.share)
    for name, share in own_shares(policy).items():
        row = np.flatnonzero(campaign == name)
        held[row] |= places(people[row], _salt(rules, name)) < share
        chance[row] = 1 - (1 - rules.share) * (1 - share)
    return held, chance


def own_shares(policy: Policy) -> dict[str, float]:
    """The campaigns with a control group of their own, and its share."""
    return {c.name: c.control_share for c in policy.campaigns if c.control_share > 0}


def members(customers: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Everybody in a control group: customer (position), scope (a campaign, or all of them), share."""
    people = customers["person_id"]
    rules = policy.control
    scopes = [(EVERY_CAMPAIGN, rules.share, rules.salt)]
    scopes += [(name, share, _salt(rules, name)) for name, share in own_shares(policy).items()]
    parts = []
    for scope, share, salt in scopes:
        inside = np.flatnonzero(places(people, salt) < share)
        parts.append(pd.DataFrame({"customer": inside, "scope": scope, "share": share}))
    return pd.concat(parts, ignore_index=True)


def explorers(customer: Ints, customers: pd.DataFrame, control: Control, as_of: date) -> Flags:
    """Whether each customer's offer of the day is left to chance.

    Parameters
    ----------
    customer : array of shape (n,)
        Positions in `customers`; equal ones stand together.
    """
    if control.exploration_share == 0 or not len(customer):
        return np.zeros(len(customer), dtype=bool)
    first = np.r_[True, customer[1:] != customer[:-1]]
    people = customers["person_id"].to_numpy(dtype=object)[customer[first]]
    inside = places(people, f"{control.salt}|explore|{as_of}") < control.exploration_share
    return np.asarray(inside[np.cumsum(first) - 1])


def _salt(control: Control, campaign: str) -> str:
    return f"{control.salt}|{campaign}"
