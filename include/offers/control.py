"""Who is left to chance: control groups that are sent nothing, and offers that are picked at random.

Control groups are persistent. Membership follows from a salted hash of the person alone (and of the
campaign, for a campaign's own group), so it is the same on every day and every machine. A larger share keeps
everybody who was in a smaller one. Somebody with several accounts is in a group as soon as one of them is:
each account has its own draw, so that no merge of accounts lets out who was in, and the chance of it grows
with their number. Who explores is drawn anew each day.
"""

import hashlib
from collections.abc import Iterable
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.features.arrays import Bools, Floats, Ints
from include.offers.inputs import Inputs
from include.policy import Policy
from include.policy.limits import Control

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


def in_group(
    people: npt.NDArray[np.object_], accounts: pd.DataFrame, salt: str, share: float
) -> tuple[Bools, Floats]:
    """Whether each person belongs to the group of a salt, by any account of theirs, and the chance of it.

    Parameters
    ----------
    people : array of shape (n,)
        Names of persons; each is one account of its own.
    accounts
        Their other accounts: person_id, account_id.
    salt, share
        Those of the group.
    """
    held, chance = places(people, salt) < share, np.full(len(people), share)
    others = accounts[accounts["person_id"].isin(people)]
    if len(others):
        inside = places(others["account_id"], salt) < share
        held |= np.isin(people, others.loc[inside, "person_id"].to_numpy(dtype=object))
        more = pd.Series(people).map(others["person_id"].value_counts()).fillna(0)
        chance = 1 - (1 - share) ** (1 + more.to_numpy(dtype=np.float64))
    return held, chance


def drawn(
    people: npt.NDArray[np.object_],
    campaign: npt.NDArray[np.object_],
    accounts: pd.DataFrame,
    policy: Policy,
) -> tuple[Bools, Floats]:
    """Whether each of what would be sent falls to a control group, and the chance of it.

    Parameters
    ----------
    people : array of shape (n,)
        Names of persons, as for `in_group`.
    campaign : array of shape (n,) of names
    accounts
        As for `in_group`.
    policy
        The shares: of all campaigns together, and of each.
    """
    rules = policy.control
    held, chance = in_group(people, accounts, rules.salt, rules.share)
    for name, share in own_shares(policy).items():
        row = np.flatnonzero(campaign == name)
        own, its_chance = in_group(people[row], accounts, _salt(rules, name), share)
        held[row] |= own
        chance[row] = 1 - (1 - chance[row]) * (1 - its_chance)
    return held, chance


def own_shares(policy: Policy) -> dict[str, float]:
    """The campaigns with a control group of their own, and its share."""
    return {c.name: c.control_share for c in policy.campaigns if c.control_share > 0}


def members(inputs: Inputs, policy: Policy) -> pd.DataFrame:
    """Everybody in a control group: customer (position), scope (a campaign, or all of them), share."""
    people = inputs.customers["person_id"].to_numpy(dtype=object)
    rules = policy.control
    scopes = [(EVERY_CAMPAIGN, rules.share, rules.salt)]
    scopes += [(name, share, _salt(rules, name)) for name, share in own_shares(policy).items()]
    parts = []
    for scope, share, salt in scopes:
        inside, _ = in_group(people, inputs.accounts, salt, share)
        rows = np.flatnonzero(inside)
        parts.append(pd.DataFrame({"customer": rows, "scope": scope, "share": share}))
    return pd.concat(parts, ignore_index=True)


def explorers(customer: Ints, customers: pd.DataFrame, control: Control, as_of: date) -> Bools:
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
