import numpy as np
import pytest
from scipy import sparse

from include.models.products.als import AlsSettings, PurchaseAls

SMALL = AlsSettings(factors=8, regularization=0.5, iterations=10, min_buyers=2)
ITEMS = np.asarray([f"p{i:02d}" for i in range(30)])


def two_tastes(customers=40, items=30, seed=0):
    """Even customers buy the first half of the items, odd ones the second."""
    generator = np.random.default_rng(seed)
    counts = np.zeros((customers, items), dtype=np.float32)
    for customer in range(customers):
        half = np.arange(items // 2) + (customer % 2) * (items // 2)
        counts[customer, generator.choice(half, 8, replace=False)] = generator.integers(1, 4, 8)
    return sparse.csr_matrix(counts)


def test_what_like_customers_buy_comes_first_and_nothing_bought_comes_again():
    counts = two_tastes()
    model = PurchaseAls(SMALL).fit(counts)
    rows, items, scores = model.top_items(model.fold_in(counts), counts, 5, np.ones(30, dtype=bool))
    assert ((items < 15) == (rows % 2 == 0)).mean() > 0.9
    assert not any(counts[r, i] for r, i in zip(rows, items, strict=True))
    first = scores[rows == 0]
    assert (np.diff(first) <= 0).all()


def test_the_same_seed_gives_the_same_bytes_and_the_bytes_give_the_same_scores():
    counts = two_tastes()
    one, other = PurchaseAls(SMALL).fit(counts), PurchaseAls(SMALL).fit(counts)
    assert one.to_bytes(ITEMS) == other.to_bytes(ITEMS)
    # The catalogue has changed since: one item new, one gone, another order.
    today = np.asarray(["new", *ITEMS[:0:-1]])
    loaded = PurchaseAls.from_bytes(one.to_bytes(ITEMS), today)
    assert loaded.settings == SMALL
    assert not loaded.known_[0]
    moved = sparse.csr_matrix(
        np.hstack([np.zeros((40, 1), dtype=np.float32), counts.toarray()[:, :0:-1]])
    )
    rows, at = np.arange(20), np.full(20, 3)
    before = one.scores(one.fold_in(counts), rows, np.full(20, 29 - 2))
    after = loaded.scores(loaded.fold_in(moved), rows, at)
    assert np.corrcoef(before, after)[0, 1] > 0.99


def test_a_customer_is_folded_in_without_training():
    counts = two_tastes()
    model = PurchaseAls(SMALL).fit(counts[:30])
    later = model.fold_in(counts[30:])
    rows, items, _ = model.top_items(later, counts[30:], 5, np.ones(30, dtype=bool))
    assert ((items < 15) == (rows % 2 == 0)).mean() > 0.9


def test_a_customer_who_bought_everything_gets_a_short_list_without_repeats():
    counts = two_tastes().tolil()
    counts[0, :] = 1
    counts[2, 3:] = 1
    counts[2, :3] = 0
    counts = counts.tocsr()
    model = PurchaseAls(SMALL).fit(counts)
    rows, items, scores = model.top_items(
        model.fold_in(counts), counts, 10, np.ones(30, dtype=bool)
    )
    assert 0 not in rows
    assert set(items[rows == 2]) <= {0, 1, 2}
    assert np.abs(scores).max() < 1e6


def test_a_customer_without_purchases_has_no_list_here():
    counts = two_tastes().tolil()
    counts[5, :] = 0
    counts = counts.tocsr()
    model = PurchaseAls(SMALL).fit(counts)
    rows, _, _ = model.top_items(model.fold_in(counts), counts, 5, np.ones(30, dtype=bool))
    assert 5 not in rows


def test_only_allowed_and_known_items_are_given():
    counts = two_tastes().tolil()
    counts[:, 29] = 0
    counts[1, 29] = 1  # one buyer is too few to learn from
    counts = counts.tocsr()
    model = PurchaseAls(SMALL).fit(counts)
    allowed = np.arange(30) % 2 == 1
    _, items, _ = model.top_items(model.fold_in(counts), counts, 10, allowed)
    assert set(items) <= set(range(1, 29, 2))
    nothing = model.top_items(model.fold_in(counts), counts, 10, np.zeros(30, dtype=bool))
    assert [len(part) for part in nothing] == [0, 0, 0]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "found 1 that are NaN or infinite"),
        (np.inf, "found 1 that are NaN or infinite"),
        (-1.0, "found 1 negative ones"),
    ],
)
def test_weights_that_implicit_would_take_in_silence_are_refused(value, says):
    counts = two_tastes()
    counts.data[3] = value
    with pytest.raises(ValueError, match=says):
        PurchaseAls(SMALL).fit(counts)


def test_an_empty_matrix_is_refused():
    with pytest.raises(ValueError, match="at least one item with 2 buyers, found none"):
        PurchaseAls(SMALL).fit(sparse.csr_matrix((5, 5)))


def test_other_items_than_at_training_are_refused():
    model = PurchaseAls(SMALL).fit(two_tastes())
    with pytest.raises(ValueError, match="expected 30 items as at training, found 4"):
        model.fold_in(sparse.csr_matrix((2, 4)))
