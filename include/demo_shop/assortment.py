"""The shop's stores and products, with what the real rows lack of them, and what stands on the shelves."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from include.demo_shop.seeded import DAY, OPENING, WEEK, Lines, draws, morning, stamps, texts
from include.features.arrays import Bools, Ints

REGIONS = ("north", "south", "east", "west", "central")

#: Departments of things that are not sold by the piece: left out of browsing, reviews and stock.
UNCOUNTED_DEPARTMENTS = ("FUEL", "COUPON", "MISCELLANEOUS")
UNCOUNTED_CATEGORIES = ("COUPON/MISC ITEMS",)

#: The store's own supplies and expenses, which it does not offer to customers.
INTERNAL_DEPARTMENTS = ("CNTRL/STORE SUP", "CHARITABLE CONT", "GM MERCH EXP", "PROD-WHS SALES")


def counted(products: pa.Table) -> Bools:
    """True for the products that are sold by the piece."""
    departments = products["department"].to_pylist()
    categories = products["product_category"].to_pylist()
    return np.array(
        [
            department not in UNCOUNTED_DEPARTMENTS and category not in UNCOUNTED_CATEGORIES
            for department, category in zip(departments, categories, strict=True)
        ]
    )


def stores(numbers: Ints) -> pa.Table:
    """The stores, each in one of five regions."""
    region = draws("stores.region").integers(0, len(REGIONS), len(numbers))
    return pa.table(
        {
            "store_number": texts(numbers.tolist()),
            "region": pa.array([REGIONS[index] for index in region]),
            "updated_at": stamps(np.full(len(numbers), OPENING)),
        }
    )


def store_regions(numbers: Ints) -> Ints:
    """The region of each store, as its position in REGIONS."""
    return draws("stores.region").integers(0, len(REGIONS), len(numbers))


def products(source: pa.Table) -> pa.Table:
    """The catalogue with a name, whether it is offered, and a margin."""
    size = source.num_rows
    department = source["department"].to_pylist()
    brand = source["brand"].to_pylist()
    base = np.array([0.34 if name == "Private" else 0.25 for name in brand])
    margin = np.clip(base + draws("products.unit_margin").normal(0, 0.05, size), 0.04, 0.6)
    margin = np.where([name in UNCOUNTED_DEPARTMENTS for name in department], 0.05, margin)
    return pa.table(
        {
            "product_number": texts(source["product_id"].to_pylist()),
            "manufacturer_number": texts(source["manufacturer_id"].to_pylist()),
            "department": source["department"],
            "brand": source["brand"],
            "category": source["product_category"],
            "type": source["product_type"],
            "package_size": source["package_size"],
            "name": pa.array(_product_names(source), pa.string()),
            "active": pa.array([name not in INTERNAL_DEPARTMENTS for name in department]),
            "unit_margin": pa.array(np.round(margin, 4)),
            "updated_at": stamps(np.full(size, OPENING)),
        }
    )


def _product_names(source: pa.Table) -> list[str]:
    """`Mints, 3.22 OZ (Private)`: the type in words, the package, and whose brand it is."""
    names = []
    for kind, category, department, package, brand in zip(
        source["product_type"].to_pylist(),
        source["product_category"].to_pylist(),
        source["department"].to_pylist(),
        source["package_size"].to_pylist(),
        source["brand"].to_pylist(),
        strict=True,
    ):
        words = " ".join((kind or category or department or "article").split()).capitalize()
        names.append(f"{words}{f', {package}' if package else ''} ({brand})")
    return names


def stock_levels(
    lines: Lines, store_numbers: Ints, product_numbers: Sequence[str], *, least_units: int = 8
) -> pa.Table:
    """A count each Monday at midnight, per region, of products that sold in the four weeks before.

    Stock covers from nothing to four weeks of the recent rate of sale; what is short is on order.
    Products that sold fewer than `least_units` in a region are not counted there.
    """
    region = store_regions(store_numbers)[np.searchsorted(store_numbers, lines.store)]
    size = len(product_numbers)
    cell = region * size + lines.product
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    for week in range(4, 53):
        moment = morning(date(2017, 1, 2) + timedelta(weeks=week - 1), hour=0)
        if moment > (lines.stamp[-1] if len(lines) else 0) + DAY:
            break
        start, end = np.searchsorted(lines.stamp, [moment - 4 * WEEK, moment])
        cells, places = np.unique(cell[start:end], return_inverse=True)
        units = np.bincount(places, lines.quantity[start:end], len(cells))
        kept = units >= least_units
        cells, weekly = cells[kept], units[kept] / 4
        chance = draws(f"stock_levels.{week}").random((2, len(REGIONS) * size))[:, cells]
        on_hand = np.where(chance[0] < 0.04, 0, np.rint(weekly * chance[0] * 4)).astype(np.int64)
        order = np.where(on_hand < 1.5 * weekly, np.rint(weekly * (1 + chance[1])), 0)
        parts.append((np.full(len(cells), moment), cells, on_hand, order.astype(np.int64)))
    counted_at, cells, on_hand, on_order = (
        np.concatenate([part[place] for part in parts] or [np.zeros(0, np.int64)])
        for place in range(4)
    )
    return pa.table(
        {
            "region": pa.array([REGIONS[row] for row in (cells // size).tolist()], pa.string()),
            "product_number": pa.array(
                [product_numbers[row] for row in (cells % size).tolist()], pa.string()
            ),
            "on_hand": pa.array(on_hand),
            "on_order": pa.array(on_order),
            "counted_at": stamps(counted_at),
        }
    )
