"""What is bought together: items of one customer's day, as the cosine of their baskets."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from include.features.purchases import Purchases


def bought_together(
    purchases: Purchases, cut: int, days: int = 91, at_least: int = 4, k: int = 10
) -> sparse.csr_matrix:
    """The `k` items most often in one basket with each item, shape (n_items, n_items).

    Values are common baskets over the geometric mean of both items' baskets, in the last `days` days.
    Pairs with fewer than `at_least` common baskets are chance and stay out.
    """
    n = purchases.n_items
    recent = (purchases.day <= cut) & (purchases.day > cut - days)
    customer, item, day = (a[recent] for a in (purchases.customer, purchases.item, purchases.day))
    count = np.bincount(item, minlength=n)
    usual = count[item] >= at_least
    customer, item, day = customer[usual], item[usual], day[usual]
    _, basket = np.unique(customer * (days + 1) + (cut - day), return_inverse=True)
    kept, code = np.unique(item, return_inverse=True)
    if len(kept) == 0:
        return sparse.csr_matrix((n, n), dtype=np.float32)
    table = sparse.csr_matrix(
        (np.ones(len(item), dtype=np.float32), (basket, code)), shape=(basket.max() + 1, len(kept))
    )
    common = sparse.coo_matrix(table.T @ table)
    off = (common.row != common.col) & (common.data >= at_least)
    left, right, both = common.row[off], common.col[off], common.data[off]
    baskets = count[kept].astype(np.float32)
    cosine = both / np.sqrt(baskets[left] * baskets[right])
    order = np.lexsort((right, -cosine, left))
    left, right, cosine = left[order], right[order], cosine[order]
    starts = np.searchsorted(left, left, side="left")
    best = np.arange(len(left)) - starts < k
    return sparse.csr_matrix(
        (cosine[best], (kept[left[best]], kept[right[best]])), shape=(n, n), dtype=np.float32
    )
