"""What customers do beside buying: browsing, carts, wish lists, follows, and reviews."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from include.demo_shop.households import People
from include.demo_shop.seeded import CLOSING, DAY, WEEK, Lines, draws, of_number, stamps
from include.features.arrays import Ints

EVENT_TYPES = ("browse", "cart", "wishlist", "follow")
EVENT_SHARES = (0.76, 0.14, 0.06, 0.04)

#: About 150,000 events and 8,000 reviews over the year.
EVENT_RATE = 0.102
REVIEW_RATE = 0.0063
REVIEW_SENTENCES = {
    1: ("Would not buy this {thing} again.", "Stale when I opened it.", "Not what the label says.",
        "Went straight into the bin.", "Broken on arrival, and nobody answered."),
    2: ("Too expensive for what it is.", "The {thing} used to be better.", "Rather bland.",
        "Half of it was no good.", "I expected more."),
    3: ("It is all right.", "Does the job, nothing more.", "Decent {thing}, average price.",
        "The children eat it, I do not.", "Neither good nor bad."),
    4: ("Good {thing}, fair price.", "We buy this most weeks.", "Tasty, and keeps well.",
        "Better than the brand I had before.", "Pleasant surprise."),
    5: ("The best {thing} in the shop.", "Love it, always in our basket.", "Fresh every time.",
        "My favourite, please never stop selling it.", "Excellent."),
}  # fmt: skip


def events(lines: Lines, people: People, product_numbers: Sequence[str]) -> pa.Table:
    """Browse, cart, wish-list and follow events.

    One line in ten is followed, hours to weeks later, by an event of the same customer: in 55 of 100
    about the product bought, otherwise about one that somebody bought shortly before, which makes what
    is popular looked at most. New customers look around in the week after they register, too.
    """
    size = len(lines)
    anchor = np.flatnonzero(draws("events.anchor").random(size) < EVENT_RATE)
    delay = draws("events.delay").exponential(5 * DAY, len(anchor)).astype(np.int64) + 10 * 60
    own = draws("events.own").random(len(anchor)) < 0.55
    back = draws("events.back").exponential(40_000, len(anchor)).astype(np.int64)
    seen = np.where(own, anchor, np.maximum(anchor - back, 0))
    first_customer, first_stamp, first_seen = _first_visits(lines, people)
    customer = np.concatenate([lines.customer[anchor], first_customer])
    stamp = np.concatenate([lines.stamp[anchor] + delay, first_stamp])
    product = lines.product[np.concatenate([seen, first_seen])]
    kind = np.searchsorted(np.cumsum(EVENT_SHARES), draws("events.kind").random(len(anchor)))
    kind = np.concatenate([np.minimum(kind, 3), np.zeros(len(first_stamp), dtype=kind.dtype)])
    order = np.lexsort((product, customer, stamp))
    order = order[stamp[order] < CLOSING]
    return pa.table(
        {
            "event_id": pa.array(np.arange(1, len(order) + 1)),
            "customer_number": pa.array([str(who) for who in customer[order].tolist()]),
            "product_number": pa.array([product_numbers[row] for row in product[order].tolist()]),
            "event_type": pa.array([EVENT_TYPES[place] for place in kind[order].tolist()]),
            "occurred_at": stamps(stamp[order]),
        }
    )


def _first_visits(lines: Lines, people: People) -> tuple[Ints, Ints, Ints]:
    """Browsing in the week after registration: customers, stamps and the lines looked at."""
    visits = np.floor(of_number("events.first_visits", people.number) * 4).astype(int)
    index = np.repeat(np.arange(len(visits)), visits)
    turn = np.arange(len(index)) - np.repeat(np.cumsum(visits) - visits, visits)
    moment, back = (
        draws(f"events.first_visits.{name}").random((int(people.number.max()) + 1, 4))[
            people.number[index], turn
        ]
        for name in ("when", "back")
    )
    stamp = people.registered[index] + (moment * WEEK).astype(np.int64)
    newest = np.searchsorted(lines.stamp, stamp, side="right") - 1
    seen = np.maximum(newest - (back * 20_000).astype(np.int64), 0)
    sound = newest >= 0  # nobody had bought anything yet
    return people.number[index][sound], stamp[sound], seen[sound]


def reviews(lines: Lines, product_numbers: Sequence[str], product_types: Sequence[str]) -> pa.Table:
    """One review at most per customer and product, two days to three weeks after a purchase.

    A rating is the customer's habit plus the product's merit plus chance, cut to 1-5.
    """
    anchor = np.flatnonzero(draws("reviews.anchor").random(len(lines)) < REVIEW_RATE)
    customer, product = lines.customer[anchor], lines.product[anchor]
    pair = customer.astype(np.int64) * len(product_numbers) + product
    firsts = np.sort(np.unique(pair, return_index=True)[1])
    habit = draws("reviews.habit").normal(0, 0.5, 10_000)[customer % 10_000]
    merit = draws("reviews.merit").normal(0, 0.5, len(product_numbers))[product]
    chance = draws("reviews.chance").normal(0, 0.8, len(anchor))
    rating = np.clip(np.rint(4.0 + habit + merit + chance), 1, 5).astype(int)
    wait = 2 * DAY + np.floor(draws("reviews.wait").random(len(anchor)) * 19 * DAY).astype(np.int64)
    written = lines.stamp[anchor] + wait
    wording = draws("reviews.wording").integers(0, 5, len(anchor))
    silent = draws("reviews.silent").random(len(anchor)) < 0.2
    order = firsts[np.lexsort((product[firsts], customer[firsts], written[firsts]))]
    order = order[written[order] < CLOSING]
    bodies = [
        None
        if silent[row]
        else REVIEW_SENTENCES[int(rating[row])][wording[row]].format(
            thing=product_types[product[row]].lower()
        )
        for row in order
    ]
    return pa.table(
        {
            "review_id": pa.array(np.arange(1, len(order) + 1)),
            "customer_number": pa.array([str(who) for who in customer[order].tolist()]),
            "product_number": pa.array([product_numbers[row] for row in product[order].tolist()]),
            "rating": pa.array(rating[order]),
            "body": pa.array(bodies, pa.string()),
            "written_at": stamps(written[order]),
        }
    )
