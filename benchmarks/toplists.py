"""How long the ten best products of every customer take, beside implicit's own call for the same matrix.

Factors and purchases are random: 100,000 customers, 50,000 products, 64 factors, 40 products bought each,
and a fifth of the catalogue not eligible. Ours leaves out what each customer bought and what is not
eligible, and never pads; the peer is implicit's `recommend` with purchases filtered. Both run one after the
other, in turns, and the fastest turn of each counts. Then the same for a quarter and half of the customers:
time should be linear in them.

    bin/regulars bench toplists [--customers N] [--products N] [--turns N]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks._lines import show
from include.models.products.als import AlsSettings, PurchaseAls

FACTORS, BOUGHT, TOP = 64, 40, 10


def matrices(customers: int, products: int) -> tuple[np.ndarray, np.ndarray, sparse.csr_matrix]:
    """Factors of customers and products, and what each customer bought."""
    generator = np.random.default_rng(20170101)
    left = generator.normal(size=(customers, FACTORS)).astype(np.float32)
    right = generator.normal(size=(products, FACTORS)).astype(np.float32)
    # Few products are bought by many.
    item = (products * generator.random(customers * BOUGHT) ** 2).astype(np.int32)
    start = np.arange(0, len(item) + 1, BOUGHT)
    bought = sparse.csr_matrix(
        (np.ones(len(item), dtype=np.float32), item, start), shape=(customers, products)
    )
    bought.sum_duplicates()
    return left, right, bought


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    left: np.ndarray, right: np.ndarray, bought: sparse.csr_matrix, turns: int
) -> tuple[float, float]:
    """Fastest seconds of ours and of implicit's own, in turns."""
    from implicit.cpu.als import AlternatingLeastSquares

    ours = PurchaseAls(AlsSettings(factors=FACTORS))
    ours.item_factors_, ours.known_ = right, np.ones(len(right), dtype=bool)
    peer = AlternatingLeastSquares(factors=FACTORS)
    peer.user_factors, peer.item_factors = left, right
    allowed = np.random.default_rng(1).random(len(right)) < 0.8
    everyone = np.arange(len(left))

    def mine() -> None:
        rows, items, _ = ours.top_items(left, bought, TOP, allowed)
        if len(rows) != TOP * len(left) or not allowed[items].all():
            raise SystemExit(f"Expected {TOP} eligible products a customer, found otherwise.")

    def theirs() -> None:
        peer.recommend(everyone, bought, N=TOP, filter_already_liked_items=True)

    mine_, theirs_ = [], []
    with threadpool_limits(1, user_api="blas"):
        for _ in range(turns):
            theirs_.append(seconds(theirs))
            mine_.append(seconds(mine))
    return min(mine_), min(theirs_)


def main() -> None:
    """Print seconds for the whole, and how they grow with the customers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--products", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    if min(options.customers, options.products) < 1000 or options.turns < 1:
        raise SystemExit("Expected at least 1000 customers and products, and one turn: give more.")
    left, right, bought = matrices(options.customers, options.products)
    each: dict[int, tuple[float, float]] = {}
    for share in (0.25, 0.5, 1.0):
        n = int(options.customers * share)
        ours, peer = compare(left[:n], right, bought[:n], options.turns)
        each[n] = ours / n, peer / n
        show(
            "toplists", "seconds", f"customers={n}", ours, peer, "implicit recommend",
            unit="s", n=n, products=options.products, factors=FACTORS,
            ms_per_1000_customers=round(1e6 * ours / n, 2),
        )  # fmt: skip
    whole, quarter = each[options.customers], each[int(options.customers * 0.25)]
    show(
        "toplists", "growth", "time per customer, all beside a quarter", whole[0] / quarter[0],
        whole[1] / quarter[1], "implicit recommend", unit="ratio", n=options.customers,
    )  # fmt: skip


if __name__ == "__main__":
    main()
