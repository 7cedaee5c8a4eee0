"""Campaigns, coupons and mailers of the real rows, with the moment at which each became known."""

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.demo_shop.seeded import DAY, HOUR, OPENING, Baskets, local_days, morning, stamps, texts

#: The source's week 1 begins here, though its first order is of the Sunday.
FIRST_MONDAY = date(2016, 12, 26)

#: How long before its week a mailer is planned.
PLANNED_AHEAD = timedelta(weeks=8)


def campaigns(source: pa.Table) -> pa.Table:
    """The campaigns, known two weeks before they start."""
    starts = [value.date() for value in source["start_date"].to_pylist()]
    return pa.table(
        {
            "campaign_number": texts(source["campaign_id"].to_pylist()),
            "campaign_type": source["campaign_type"],
            "starts_on": source["start_date"].cast(pa.date32()),
            "ends_on": source["end_date"].cast(pa.date32()),
            "updated_at": stamps(np.array([planned(start) for start in starts], dtype=np.int64)),
        }
    )


def planned(start: date) -> int:
    """When a campaign that starts on a day became known to the shop's database."""
    return max(morning(start - timedelta(days=14)), OPENING)


def exposure_stamp(start: date) -> int:
    """When a campaign that starts on a day reached the households it was sent to."""
    return max(morning(start), OPENING + 6 * HOUR)


def exposures(source: pa.Table, starts: dict[int, date]) -> pa.Table:
    """Who was sent which campaign, on the morning of its first day."""
    campaign = source["campaign_id"].to_pylist()
    return pa.table(
        {
            "campaign_number": texts(campaign),
            "customer_number": texts(source["household_id"].to_pylist()),
            "exposed_at": stamps(
                np.array([exposure_stamp(starts[number]) for number in campaign], dtype=np.int64)
            ),
        }
    )


def coupons(source: pa.Table, starts: dict[int, date]) -> pa.Table:
    """The coupons as they stand in the source, its exact duplicates included."""
    campaign = source["campaign_id"].to_numpy()
    known = np.zeros(max(starts) + 1, dtype=np.int64)
    for number, start in starts.items():
        known[number] = planned(start)
    return pa.table(
        {
            "coupon_row": pa.array(np.arange(1, source.num_rows + 1)),
            "coupon_upc": source["coupon_upc"].cast(pa.string()),
            "product_number": source["product_id"].cast(pa.string()),
            "campaign_number": source["campaign_id"].cast(pa.string()),
            "updated_at": stamps(known[campaign]),
        }
    )


def redemptions(source: pa.Table, baskets: Baskets) -> pa.Table:
    """Coupons redeemed, at the time of the household's first basket of the source's day.

    Every redemption falls on a day on which its household bought something, in the shop's zone.
    """
    days = source["redemption_date"].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // DAY
    visit = baskets.customer * 100_000 + local_days(baskets.stamp)
    visits, place = np.unique(visit, return_index=True)
    wanted = source["household_id"].to_numpy() * 100_000 + days
    found = np.minimum(np.searchsorted(visits, wanted), len(visits) - 1)
    noon = np.array(
        [morning(date(1970, 1, 1) + timedelta(days=int(day)), hour=12) for day in days],
        dtype=np.int64,
    )
    at = np.where(visits[found] == wanted, baskets.stamp[place[found]], noon)
    return pa.table(
        {
            "redemption_id": pa.array(np.arange(1, source.num_rows + 1)),
            "coupon_upc": source["coupon_upc"].cast(pa.string()),
            "campaign_number": texts(source["campaign_id"].to_pylist()),
            "customer_number": texts(source["household_id"].to_pylist()),
            "redeemed_at": stamps(at),
        }
    )


def promotions(source: Iterable[pa.RecordBatch]) -> pa.Table:
    """The weekly mailers by product: the page that most stores had it on, and the share of stores.

    Mailers are planned eight weeks ahead. Displays in the store are left out.

    Parameters
    ----------
    source
        The source's rows of product, store and week, in order of the week.
    """
    stores: set[int] = set()
    parts: list[pa.Table] = []
    for batch in source:
        stores.update(pc.unique(batch["store_id"]).to_pylist())
        mailed = batch.filter(pc.not_equal(batch["mailer_location"], "0"))
        parts.append(
            pa.table(
                {
                    name: mailed[name]
                    for name in ("product_id", "week", "mailer_location", "store_id")
                }
            )
            .group_by(["product_id", "week", "mailer_location"])
            .aggregate([("store_id", "count")])
        )
    # A product's week may be cut by the end of a batch.
    cells = (
        pa.concat_tables(parts)
        .group_by(["product_id", "week", "mailer_location"])
        .aggregate([("store_id_count", "sum")])
    )
    product, week = cells["product_id"].to_numpy(), cells["week"].to_numpy()
    count = cells["store_id_count_sum"].to_numpy()
    page = np.array(cells["mailer_location"].to_pylist())
    order = np.lexsort((page, -count, product, week))
    key = (week * 10**9 + product)[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    share = np.add.reduceat(count[order], first) / max(len(stores), 1) if len(first) else count
    main = order[first]
    mondays = [FIRST_MONDAY + timedelta(weeks=number - 1) for number in range(1, 54)]
    known = np.array([max(morning(day - PLANNED_AHEAD), OPENING) for day in mondays])
    return pa.table(
        {
            "product_number": pa.array(product[main]).cast(pa.string()),
            "starts_on": pa.array(
                [mondays[number - 1] for number in week[main].tolist()], pa.date32()
            ),
            "mailer_location": pa.array(page[main].tolist(), pa.string()),
            # A store may have it on two pages.
            "stores_in_mailer": pa.array(np.round(np.minimum(share, 1.0), 4)),
            "updated_at": stamps(known[week[main] - 1]),
        }
    )
