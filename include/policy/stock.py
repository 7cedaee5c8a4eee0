"""What the policy says about demand and stock."""

from datetime import date
from typing import Annotated

from pydantic import Field

from include.policy.base import Days, Money, Section


class Stock(Section):
    """Costs and times behind `marketing.stock_priorities`; the rule stands in docs/stock.md."""

    #: Days from ordering goods to having them, and between two orders: what is in stock lasts both.
    lead_days: Annotated[int, Field(ge=0, le=28)]
    review_days: Annotated[int, Field(ge=1, le=28)]
    #: Gross margin as a share of the price, for products whose margin the shop does not state.
    margin_share: Annotated[float, Field(gt=0, lt=1)]
    #: What a week in stock costs, as a share of what the goods cost: capital, space, spoilage.
    holding_share_per_week: Annotated[float, Field(gt=0, lt=1)]
    #: A sale lost to a high-value customer costs so many times its margin: later purchases go with it.
    high_value_weight: Annotated[float, Field(ge=1, le=20)]
    #: A piece is reserved where a high-value customer will want it with at least this chance.
    reserve_chance: Annotated[float, Field(gt=0, lt=1)]
    #: A count older than this says nothing any more.
    count_max_age_days: Days
    #: More days of cover than this, and the goods may be promoted away.
    overstock_days: Days
    #: Reserving or reducing what is worth less than this is not worth the hand that does it.
    minimum_worth: Money
    #: Days on which the shop sells otherwise than on others, and on the week before.
    holidays: list[date]
