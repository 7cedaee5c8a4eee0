import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ratings import plain_loop, simulate
from include.models.neighbours import RatingNeighbours, run_case
from include.warehouse import ROOT


def plain(k=5, **more):
    """No pull toward zero anywhere, so that a hand can follow the sums."""
    exact = {"shrinkage": 0.0, "damping": 0.0, "customer_ridge": 0.0, "product_ridge": 0.0}
    return RatingNeighbours(k, **{**exact, **more})


def test_a_hand_computed_example():
    # Every customer's mean and every product's mean is 3, so each baseline is 3 and deviations are
    # the ratings less 3. Ann and Ben agree on p and q and have nothing else in common; Cat is Ann's
    # opposite and does not count.
    model = plain().fit(
        ["ann", "ann", "ben", "ben", "cat", "cat", "ben", "cat", "dan", "dan"],
        ["p", "q", "p", "q", "p", "q", "r", "r", "r", "s"],
        [4, 2, 4, 2, 2, 4, 3, 3, 3, 3],
    )
    assert model.mean_ == pytest.approx(3)
    assert np.abs(model.customer_deviation_).max() < 1e-9
    rows = model.similarity(np.arange(4))
    # ann-ben: (1*1 + -1*-1) / sqrt(2 * 2) = 1; ann-cat: -1, which counts as 0; ann-dan: no product.
    assert rows[0] == pytest.approx([0, 1, 0, 0])
    assert model.predict(["ann"], ["r"]) == pytest.approx([3])


def test_the_weighted_mean_by_hand():
    # Deviations from a fixed baseline of 3: u = (+1, -1), v = (+1, -1, +2), w = (+1, 0, -1).
    model = plain(k=2, rounds=0).fit(
        ["u", "u", "v", "v", "v", "w", "w", "w", "x", "x"],
        ["p", "q", "p", "q", "r", "p", "q", "r", "y", "z"],
        [4, 2, 4, 2, 5, 4, 3, 2, 2, 2],
    )
    # s(u,v) = 2 / sqrt(2 * 2) = 1; s(u,w) = 1 / sqrt(2 * 1) = 0.7071.
    expected = 3 + (1 * 2 + 0.70710678 * -1) / 1.70710678
    assert model.predict(["u"], ["r"]) == pytest.approx([expected])
    model.k = 1
    assert model.predict(["u"], ["r"]) == pytest.approx([5])
    model.k = 2
    model.damping = 0.5
    assert model.predict(["u"], ["r"]) == pytest.approx([3 + 1.29289322 / 2.20710678])
    # n = 2 in common: shrunk to (2 - 1) / (2 - 1 + 1) = 1/2 for both neighbours alike.
    model.damping = 0.0
    model.shrinkage = 1.0
    assert model.predict(["u"], ["r"]) == pytest.approx([expected])


def test_predictions_stay_inside_the_scale_that_was_seen():
    u, i, r = simulate()
    model = RatingNeighbours(5).fit(u[:20_000], i[:20_000], r[:20_000])
    predicted = model.predict(u[20_000:40_000], i[20_000:40_000])
    assert predicted.min() >= 1
    assert predicted.max() <= 5
    ones = RatingNeighbours(5).fit(["a", "a", "b"], ["p", "q", "p"], [4, 5, 4])
    assert ones.scale_ == (4.0, 5.0)
    assert ones.predict(["b", "z"], ["q", "z"]).min() >= 4


def test_unknown_customers_and_products_get_the_baseline_of_what_is_known():
    u, i, r = simulate()
    model = RatingNeighbours(5).fit(u, i, r)
    best = int(np.argmax(model.product_deviation_))
    product = model._products[best]
    known = model.predict([-5, u[0], -5], [product, -5, -5])
    expected = [
        model.mean_ + model.product_deviation_[best],
        model.mean_ + model.customer_deviation_[model._customers.index(u[0])],
        model.mean_,
    ]
    assert known == pytest.approx(np.clip(expected, 1, 5))


def test_fewer_neighbours_fall_back_toward_the_baseline():
    base = (["u", "u", "v", "v", "v", "x", "x"], ["p", "q", "p", "q", "r", "r", "s"])
    model = RatingNeighbours(5, rounds=0, shrinkage=0).fit(*base, [4, 2, 4, 2, 5, 2, 2])
    mean = model.mean_
    one = float(model.predict(["u"], ["r"])[0])
    assert mean < one < mean + model._deviation[1, 2]
    model.damping = 0.0
    assert model.predict(["u"], ["r"])[0] > one


@pytest.mark.parametrize("k", [1, 5, 40])
def test_the_plain_loop_gives_the_same_predictions(k):
    u, i, r = simulate()
    model = RatingNeighbours(k).fit(u[:8000], i[:8000], r[:8000])
    loop = plain_loop(model, u[:8000], i[:8000], r[:8000])
    pairs = [(int(a), int(b)) for a, b in zip(u[8000:8150], i[8000:8150], strict=True)]
    ours = model.predict([a for a, _ in pairs], [b for _, b in pairs])
    assert ours == pytest.approx([loop(a, b) for a, b in pairs])


def test_blocks_change_nothing(monkeypatch):
    u, i, r = simulate()
    model = RatingNeighbours(5).fit(u[:5000], i[:5000], r[:5000])
    whole = model.predict(u[5000:7000], i[5000:7000])
    monkeypatch.setattr("include.models.neighbours.BLOCK_CELLS", 10_000)
    assert (model.predict(u[5000:7000], i[5000:7000]) == whole).all()


def test_recommend_never_gives_what_was_rated_and_may_be_short():
    model = RatingNeighbours(5).fit(
        ["a", "a", "b", "b", "b", "c"], ["p", "q", "p", "q", "r", "s"], [5, 4, 5, 4, 5, 1]
    )
    assert [product for product, _ in model.recommend("a")] == ["r", "s"]
    assert [product for product, _ in model.recommend("a", 1)] == ["r"]
    assert [product for product, _ in model.recommend("b", 10)] == ["s"]
    unknown = model.recommend("nobody", 2)
    assert len(unknown) == 2
    assert unknown[0][1] >= unknown[1][1]
    everything = RatingNeighbours(5).fit(["a"], ["p"], [3])
    assert everything.recommend("a") == []


def test_the_same_ratings_in_another_order_give_the_same_predictions():
    u, i, r = simulate()
    u, i, r = u[:6000], i[:6000], r[:6000]
    order = np.random.default_rng(1).permutation(len(r))
    one = RatingNeighbours(5).fit(u, i, r).predict(u[:500], i[:500] + 1)
    other = RatingNeighbours(5).fit(u[order], i[order], r[order]).predict(u[:500], i[:500] + 1)
    assert one == pytest.approx(other, abs=1e-12)


def test_a_pair_rated_twice_counts_with_its_mean():
    twice = RatingNeighbours(5).fit(["a", "a", "b"], ["p", "p", "p"], [2, 4, 3])
    once = RatingNeighbours(5).fit(["a", "b"], ["p", "p"], [3, 3])
    assert twice.mean_ == once.mean_ == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((["a"], ["p"], [float("nan")]), "NaN or infinite"),
        ((["a"], ["p"], [float("inf")]), "NaN or infinite"),
        ((["a"], ["p", "q"], [3]), "as many customers, products and ratings"),
        (([], [], []), "at least one rating, found none"),
    ],
)
def test_bad_ratings_end_in_one_sentence(arguments, says):
    with pytest.raises(ValueError, match=says):
        RatingNeighbours(5).fit(*arguments)


def test_bad_requests_end_in_one_sentence():
    with pytest.raises(ValueError, match="k of 1 or more, found 0"):
        RatingNeighbours(0).fit(["a"], ["p"], [3])
    with pytest.raises(ValueError, match="call fit first"):
        RatingNeighbours(5).predict(["a"], ["p"])
    with pytest.raises(ValueError, match="as many customers as products"):
        RatingNeighbours(5).fit(["a"], ["p"], [3]).predict(["a", "b"], ["p"])


def case(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    return path


def test_the_worked_case_predicts_each_unrated_pair_once(tmp_path):
    generator = np.random.default_rng(3)
    lines, rated = ["customer,product,rating"], set()
    for customer in range(1, 101):
        for product in generator.choice(10, 3, replace=False) + 1:
            lines.append(f"{customer},{product},{generator.integers(1, 6)}")
            rated.add((str(customer), str(product)))
    out = io.StringIO()
    run_case(case(tmp_path, "\n".join(lines)), out)
    header, *rows = [line.split(",") for line in out.getvalue().splitlines()]
    assert header == ["customer", "product", "rating"]
    pairs = [(customer, product) for customer, product, _ in rows]
    assert len(pairs) == len(set(pairs)) == 1000 - len(rated)
    assert not rated & set(pairs)
    assert all(1 <= float(rating) <= 5 for _, _, rating in rows)
    of_two = [float(rating) for customer, _, rating in rows if customer == "2"]
    assert of_two == sorted(of_two, reverse=True)
    assert [customer for customer, _ in pairs][:8] == ["1"] * 7 + ["2"]


def test_the_worked_case_names_customers_without_ratings(tmp_path):
    out = io.StringIO()
    run_case(case(tmp_path, "customer,product,rating\n1,1,4\n1,2,5\n2,1,3\n3,1,\n"), out)
    rows = out.getvalue().splitlines()[1:]
    assert [row.rsplit(",", 1)[0] for row in rows] == ["2,2", "3,2", "3,1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("customer,item,rating\n1,1,4\n", "the header customer,product,rating"),
        ("customer,product,rating\n1,1,four\n", "line 2 .* found 'four'"),
        ("customer,product,rating\n", "at least one rating"),
    ],
)
def test_a_bad_file_ends_in_one_sentence(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        run_case(case(tmp_path, text), io.StringIO())


def test_the_bench_says_what_a_bad_file_lacks(tmp_path):
    path = tmp_path / "u.data"
    path.write_text("1\t2\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "ratings.py"), "--file", str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 1
    assert "Expected lines `user item rating timestamp`" in done.stderr


def test_the_worked_case_runs_from_the_command_line(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "include.models.cases", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )

    good = run("ratings", str(case(tmp_path, "customer,product,rating\n1,1,4\n1,2,5\n2,1,3\n")))
    assert good.returncode == 0
    assert good.stdout.splitlines()[0] == "customer,product,rating"
    assert good.stdout.splitlines()[1].startswith("2,2,")
    missing = run("ratings", str(tmp_path / "none.csv"))
    assert missing.returncode == 1
    assert missing.stderr.startswith("Expected the file")
    assert run("nonsense").returncode == 2
