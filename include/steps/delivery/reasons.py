"""Whether the reason of a message still holds when it leaves: each kind of trigger asked again."""

import uuid
from collections import defaultdict

from include import warehouse
from include.steps.delivery.held import Claim, Claimed

#: What a message is cancelled with whose reason has ended.
GONE = "reason_gone"


def gone(claim: Claim, claimed: list[Claimed]) -> set[uuid.UUID]:
    """Those whose reason has ended, by what is published by now: one question for each campaign.

    Each is asked by the query of its trigger's kind (`include/sql/queries/again`), with the keys of the
    policy in force. A campaign that the policy does not have any more has no reason to ask for.
    """
    campaigns = {campaign.name: campaign for campaign in claim.rules.campaigns}
    waiting: dict[str, list[Claimed]] = defaultdict(list)
    for message in claimed:
        if message.campaign in campaigns:
            waiting[message.campaign].append(message)
    found: set[uuid.UUID] = set()
    for name, messages in sorted(waiting.items()):
        campaign = campaigns[name]
        trigger = campaign.trigger
        statement = warehouse.sql(
            "queries/deliver/reason_gone", ended=f"queries/again/{trigger.when}"
        )
        params = trigger.asked_again(campaign, claim.rules) | {
            "messages": [message.message_id for message in messages],
            "days": [claim.day_in(message.time_zone) for message in messages],
            "timezone": claim.rules.shop.timezone,
        }
        found |= {row[0] for row in warehouse.rows(claim.conn, statement, params)}
    return found
