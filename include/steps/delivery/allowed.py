"""What may still be sent of what was decided: consent may be withdrawn in between, or a return be opened."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self

from include import policy, warehouse
from include.persons import addresses, pseudonym
from include.steps.delivery import outcomes, reasons
from include.steps.delivery.held import Claim, Claimed


def still_allowed(
    claim: Claim, claimed: list[Claimed], *, capped: bool = True
) -> list[tuple[Claimed, str]]:
    """What may still be sent, with its address; the rest is cancelled with the guard's reason."""
    if not claimed:
        return []
    from include.offers.guard import Person, refusal_now

    customers = sorted({message.customer_id for message in claimed})
    permissions = _permissions(claim, customers)
    contacts = {
        row[0]: row[1:]
        for row in warehouse.rows(
            claim.conn, warehouse.sql("queries/deliver/contacts"), {"customers": customers}
        )
    }
    mailboxes = _mailboxes(claimed, contacts)
    troubles = _troubles(claim, customers)
    may_follow = {c.name for c in claim.rules.campaigns if c.after_complaint}
    left = _Left.known(claim, customers, mailboxes)
    kept_out = _found_in_control(claim, claimed, customers)
    ended = reasons.gone(claim, claimed)
    allowed, refused = [], []
    # Tried before, perhaps arrived: those come first, and what is new has to keep the cap beside them.
    for message in sorted(claimed, key=lambda m: -m.attempts):
        birth_date, is_birthday_faulty, _ = contacts[message.customer_id]
        address, mailbox = mailboxes.get(message.message_id, (None, None))
        today = claim.day_in(message.time_zone)
        reason = refusal_now(
            permissions.get((message.customer_id, message.channel)),
            Person(
                birth_date,
                is_birthday_faulty,
                *troubles.get(message.customer_id, (None, None)),
            ),
            left.days(message, mailbox),
            today,
            claim.rules,
            capped=capped and message.cap_class == "marketing",
            patient=message.campaign not in may_follow,
        )
        reason = reason or ("control_group" if message.message_id in kept_out else None)
        reason = reason or ("no_contact_point" if address is None or mailbox is None else None)
        reason = reason or (reasons.GONE if message.message_id in ended else None)
        if capped and not reason and left.has_copy(message, mailbox, today):
            reason = "same_mailbox"
        if reason:
            refused.append((message, reason))
            continue
        left.add(message, mailbox, today)
        allowed.append((message, str(address)))
    outcomes.cancel(claim, refused)
    outcomes.note_mailboxes(claim, [(m.message_id, mailboxes[m.message_id][1]) for m, _ in allowed])
    return allowed


def _mailboxes(
    claimed: list[Claimed], contacts: Mapping[uuid.UUID, Any]
) -> dict[uuid.UUID, tuple[str, uuid.UUID]]:
    """Of each message the address in its one form and its hash, where the customer has one."""
    secret, region = pseudonym.key(), policy.load().shop.phone_region
    found = {}
    for message in claimed:
        given = (contacts[message.customer_id][2] or {}).get(message.channel)
        address = addresses.normal(message.channel, given, region)
        if address:
            mark = addresses.hashed(message.channel, address, secret)
            found[message.message_id] = (address, mark)
    return found


def _permissions(claim: Claim, customers: list[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Any]:
    """The newest word on consent, contact points and suppression.

    A no counts whenever it was recorded, even later than the clock; a yes counts from its moment on.
    """
    from include.offers.guard import Permission

    found = warehouse.rows(
        claim.conn,
        warehouse.sql("queries/activate/permissions"),
        {"end": "infinity", "granted_by": claim.now, "customers": customers},
    )
    return {(row[0], row[1]): Permission(*row[2:]) for row in found}


def _troubles(
    claim: Claim, customers: list[uuid.UUID]
) -> dict[uuid.UUID, tuple[date | None, date | None]]:
    """Customer -> days of the last complaint and of the last return, of those that count by now."""
    complaints = claim.rules.activation.complaints
    reach = timedelta(days=1 + max(complaints.days, complaints.return_days))
    found = warehouse.rows(
        claim.conn,
        warehouse.sql("queries/deliver/troubles"),
        {
            "customers": customers,
            "since": claim.day_in(None) - reach,
            "complaint_rating": complaints.rating,
            "complaint_sentiment": complaints.sentiment,
        },
    )
    return {customer: (complained, returned) for customer, complained, returned in found}


def _found_in_control(
    claim: Claim, claimed: list[Claimed], customers: list[uuid.UUID]
) -> set[uuid.UUID]:
    """Messages to whom an account of a control group was found to belong since they were decided."""
    import numpy as np

    from include.offers import control

    accounts = warehouse.frame(
        claim.conn, warehouse.sql("queries/activate/accounts"), {"customers": customers}
    )
    several = set(accounts["person_id"])
    open_to = [message for message in claimed if str(message.customer_id) in several]
    held, _ = control.drawn(
        np.array([str(message.customer_id) for message in open_to], dtype=object),
        np.array([message.campaign for message in open_to], dtype=object),
        accounts,
        claim.rules,
    )
    return {message.message_id for message, is_in in zip(open_to, held, strict=True) if is_in}


@dataclass
class _Left:
    """What has left, or may have, or is leaving: (person, mailbox, campaign, class, day) of each message.

    Messages of an account count for the person it belongs to by now, so that no merge resets a cap, and those
    to a mailbox for everybody who shares it.
    """

    rows: list[tuple[uuid.UUID, uuid.UUID | None, str, str, date]]
    persons: dict[uuid.UUID, list[int]] = field(default_factory=dict)
    shared: dict[uuid.UUID, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given, self.rows = self.rows, []
        for row in given:
            self._put(row)

    @classmethod
    def known(
        cls,
        claim: Claim,
        customers: list[uuid.UUID],
        mailboxes: Mapping[uuid.UUID, tuple[str, uuid.UUID]],
    ) -> Self:
        """What has left for the customers and to the mailboxes; what others are sending counts as today's."""
        params = {
            "customers": customers,
            "mailboxes": sorted({mark for _, mark in mailboxes.values()}),
            "claim": claim.number,
            "now": claim.now,
            "shop_zone": claim.rules.shop.timezone,
        }
        return cls(warehouse.rows(claim.conn, warehouse.sql("queries/deliver/left"), params))

    def days(self, message: Claimed, mailbox: uuid.UUID | None) -> list[date]:
        """The days on which marketing messages left for a message's customer, or to its mailbox."""
        return [row[4] for row in self._of(message, mailbox) if row[3] == "marketing"]

    def has_copy(self, message: Claimed, mailbox: uuid.UUID | None, today: date) -> bool:
        """Whether somebody else's copy of the campaign goes to the mailbox on the day."""
        return any(
            person != message.customer_id and campaign == message.campaign and day == today
            for person, mark, campaign, _, day in self._of(message, mailbox)
            if mark == mailbox
        )

    def add(self, message: Claimed, mailbox: uuid.UUID | None, today: date) -> None:
        """One more that leaves."""
        self._put((message.customer_id, mailbox, message.campaign, message.cap_class, today))

    def _of(
        self, message: Claimed, mailbox: uuid.UUID | None
    ) -> list[tuple[uuid.UUID, uuid.UUID | None, str, str, date]]:
        places = set(self.persons.get(message.customer_id, ()))
        places |= set(self.shared.get(mailbox, ()) if mailbox else ())
        return [self.rows[place] for place in sorted(places)]

    def _put(self, row: tuple[uuid.UUID, uuid.UUID | None, str, str, date]) -> None:
        self.persons.setdefault(row[0], []).append(len(self.rows))
        if row[1]:
            self.shared.setdefault(row[1], []).append(len(self.rows))
        self.rows.append(row)
