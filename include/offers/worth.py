"""What a candidate is expected to bring: chance of redemption, cost, gain, and what that rests on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.features.arrays import Bools, Floats, Ints
from include.models.campaigns.redemption import level_of, moved_to
from include.offers.inputs import Inputs, Past
from include.policy import Policy
from include.policy.campaigns import Campaign

#: A predicted basket may differ from the campaign's assumed one by at most this factor.
BASKET_FACTOR = 3.0

#: No level of redemption is believed to be nearer to never or always than this.
_EDGE = 1e-4


@dataclass(frozen=True)
class Worth:
    """Of each candidate of a campaign, arrays of shape (n,).

    Attributes
    ----------
    p_redeem
        Chance that the coupon is redeemed (the message acted on, where there is none).
    cost
        Expected cost of the coupon.
    value
        Expected gain over sending nothing, the coupon's cost taken off.
    is_experiment
        Whether the gain was learnt from our own control groups; otherwise it is an assumption of the
        policy carried to the customer by what was observed, and no lift may be claimed.
    """

    p_redeem: Floats
    cost: Floats
    value: Floats
    is_experiment: Bools


def valued(campaign: Campaign, customer: Ints, inputs: Inputs, policy: Policy) -> Worth:
    """What each of a campaign's candidates is worth.

    By assumption: p_redeem * (incremental_share * margin_share * basket - cost of the offer). Where an
    uplift model has learnt from control groups what being sent the campaign adds to a customer's margin:
    that, less p_redeem * cost.

    Parameters
    ----------
    customer : array of shape (n,)
        Positions in `inputs.customers`.
    """
    offer, believed = policy.offer(campaign.offer), campaign.assumed
    chosen = inputs.customers.iloc[customer]
    # Whoever redeems has spent the offer's minimum.
    basket = np.maximum(expected_basket(chosen, believed.basket).to_numpy(), offer.minimum_spend)
    each = _cost(offer.kind, offer.value, offer.at_most, basket)
    level = believed.p_redeem
    if offer.has_coupon:
        past = inputs.past.get(campaign.name, Past(0, 0))
        level = level_of(past.redeemed, past.sent, level)
    chance = _chances(customer, inputs, level, by_customer=offer.has_coupon)
    gain = believed.incremental_share * believed.margin_share * basket - each
    value, learnt = chance * gain, np.zeros(len(customer), dtype=bool)
    uplift = inputs.uplift.get(campaign.name)
    if uplift is not None:
        added = uplift.reindex(chosen["customer_id"].astype("str")).to_numpy(dtype=np.float64)
        learnt = np.isfinite(added)
        value = np.where(learnt, added - chance * each, value)
    return Worth(chance, chance * each, value, learnt)


def _cost(kind: str, value: float, at_most: float | None, basket: Floats) -> Floats:
    """`Offer.cost` of many baskets that have reached the offer's minimum."""
    if kind == "amount_off":
        return np.full(len(basket), value)
    if kind == "percent_off":
        return np.minimum(value * basket, np.inf if at_most is None else at_most)
    return np.zeros(len(basket))


def _chances(customer: Ints, inputs: Inputs, level: float, *, by_customer: bool) -> Floats:
    """Each candidate's chance: who redeems more readily than others, at the campaign's own level."""
    found = np.full(len(customer), level)
    if not by_customer or inputs.chances.empty or not len(customer):
        return found
    every = np.full(len(inputs.customers), np.nan)
    place = inputs.positions(inputs.chances["customer_id"], missing=-1)
    known = place >= 0
    every[place[known]] = inputs.chances["p_redeem"].to_numpy(dtype=np.float64)[known]
    own = every[customer]
    scored = np.isfinite(own)
    if scored.any():
        found[scored] = moved_to(own[scored], float(np.clip(level, _EDGE, 1 - _EDGE)))
    return found


def expected_basket(customers: pd.DataFrame, assumed: float) -> pd.Series:
    """The money a customer is expected to leave in one order.

    Predicted spend over predicted orders where both are known, within a factor of what the campaign
    assumes (a customer with a hundredth of an order ahead has no basket to speak of); what the campaign
    assumes otherwise.
    """
    orders = pd.to_numeric(customers["predicted_orders"])
    basket = pd.to_numeric(customers["predicted_value"]) / orders.where(orders > 0)
    return basket.clip(assumed / BASKET_FACTOR, assumed * BASKET_FACTOR).fillna(assumed)
