"""What recommendations are made from, read as of a business day and coded as arrays."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include import as_of, contracts, policy, warehouse
from include.errors import BadInput
from include.publication import Batch
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

    from include.features.purchases import Catalogue, Purchases
    from include.features.signals import Signals
    from include.models.lists.eligibility import Shelf
    from include.models.products.pool import People

log = logging.getLogger(__name__)

#: Events and returns older than this say nothing any more.
SIGNAL_DAYS = 366


def until(day: str) -> dict[str, Any]:
    """What the SQL here is told about a business day: the day, its end and the zone."""
    zone = policy.load().shop.timezone
    _, end = as_of.window(day, day, zone)
    return {"as_of": day, "end": end, "timezone": zone}


def interactions(conn: Connection, day: str) -> "pd.DataFrame":
    """What each customer had bought on which day by the end of `day`: queries/recommend/interactions.sql."""
    return warehouse.frame(conn, warehouse.sql("queries/recommend/interactions"), until(day))


def catalogue(conn: Connection, day: str, level: str = "product") -> "Catalogue":
    """The catalogue as of a day, by product or, coarser, by product type.

    Only what is listed for sale and sold by the piece or pack is eligible for a list.
    """
    from include.features.purchases import Catalogue

    products = warehouse.frame(conn, warehouse.sql("queries/recommend/catalogue"), until(day))
    return Catalogue.from_frame(items(products, level))


def items(products: "pd.DataFrame", level: str) -> "pd.DataFrame":
    """Catalogue rows as items of a level: each product, or each product type."""
    import pandas as pd

    if level == "product":
        described = ("name", "type", "category", "department", "brand", "package_size")
        words = products[[*described]].fillna("").astype(str)
        return pd.DataFrame(
            {
                "item_id": products["product_id"],
                "name": products["name"],
                "group": products["type"],
                "family": products["category"],
                "maker": products["manufacturer_id"],
                "eligible": products["active"] & products["is_unit"],
                "text": words.iloc[:, 0].str.cat(words.iloc[:, 1:], sep=" "),
                "margin": products["margin"],
                "known_from": products["known_from"],
            }
        )
    if level != "type":
        raise BadInput(f"Expected the level product or type, found {level}.")
    typed = products[products["type"].notna()]
    first = typed.sort_values("product_id").groupby("type", sort=True)
    kinds = first.agg(category=("category", "first"), eligible=("is_unit", "any")).reset_index()
    return pd.DataFrame(
        {
            "item_id": kinds["type"],
            "name": kinds["type"],
            "group": kinds["category"],
            "family": pd.Series([None] * len(kinds), dtype="str"),
            "maker": pd.Series([None] * len(kinds), dtype="str"),
            "eligible": kinds["eligible"],
        }
    )


def load_purchases(
    conn: Connection, day: str, customers: "Sequence[str]" = ()
) -> "tuple[Purchases, Catalogue]":
    """Purchases by product as of a day, and the catalogue they are coded by.

    `customers` get codes also where they have bought nothing.
    """
    from include.features.purchases import Purchases

    known = catalogue(conn, day)
    bought = Purchases.from_frame(interactions(conn, day), known, customers)
    if bought.unknown_rows:
        log.warning(
            "%s purchase rows are of products that the catalogue does not list; left out.",
            f"{bought.unknown_rows:,}",
        )
    return bought, known


def load_signals(
    conn: Connection, day: str, purchases: "Purchases", known: "Catalogue"
) -> "Signals":
    """Events, reviews and returns as of a day, coded as the purchases."""
    from include.features.signals import Signals

    asked = until(day) | {"days": SIGNAL_DAYS}
    found = warehouse.frame(conn, warehouse.sql("queries/recommend/signals"), asked)
    return Signals.from_frame(found, purchases, known)


def signals_are_generated() -> bool:
    """Whether events and reviews are the demo's inventions: no reported figure may rest on them."""
    tables = [contracts.load("core", name) for name in ("events", "reviews")]
    return any(column.generated for table in tables for column in table.columns)


def customers(conn: Connection, day: str) -> "pd.DataFrame":
    """Everybody who is known by the end of a day: customer_id, external_id, region."""
    found = warehouse.frame(conn, warehouse.sql("queries/recommend/customers"), until(day))
    return found.sort_values("customer_id", ignore_index=True)


def staged_segments(conn: Connection, opened: Batch) -> "pd.DataFrame":
    """Segment and value tier of each customer as the batch has staged them, empty without them."""
    table = opened.table(contracts.load("marketing", "customer_segments"))
    if warehouse.value(conn, "SELECT to_regclass(%(t)s)", {"t": table}) is None:
        return warehouse.frame(
            conn,
            "SELECT ''::text AS customer_id, ''::text AS segment, ''::text AS value_tier LIMIT 0",
        )
    return warehouse.frame(conn, f"SELECT customer_id, segment, value_tier FROM {table}")


def published_segments(conn: Connection, day: str) -> "pd.DataFrame":
    """The same as published for a day."""
    return warehouse.frame(
        conn,
        "SELECT customer_id, segment, value_tier FROM marketing.customer_segments WHERE as_of = %(d)s",
        {"d": day},
    )


def people(purchases: "Purchases", who: "pd.DataFrame", segments: "pd.DataFrame") -> "People":
    """What lists depend on beside purchases, in the order of the purchases' codes.

    Only customers in `who` get lists.
    """
    import numpy as np
    import pandas as pd

    from include.models.products.pool import People

    by_id = who.set_index("customer_id")
    listed = np.isin(purchases.customer_ids, by_id.index.to_numpy(dtype="U"))
    ids = pd.Index(purchases.customer_ids)
    region, regions = pd.factorize(by_id["region"].reindex(ids), sort=True)
    groups = segments.set_index("customer_id").reindex(ids)
    return People(
        customer_ids=purchases.customer_ids,
        listed=listed,
        region=np.asarray(region, dtype=np.int64),
        regions=np.asarray(regions, dtype="U"),
        segment=groups["segment"].fillna("").to_numpy(dtype=object),
        low_value=(groups["value_tier"] == "low").to_numpy(dtype=bool),
    )


def shelf(conn: Connection, day: str, known: "Catalogue", regions: "Sequence[str]") -> "Shelf":
    """What each region has, by the counts that still hold on a day, and what it keeps back."""
    import pandas as pd

    from include.models.lists.eligibility import Shelf

    rules = policy.load().recommendations.eligibility
    asked = until(day) | {"days": rules.stock_counts_days}
    out = Shelf.unknown(len(regions), len(known.item_ids))
    for name, table in (
        ("queries/recommend/stock", out.out_of_stock),
        ("queries/recommend/kept_back", out.kept_back),
    ):
        found = warehouse.frame(conn, warehouse.sql(name), asked)
        region = pd.Index(list(regions)).get_indexer(pd.Index(found["region"]))
        item = pd.Index(known.item_ids).get_indexer(pd.Index(found["product_id"]))
        ok = (region >= 0) & (item >= 0)
        table[region[ok], item[ok]] = True
    return out
