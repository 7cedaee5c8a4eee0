"""Figures beside accuracy, tuning within the training period, signals and content."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.features.purchases import Catalogue, Purchases
from include.features.signals import KINDS, Signals, conversion
from include.models.lists.bought_together import bought_together
from include.models.products import backtest, tuning
from include.models.products.als import AlsSettings, PurchaseAls, confidence
from include.models.products.beyond_accuracy import beyond, coverage, coverage_interval
from include.models.products.content import Content
from include.models.products.recommender import Recommender
from include.models.products.toplists import Ranked
from tests.unit.small_shop import DAY, SETTINGS, catalogue, purchases


@pytest.fixture(scope="module")
def known():
    return Catalogue.from_frame(catalogue())


@pytest.fixture(scope="module")
def bought(known):
    return Purchases.from_frame(purchases(), known)


@pytest.fixture(scope="module")
def model(bought, known):
    return Recommender(SETTINGS).fit(bought, known, DAY)


def ranked(*rows):
    customer, item, rank = (np.asarray(part) for part in zip(*rows, strict=True))
    return Ranked(customer, item, np.ones(len(item)), rank)


def test_figures_beside_accuracy_by_hand(model, bought, known):
    now = model.snapshot(bought, known, DAY)
    content = Content(known)
    own = now.pair_item[now.pair_customer == 0]
    other = np.setdiff1d(np.arange(60), own)
    lists = ranked((0, own[0], 0), (0, own[1], 1), (0, other[0], 2), (0, other[1], 3), (1, 5, 0))
    found = beyond(lists, now, content)
    assert found.customers.tolist() == [0, 1]
    assert found.repeat_share[0] == pytest.approx(0.5)
    assert np.isnan(found.diversity[1])
    items = [own[0], own[1], other[0], other[1]]
    vectors = content.vectors[items].toarray()
    cosine = (vectors @ vectors.T)[np.triu_indices(4, 1)]
    assert found.diversity[0] == pytest.approx(1 - cosine.mean(), abs=1e-6)
    live = len(np.unique(bought.customer[(bought.day > DAY - 28) & (bought.day <= DAY)]))
    buyers = now.buyers[28][5]
    assert found.novelty[1] == pytest.approx(-np.log2((buyers + 0.5) / (live + 1)))
    mine = now.pair_customer == 1
    usual = np.average(np.log1p(now.buyers[28][now.pair_item[mine]]), weights=now.pairs.days[mine])
    assert found.popularity_bias[1] == pytest.approx(np.log1p(buyers) - usual, abs=1e-5)
    assert coverage(lists, 60) == pytest.approx(5 / 60)


def test_popularity_is_the_less_novel_and_the_more_biased_list(model, bought, known):
    lines = backtest.judge(model, bought, known, DAY - 28, DAY)
    of = {(x.metric, x.setting, x.baseline_name): x for x in lines}
    novelty = of["novelty", "all", "popularity"]
    assert novelty.ours > novelty.baseline
    bias = of["popularity_bias", "all", "popularity"]
    assert bias.ours < bias.baseline
    covered = of["coverage", "all", "popularity"]
    assert covered.ours > covered.baseline
    assert of["repeat_share", "new", "popularity"].ours == 0
    assert of["repeat_share", "repeat", "repeat_count"].ours == 1
    assert of["ndcg_at_10", "repeat", "repeat_decay"].ours > 0


def test_the_dial_buys_diversity_and_novelty_with_likelihood(model, bought, known):
    now = model.snapshot(bought, known, DAY)
    content = Content(known)
    plain, wide = model.varied(now, 10, 0.0), model.varied(now, 10, 1.0)
    blend = model.blend(now, 10)
    assert plain.item.tolist() == blend.item.tolist()
    assert (
        beyond(wide, now, content).diversity.mean() > beyond(plain, now, content).diversity.mean()
    )
    assert beyond(wide, now, content).novelty.mean() > beyond(plain, now, content).novelty.mean()
    assert wide.score.mean() < plain.score.mean()


def test_the_coverage_interval_holds_the_coverage_and_is_reproducible(model, bought, known):
    now = model.snapshot(bought, known, DAY)
    lists = model.blend(now, 10)
    low, high = coverage_interval(lists, 60, seed=1)
    assert low <= coverage(lists, 60) <= high
    assert (low, high) == coverage_interval(lists, 60, seed=1)
    one = ranked((0, 1, 0))
    assert coverage_interval(one, 10, seed=1) == (0.1, 0.1)


def test_tuning_keeps_what_is_declared_unless_another_is_clearly_better(bought, known):
    useless = replace(SETTINGS.als, regularization=1e6)
    declared = replace(SETTINGS, alternatives=(useless,))
    chosen, trials = tuning.tune(bought, known, DAY, declared)
    assert chosen.als == SETTINGS.als
    assert [t.settings for t in trials] == [SETTINGS.als, useless]
    assert trials[1].ndcg < trials[0].ndcg
    other, trials = tuning.tune(
        bought, known, DAY, replace(SETTINGS, als=useless, alternatives=(SETTINGS.als,))
    )
    assert other.als == SETTINGS.als
    assert trials[1].ndcg - trials[0].ndcg > trials[1].standard_error


def test_tuning_sees_nothing_of_the_last_four_weeks(bought, known):
    declared = replace(SETTINGS, alternatives=(replace(SETTINGS.als, regularization=20.0),))
    early = bought.until(DAY - 28)
    assert tuning.tune(bought, known, DAY, declared) == tuning.tune(early, known, DAY, declared)


def test_a_short_history_is_not_tuned(known):
    frame = purchases(days=50)
    short = Purchases.from_frame(frame, known)
    declared = replace(SETTINGS, alternatives=(replace(SETTINGS.als, regularization=20.0),))
    assert tuning.tune(short, known, DAY - 20, declared) == (declared, [])


def test_alternatives_change_what_they_name():
    base = AlsSettings()
    changes: list[dict[str, float]] = [
        {"regularization": 30.0},
        {"factors": 32},
        {"regularization": 15.0},
    ]
    found = tuning.alternatives(base, changes)
    assert found == [replace(base, regularization=30.0), replace(base, factors=32)]


# --- signals --------------------------------------------------------------------------------------


def told(bought, known, *rows):
    columns = ["customer_id", "product_id", "business_day", "kind", "rating"]
    frame = pd.DataFrame([(*row, np.nan)[:5] for row in rows], columns=columns)
    return Signals.from_frame(frame, bought, known)


def few(known, quantity=1.0):
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "product_id": ["p00", "p01"],
            "business_day": ["2017-06-25", "2017-06-11"],
        }
    ).assign(sales=1.0, discount=0.0, quantity=quantity)
    return Purchases.from_frame(frame, known, ["c"])


def test_confidence_by_hand(known):
    shop = few(known, quantity=4.0)
    signals = told(
        shop,
        known,
        ("c", "p02", "2017-06-25", "browse"),
        ("c", "p02", "2017-06-11", "cart"),
        ("a", "p00", "2017-06-25", "review", 5),
        ("b", "p03", "2017-06-25", "review", 1),
        ("b", "p04", "2017-06-25", "return"),
        ("b", "p05", "2017-06-26", "cart"),
    )
    settings = AlsSettings(half_life_days=14, quantity=0.5, browse=0.1, cart=0.4, review=0.3)
    found = confidence(shop, signals, DAY, settings).toarray()
    assert found[0, 0] == pytest.approx(1 + 0.5 * 2 + 0.3)
    assert found[1, 1] == pytest.approx((1 + 0.5 * 2) / 2)
    assert found[2, 2] == pytest.approx(0.1 + 0.4 / 2)
    # A bad review, a return and what comes tomorrow say nothing.
    assert np.count_nonzero(found) == 3
    without = confidence(shop, signals, DAY, AlsSettings(half_life_days=14))
    assert without.toarray()[0, 0] == pytest.approx(1)
    assert without.nnz == 2


def test_signals_of_strangers_are_left_out_and_reviews_need_a_rating(known):
    shop = few(known)
    found = told(shop, known, ("z", "p00", "2017-06-25", "cart"), ("a", "zz", "2017-06-25", "cart"))
    assert len(found.day) == 0
    with pytest.raises(ValueError, match="a rating in each, found 1 without"):
        told(shop, known, ("a", "p00", "2017-06-25", "review"))


def test_negative_quantities_are_refused(known):
    with pytest.raises(ValueError, match="quantities of 0 or more, found 2 negative ones"):
        few(known, quantity=-1.0)


def test_conversion_counts_what_was_bought_within_the_horizon(known):
    rows = [("a", "p00", "2017-05-20"), ("a", "p01", "2017-06-25"), ("b", "p02", "2017-05-01")]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "business_day"])
    shop = Purchases.from_frame(frame.assign(sales=1.0, discount=0.0, quantity=1.0), known)
    signals = told(
        shop,
        known,
        ("a", "p00", "2017-05-10", "cart"),  # bought ten days later
        ("a", "p01", "2017-05-10", "cart"),  # bought, but after the horizon
        ("b", "p02", "2017-05-10", "cart"),  # bought before
        ("a", "p00", "2017-06-20", "cart"),  # its four weeks are not over
        ("a", "p05", "2017-05-10", "browse"),
    )
    found = conversion(signals, shop, DAY, 28, prior=0.0)
    assert found[KINDS.index("cart")] == pytest.approx((1 + 1) / (3 + 1))
    assert found[KINDS.index("browse")] == pytest.approx(1 / 2)


def test_events_of_a_customer_without_purchases_make_factors(bought, known):
    shop = Purchases.from_frame(purchases(), known, ["looker"])
    signals = told(
        shop, known, *[("looker", f"p{i}", "2017-06-20", "wishlist") for i in range(31, 40)]
    )
    als = replace(SETTINGS.als, wishlist=1.0)
    fitted = PurchaseAls(als).fit(confidence(shop, Signals.none(), DAY, als))
    factors = fitted.fold_in(confidence(shop, signals, DAY, als))
    at = int(np.flatnonzero(shop.customer_ids == "looker")[0])
    score = fitted.item_factors_ @ factors[at]
    assert score[30:].mean() > 10 * abs(score[:30].mean())


# --- content and baskets --------------------------------------------------------------------------


def test_likeness_goes_by_type_maker_and_words(known):
    content = Content(known)
    near, likeness = content.nearest(np.asarray([33]), np.arange(60), 6)
    assert near[0, 0] == 33
    assert likeness[0, 0] == pytest.approx(1, abs=1e-5)
    assert set(near[0, :5]) == {30, 31, 32, 33, 34}
    assert content.similarity(np.asarray([33]), np.asarray([34]))[0] == pytest.approx(
        likeness[0][near[0] == 34][0], abs=1e-6
    )


def test_a_catalogue_without_words_is_alike_in_nothing():
    bare = pd.DataFrame(
        {"item_id": ["a", "b"], "name": "", "group": None, "family": None, "maker": None}
    )
    content = Content(Catalogue.from_frame(bare.assign(eligible=True)))
    assert content.similarity(np.asarray([0]), np.asarray([1])).tolist() == [0]


def test_baskets_by_hand(known):
    rows = [(f"c{k}", item, "2017-06-20") for k in range(6) for item in ("p00", "p01")]
    rows += [("c0", "p02", "2017-06-20"), ("c9", "p00", "2017-06-20"), ("c9", "p01", "2017-06-21")]
    rows += [(f"c{k}", "p03", "2017-01-20") for k in range(6)]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "business_day"])
    shop = Purchases.from_frame(frame.assign(sales=1.0, discount=0.0, quantity=1.0), known)
    found = bought_together(shop, DAY).toarray()
    assert found[0, 1] == pytest.approx(6 / 7)
    assert found[1, 0] == pytest.approx(6 / 7)
    assert np.count_nonzero(found) == 2
