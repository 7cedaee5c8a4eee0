"""What the demo shop lacks beyond the till: web orders, deliveries, returns, accounts, mentions, events.

Made from the real rows with a seed, by the rules of `include.demo_shop.seeded`: the same input gives the
same output, and a row with stamp t is made from rows at or before t alone.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from include.demo_shop.assortment import REGIONS
from include.demo_shop.households import People
from include.demo_shop.seeded import (
    CLOSING,
    DAY,
    HOUR,
    OPENING,
    Baskets,
    Lines,
    draws,
    morning,
    of_number,
    stamps,
    texts,
)
from include.features.arrays import Bools

#: A quarter of the households order by the web, two of five of their orders.
WEB_HOUSEHOLDS, WEB_ORDERS = 0.25, 0.4
#: About 13,000 lines of the year come back.
RETURN_RATE = 0.009
RETURN_REASONS = ("damaged", "spoiled", "wrong article", "changed mind")
#: About 6,000 mentions over the year.
MENTION_RATE = 0.0041
NETWORKS = ("birdsong", "snapshot", "townsquare")
CARRIERS = ("own van", "parcel service")

MENTION_SENTENCES = (
    ("The {thing} from here was awful, never again.", "Worst {thing} I ever bought, what a waste.",
     "So disappointed with this shop today.", "Queued half an hour for a broken {thing}. Terrible.",
     "Rude at the till, and the {thing} was rotten :("),
    ("Not happy with the {thing} lately.", "The shop was a mess this morning.",
     "Hmm, {thing} is not as good as it was.", "They ran out of {thing} again, annoying."),
    ("Picked up {thing} on the way home.", "Anyone tried the new {thing}?",
     "The shop opens at eight on Sunday.", "Back from the weekly shop."),
    ("The {thing} is really good this week.", "Nice service at the shop today.",
     "Quite like their {thing}.", "Good price for {thing}, thanks."),
    ("LOVE the {thing} here, best in town!", "Fantastic {thing}, the whole family was happy :)",
     "Such a friendly shop, always a pleasure.", "Perfect {thing}. Great job!"),
)  # fmt: skip

#: Member events: name, first day, days, and how many regions it is held in (0: everywhere at once).
MEMBER_EVENTS = (
    ("Winter soup evening", date(2017, 2, 10), 1, 2),
    ("Spring garden weekend", date(2017, 4, 22), 2, 3),
    ("Summer barbecue", date(2017, 6, 24), 1, 5),
    ("Members' week", date(2017, 9, 4), 7, 0),
    ("Harvest tasting", date(2017, 10, 7), 1, 5),
    ("Wine and cheese evening", date(2017, 11, 17), 1, 2),
    ("Christmas market", date(2017, 12, 9), 2, 0),
)
EVENT_KNOWN_AHEAD = timedelta(weeks=5)


def ordered_on_web(baskets: Baskets) -> Bools:
    """Whether each basket was ordered on the web; the others were rung up at a till."""
    uses = of_number("orders.web", baskets.customer) < WEB_HOUSEHOLDS
    return np.asarray(uses & (draws("orders.channel").random(len(baskets.order)) < WEB_ORDERS))


def deliveries(baskets: Baskets) -> pa.Table:
    """One row per web order: promised for the second day after it, late in one case of six."""
    web = np.flatnonzero(ordered_on_web(baskets))
    size = len(baskets.order)
    late = draws("deliveries.late").random(size)[web] < 0.16
    early = draws("deliveries.early").random(size)[web] * 6 * HOUR
    behind = draws("deliveries.behind").exponential(14 * HOUR, size)[web]
    failed = draws("deliveries.failed").random(size)[web] < 0.01
    carrier = draws("deliveries.carrier").integers(0, len(CARRIERS), size)[web]
    promised = baskets.stamp[web] + 2 * DAY
    arrived = (promised + np.where(late, behind, -early)).astype(np.int64)
    order = np.lexsort((baskets.order[web], arrived))
    order = order[arrived[order] < CLOSING]
    return pa.table(
        {
            "delivery_number": texts(f"D{row}" for row in baskets.order[web][order].tolist()),
            "order_number": texts(baskets.order[web][order].tolist()),
            "customer_number": texts(baskets.customer[web][order].tolist()),
            "carrier": pa.array([CARRIERS[place] for place in carrier[order].tolist()]),
            "status": pa.array(
                ["failed" if bad else "delivered" for bad in failed[order].tolist()]
            ),
            "promised_at": stamps(promised[order]),
            "delivered_at": stamps(arrived[order]),
        }
    )


class Returns:
    """Draws the lines that come back while the lines stream by: one draw a line of the history."""

    COLUMNS = ("order", "number", "product", "customer", "quantity", "sales", "stamp")

    def __init__(self) -> None:
        self._chance = draws("returns.line")
        self._kept: list[tuple[npt.NDArray[Any], ...]] = []

    def see(self, counted: Bools, *columns: npt.NDArray[Any]) -> None:
        """A batch of lines, as arrays in the order of COLUMNS; only counted lines can come back."""
        drawn = self._chance.random(len(counted)) < RETURN_RATE
        kept = drawn & counted
        self._kept.append(tuple(column[kept] for column in columns))

    def table(self) -> pa.Table:
        """The returns, one to twenty days after the purchase."""
        parts = zip(*self._kept, strict=True)
        lines = dict(zip(self.COLUMNS, map(np.concatenate, parts), strict=True))
        size = len(lines["stamp"])
        whole = lines["quantity"].astype(np.int64)
        part = draws("returns.quantity").random(size)
        back = np.maximum(np.ceil(part * whole).astype(np.int64), 1)
        wait = DAY + np.floor(draws("returns.wait").random(size) * 19 * DAY).astype(np.int64)
        reason = draws("returns.reason").integers(0, len(RETURN_REASONS), size)
        returned = lines["stamp"] + wait
        order = np.lexsort((lines["number"], lines["order"], returned))
        order = order[returned[order] < CLOSING]
        refund = np.round(lines["sales"] * back / np.maximum(whole, 1), 2)
        return pa.table(
            {
                "return_number": texts(
                    f"R{bought}-{number}"
                    for bought, number in zip(
                        lines["order"][order].tolist(), lines["number"][order].tolist(), strict=True
                    )
                ),
                "order_number": texts(lines["order"][order].tolist()),
                "product_number": texts(lines["product"][order].tolist()),
                "customer_number": texts(lines["customer"][order].tolist()),
                "quantity": pa.array(back[order]),
                "refund": pa.array(refund[order]),
                "reason": pa.array([RETURN_REASONS[place] for place in reason[order].tolist()]),
                "returned_at": stamps(returned[order]),
            }
        )


def accounts(people: People, contacts: pa.Table) -> pa.Table:
    """The accounts by which a household is met: its loyalty card, and perhaps web, till and social ones.

    A household of the real data is its loyalty card. Other accounts carry what such accounts carry: the
    card's number, a verified e-mail address, a telephone, or the customer number; some carry nothing
    that ties them to anybody.
    """
    mail, phone = _first_addresses(contacts)
    rows: list[tuple[Any, ...]] = []
    ways = of_number("accounts.way", people.number)
    later = of_number("accounts.later", people.number)
    has = {
        system: of_number(f"accounts.{system}", people.number) < share
        for system, share in (("web", 0.45), ("till", 0.15), ("social", 0.30))
    }
    swapped = of_number("accounts.swapped", people.number) < 0.02
    for index, who in enumerate(people.number.tolist()):
        name = (people.first[index], people.last[index])
        start = int(people.registered[index])
        card, own = f"L{who:07d}", str(who)
        rows.append((start, own, "loyalty", None, *name, mail.get(own), phone.get(own), card, None))
        opened = start + DAY + int(later[index] * 60 * DAY)
        if opened >= CLOSING:
            continue
        way = ways[index]
        if has["web"][index]:
            typed = name[::-1] if swapped[index] else name
            owner = own if way < 0.5 or own not in mail else None
            rows.append((opened, f"W{who}", "web", owner, *typed, mail.get(own), None, None, None))
        if has["till"][index]:
            rows.append((opened, f"T{who}", "till", None, *name, None, phone.get(own), card, None))
        if has["social"][index]:
            tie = (mail.get(own), None) if way < 0.6 else (None, phone.get(own))
            tie = tie if way < 0.85 else (None, None)
            rows.append((opened, f"S{who}", "social", None, *name, *tie, None, handle(who)))
    rows.sort(key=lambda row: (row[0], row[1]))
    names = ("account_number", "system", "customer_number", "first_name", "last_name", "email",
             "phone", "loyalty_number", "handle")  # fmt: skip
    columns = {name: texts(row[place] for row in rows) for place, name in enumerate(names, 1)}
    columns["email_verified"] = pa.array([row[6] is not None for row in rows])
    columns["updated_at"] = stamps(np.array([row[0] for row in rows], dtype=np.int64))
    return pa.table(columns)


def handle(household: int) -> str:
    """The social handle of a household that has one."""
    return f"@shopper_{household * 7919 % 100_003}"


def _first_addresses(contacts: pa.Table) -> tuple[dict[str, str], dict[str, str]]:
    mail: dict[str, str] = {}
    phone: dict[str, str] = {}
    for who, channel, address, verified in zip(
        *(contacts[n].to_pylist() for n in ("customer_number", "channel", "address", "verified")),
        strict=True,
    ):
        if channel == "email" and verified:
            mail.setdefault(who, address)
        if channel == "sms":
            phone.setdefault(who, address)
    return mail, phone


def mentions(lines: Lines, people: People, kinds: list[str], numbers: list[str]) -> pa.Table:
    """What is said of the shop and its products on social networks, hours to days after a purchase.

    Two of three name the product. A third of the writers has the handle of a known account; the other
    handles belong to nobody whom the shop knows.
    """
    anchor = np.flatnonzero(draws("mentions.anchor").random(len(lines)) < MENTION_RATE)
    size = len(anchor)
    customer, product = lines.customer[anchor].astype(np.int64), lines.product[anchor]
    mood = draws("mentions.habit").normal(0, 0.6, 10_000)[customer % 10_000]
    mood = mood + draws("mentions.chance").normal(0.35, 0.9, size)
    tone = np.clip(np.rint(2 + mood), 0, 4).astype(int)
    wording = draws("mentions.wording").random(size)
    named = draws("mentions.named").random(size) < 0.67
    network = draws("mentions.network").integers(0, len(NETWORKS), size)
    posted = (
        lines.stamp[anchor]
        + HOUR
        + draws("mentions.delay").exponential(2 * DAY, size).astype(np.int64)
    )
    stranger = draws("mentions.stranger").integers(0, 10**6, size)
    top = int(people.number.max()) + 1
    social = np.zeros(top, dtype=bool)
    social[people.number] = of_number("accounts.social", people.number) < 0.30
    order = np.lexsort((product, customer, posted))
    order = order[posted[order] < CLOSING]

    def texts_of() -> Iterator[str]:
        for row in order.tolist():
            options = MENTION_SENTENCES[tone[row]]
            thing = kinds[product[row]].lower() if named[row] else "food"
            yield options[int(wording[row] * len(options))].format(thing=thing)

    return pa.table(
        {
            "mention_id": pa.array(np.arange(1, len(order) + 1)),
            "network": pa.array([NETWORKS[place] for place in network[order].tolist()]),
            "handle": pa.array(
                [
                    handle(int(customer[row])) if social[customer[row]] else f"@u{stranger[row]}"
                    for row in order.tolist()
                ]
            ),
            "product_number": pa.array(
                [numbers[product[row]] if named[row] else None for row in order.tolist()],
                pa.string(),
            ),
            "body": pa.array(list(texts_of()), pa.string()),
            "posted_at": stamps(posted[order]),
        }
    )


def member_events() -> pa.Table:
    """Events that members are invited to, planned five weeks ahead."""
    rows = []
    for name, starts_on, days, regions in MEMBER_EVENTS:
        for region in REGIONS[:regions] if regions else (None,):
            rows.append((name, region, starts_on, starts_on + timedelta(days=days - 1)))
    known = [max(morning(row[2] - EVENT_KNOWN_AHEAD), OPENING) for row in rows]
    return pa.table(
        {
            "event_number": texts(f"E{place:03d}" for place in range(1, len(rows) + 1)),
            "name": pa.array([row[0] for row in rows]),
            "region": pa.array([row[1] for row in rows], pa.string()),
            "starts_on": pa.array([row[2] for row in rows], pa.date32()),
            "ends_on": pa.array([row[3] for row in rows], pa.date32()),
            "cancelled": pa.array([False] * len(rows)),
            "updated_at": stamps(np.array(known, dtype=np.int64)),
        }
    )
