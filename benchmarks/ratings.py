"""How well ratings are predicted, on a file of `user item rating timestamp` lines (MovieLens-100k's form).

Five random 80/20 splits, seeds 0 to 4. The peer is the bias baseline: mean plus the deviations of the
customer and of the product. Speed is set beside a plain loop over pairs in Python that gives the same
predictions. Settings were chosen on other splits (seeds 100 and 101).

    bin/regulars bench ratings --file u.data

Without a file, ratings are simulated, and every line says so: such figures show that the bench runs and
nothing else.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._lines import show
from include.features.arrays import Floats, Ints
from include.models.neighbours import RatingNeighbours

SEEDS = range(5)
KS = (5, 40)

#: Pairs that the plain loop predicts: enough to time it, few enough to wait for.
LOOP_PAIRS = 200


def read(path: Path) -> tuple[Ints, Ints, Floats]:
    """Users, items and ratings of a tab-separated file without a header."""
    try:
        table = np.loadtxt(path, usecols=(0, 1, 2))
    except (OSError, ValueError, IndexError) as error:
        raise SystemExit(
            f"Expected lines `user item rating timestamp` in {path}, found: {error}."
        ) from None
    if table.ndim != 2 or len(table) < 100:
        raise SystemExit(
            f"Expected at least 100 ratings in {path}, found {len(np.atleast_2d(table))}."
        )
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def simulate() -> tuple[Ints, Ints, Floats]:
    """100,000 ratings of 943 users for 1,682 items, from biases and a few shared tastes."""
    generator = np.random.default_rng(20170101)
    users, items, tastes = 943, 1682, 5
    u = (users * generator.random(130_000) ** 1.5).astype(np.int64)
    i = (items * generator.random(130_000) ** 2).astype(np.int64)
    pairs = np.unique(u * items + i)
    pairs = generator.permutation(pairs)[:100_000]
    u, i = pairs // items, pairs % items
    left, right = generator.normal(size=(users, tastes)), generator.normal(size=(items, tastes))
    taste = (left[u] * right[i]).sum(axis=1) / math.sqrt(tastes)
    score = 3.5 + generator.normal(0, 0.4, users)[u] + generator.normal(0, 0.5, items)[i]
    score += 0.5 * taste + generator.normal(0, 0.7, len(u))
    return u, i, np.clip(np.rint(score), 1, 5)


def bias_baseline(model: RatingNeighbours) -> Callable[[Ints, Ints], Floats]:
    """The fitted model's predictions without its neighbours."""
    alone = RatingNeighbours(model.k)
    alone.__dict__.update(model.__dict__)
    # Every neighbour drowns in an infinite damping.
    alone.damping = math.inf
    return alone.predict


def plain_loop(model: RatingNeighbours, u: Ints, i: Ints, r: Floats) -> Callable[[int, int], float]:
    """The same prediction, pair by pair, as one would write it first: dictionaries and loops."""
    mean = model.mean_
    of_user = dict(zip(np.unique(u).tolist(), model.customer_deviation_.tolist(), strict=True))
    of_item = dict(zip(np.unique(i).tolist(), model.product_deviation_.tolist(), strict=True))
    by_user: dict[int, dict[int, float]] = {}
    by_item: dict[int, list[int]] = {}
    for user, item, rating in zip(u.tolist(), i.tolist(), r.tolist(), strict=True):
        by_user.setdefault(user, {})[item] = rating - mean - of_user[user] - of_item[item]
        by_item.setdefault(item, []).append(user)
    for raters in by_item.values():
        raters.sort()

    def similarity(one: int, other: int) -> float:
        mine, theirs = by_user[one], by_user[other]
        common = [item for item in mine if item in theirs]
        if len(common) < 2:
            return 0.0
        product = sum(mine[item] * theirs[item] for item in common)
        norm = math.sqrt(
            sum(mine[item] ** 2 for item in common) * sum(theirs[item] ** 2 for item in common)
        )
        if norm == 0:
            return 0.0
        support = len(common) - 1
        return max(product / norm * support / (support + model.shrinkage), 0.0)

    def predict(user: int, item: int) -> float:
        baseline = mean + of_user.get(user, 0.0) + of_item.get(item, 0.0)
        if user in by_user:
            near = [
                (similarity(user, other), by_user[other][item])
                for other in by_item.get(item, [])
                if other != user
            ]
            near = sorted(near, key=lambda pair: -pair[0])[: model.k]
            total = sum(weight for weight, _ in near)
            if total > 0:
                moved = sum(weight * deviation for weight, deviation in near)
                baseline += moved / (total + model.damping)
        low, high = model.scale_
        return min(max(baseline, low), high)

    return predict


def interval(users: Ints, ours: Floats, peer: Floats, metric: str) -> dict[str, list[float]]:
    """95% bootstrap intervals of a figure and of its difference from the peer's.

    Users are drawn, each with all of their ratings and splits.
    """
    power = 2 if metric == "rmse" else 1
    _, owner = np.unique(users, return_inverse=True)
    count = np.bincount(owner)
    sums = [np.bincount(owner, weights=np.abs(errors) ** power) for errors in (ours, peer)]
    generator = np.random.default_rng(20170101)
    drawn = generator.integers(0, len(count), (1000, len(count)))
    size = count[drawn].sum(axis=1)
    a, b = ((total[drawn].sum(axis=1) / size) ** (1 / power) for total in sums)
    return {
        name: [round(float(end), 4) for end in np.quantile(values, [0.025, 0.975])]
        for name, values in (("ours_95", a), ("difference_95", a - b))
    }


def main() -> None:
    """Print the figures of every k, then the speed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", type=Path, help="ratings: user, item, rating, timestamp by tabs")
    path = parser.parse_args().file
    u, i, r = read(path) if path else simulate()
    more = {"data": path.name if path else "simulated"}
    for k in KS:
        found: dict[str, list[float]] = {}
        errors: dict[str, list[Floats]] = {}
        whose: list[Ints] = []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(r))
            test, train = order[: len(r) // 5], order[len(r) // 5 :]
            start = time.perf_counter()
            model = RatingNeighbours(k).fit(u[train], i[train], r[train])
            predicted = model.predict(u[test], i[test])
            found.setdefault("seconds", []).append(time.perf_counter() - start)
            for name, values in (
                ("", predicted),
                ("bias ", bias_baseline(model)(u[test], i[test])),
            ):
                error = values - r[test]
                found.setdefault(f"{name}rmse", []).append(float(np.sqrt((error**2).mean())))
                found.setdefault(f"{name}mae", []).append(float(np.abs(error).mean()))
                errors.setdefault(name, []).append(error)
            whose.append(u[test])
        for metric in ("rmse", "mae"):
            ours, bias = np.mean(found[metric]), np.mean(found[f"bias {metric}"])
            splits = [round(value, 4) for value in found[metric]]
            pooled = [np.concatenate(errors[name]) for name in ("", "bias ")]
            ends = interval(np.concatenate(whose), pooled[0], pooled[1], metric)
            show(
                "ratings", metric, f"k={k}", float(ours), float(bias), "bias baseline",
                unit="rating points", n=len(r), splits=splits, **ends, **more,
            )  # fmt: skip
        check_speed(
            model, (u[train], i[train], r[train]), (u[test], i[test]), predicted, found, more
        )


def check_speed(
    model: RatingNeighbours,
    train: tuple[Ints, Ints, Floats],
    test: tuple[Ints, Ints],
    predicted: Floats,
    found: dict[str, list[float]],
    more: dict[str, str],
) -> None:
    """Time the plain loop on some pairs; stop where its predictions differ from ours."""
    loop = plain_loop(model, *train)
    sample = np.random.default_rng(0).choice(len(test[0]), LOOP_PAIRS, replace=False)
    start = time.perf_counter()
    theirs = [loop(int(test[0][p]), int(test[1][p])) for p in sample]
    per_pair = (time.perf_counter() - start) / LOOP_PAIRS
    worst = float(np.abs(np.asarray(theirs) - predicted[sample]).max())
    if worst > 1e-6:
        raise SystemExit(f"Expected the plain loop's predictions, found a difference of {worst}.")
    seconds = float(np.mean(found["seconds"]))
    whole = per_pair * len(test[0])
    show(
        "ratings", "seconds", f"k={model.k}", seconds, whole, "plain loop over pairs",
        unit="s", n=len(test[0]), times_as_fast=round(whole / seconds, 1),
        loop_pairs=LOOP_PAIRS, largest_difference=worst, **more,
    )  # fmt: skip


if __name__ == "__main__":
    main()
