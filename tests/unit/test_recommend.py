import numpy as np
import pandas as pd
import pytest

from include.features import pairs
from include.features.purchases import Catalogue, Purchases, rhythm
from include.models.products import backtest, rivals
from include.models.products.als import AlsSettings, PurchaseAls
from include.models.products.recommender import Recommender
from include.models.products.snapshot import Snapshot
from include.models.products.toplists import Ranked, best_per_group
from tests.unit.small_shop import DAY, SETTINGS, catalogue, everyone, purchases


@pytest.fixture(scope="module")
def known():
    return Catalogue.from_frame(catalogue())


@pytest.fixture(scope="module")
def bought(known):
    return Purchases.from_frame(purchases(), known)


@pytest.fixture(scope="module")
def model(bought, known):
    return Recommender(SETTINGS).fit(bought, known, DAY)


def test_rhythm_by_hand():
    # Key 7 on days 10, 10, 20 and 40; key 9 on day 30; as of day 44.
    found = rhythm(
        np.asarray([9, 7, 7, 7, 7]), np.asarray([30, 20, 10, 40, 10], dtype=np.int32), 44, (14,)
    )
    assert found.keys.tolist() == [7, 9]
    assert found.days.tolist() == [3, 1]
    assert found.first.tolist() == [10, 30]
    assert found.last.tolist() == [40, 30]
    assert found.last_gap[0] == 20
    assert np.isnan(found.last_gap[1])
    expected = 0.5 ** (34 / 14) + 0.5 ** (24 / 14) + 0.5 ** (4 / 14)
    assert found.decayed[14] == pytest.approx([expected, 0.5])
    assert found.find(np.asarray([9, 8, 7])).tolist() == [1, -1, 0]


def test_rates_of_being_bought_again_by_hand(known):
    # Eight to four weeks before 2017-06-25 is 05-01 to 05-28; of p00 one of two buyers came back.
    rows = [("a", "p00", "2017-05-10"), ("b", "p00", "2017-05-20"), ("a", "p00", "2017-06-01")]
    rows += [("a", "p05", "2017-05-10"), ("c", "p00", "2017-04-30"), ("c", "p00", "2017-06-02")]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "business_day"])
    few = Purchases.from_frame(frame.assign(sales=1.0, discount=0.0, quantity=1.0), known)
    als = PurchaseAls(AlsSettings(factors=2, min_buyers=1)).fit(np.ones((3, 60)))
    of_item, of_group = Snapshot(few, known, DAY, als).rebuys
    usual = (1 + 1) / (3 + 2)
    kind_0 = (1 + 20 * usual) / (2 + 20)
    item = (1 + 10 * kind_0) / (2 + 10)
    assert np.isclose(of_group[[0, 4]], np.log(kind_0 / (1 - kind_0))).all()
    assert np.isclose(of_item[0], np.log(item / (1 - item)))
    assert np.isclose(of_item[4], of_group[4])
    assert of_item[5] < of_item[59] < of_item[0]


def test_rankers_see_the_features_that_are_declared_in_their_order(model, bought, known):
    now = model.snapshot(bought, known, DAY)
    repeat = now.repeat_candidates(200, known.eligible)
    new = now.new_candidates(model.settings, known.eligible, np.unique(now.pair_customer))
    for found, ranker, stored in (
        (repeat, "repeat", model.repeat_),
        (new, "discover", model.new_),
    ):
        names = [feature.name for feature in pairs.RANKERS[ranker]]
        assert list(found.features) == names == list(stored.names)
        assert all(feature.theme and feature.label for feature in pairs.RANKERS[ranker])
    assert len(set(pairs.LABELS.values())) == len(pairs.LABELS)


def test_best_per_group_breaks_ties_by_code_and_not_by_order():
    group = np.asarray([1, 0, 1, 1])
    score = np.asarray([0.5, 0.1, 0.5, 0.9])
    rows, rank = best_per_group(group, score, np.asarray([8, 1, 3, 5]), 2)
    assert rows.tolist() == [1, 3, 2]
    assert rank.tolist() == [0, 0, 1]


def test_lists_hold_what_they_promise(model, bought, known):
    found = everyone(model, bought, known)
    had = set(zip(bought.until(DAY).customer, bought.until(DAY).item, strict=True))
    ids = {str(c): row for row, c in enumerate(bought.customer_ids)}
    items = {str(i): row for row, i in enumerate(known.item_ids)}
    pairs = [
        (ids[c], items[p]) in had
        for c, p in zip(found["customer_id"], found["product_id"], strict=True)
    ]
    assert (found["list"].eq("replenish") == pairs).all()
    ranks = found.groupby(["customer_id", "list"])["rank"]
    assert (ranks.min() == 1).all()
    assert (ranks.max() == ranks.size()).all()
    assert ranks.max().max() <= 10
    assert not found.duplicated(["customer_id", "list", "product_id"]).any()
    assert found["score"].between(0, 1).all()
    falling = found.groupby(["customer_id", "list"])["score"].diff().dropna()
    assert (falling <= 0).all()
    assert set(found["source"]) <= {"repeat", "als", "neighbours", "similar", "popular"}
    assert found["reason"].str.len().gt(10).all()


def test_nothing_after_the_day_is_seen(bought, known, model):
    later = bought.day > DAY
    assert later.any()
    past = bought.until(DAY)
    other = Recommender(SETTINGS).fit(past, known, DAY)
    assert other.to_bytes(known) == model.to_bytes(known)
    assert everyone(other, past, known).equals(everyone(model, bought, known))


def test_the_same_input_in_another_order_gives_the_same_lists(known, model, bought):
    shuffled = purchases().sample(frac=1, random_state=3)
    again = Purchases.from_frame(shuffled, known)
    other = Recommender(SETTINGS).fit(again, known, DAY)
    assert other.to_bytes(known) == model.to_bytes(known)
    assert everyone(other, again, known).equals(everyone(model, bought, known))


def test_a_stored_model_gives_the_same_lists(model, bought, known):
    loaded = Recommender.from_bytes(model.to_bytes(known), known, SETTINGS)
    assert loaded.to_bytes(known) == model.to_bytes(known)
    assert everyone(loaded, bought, known).equals(everyone(model, bought, known))


def test_a_stored_model_of_other_features_is_refused(model, bought, known):
    now = model.snapshot(bought, known, DAY)
    found = now.repeat_candidates(10, known.eligible)
    del found.features["since"]
    with pytest.raises(ValueError, match="stored by another version, so train it again"):
        model.repeat_.probability(found)


def test_what_is_not_eligible_is_never_shown_and_lists_are_not_padded(model, bought):
    few = [f"p{i:02d}" for i in range(60) if i % 20]
    narrow = Catalogue.from_frame(catalogue(withdrawn=few))
    found = everyone(model, bought, narrow, listed=["c00"])
    assert set(found["product_id"]) <= {"p00", "p20", "p40"}
    none = Catalogue.from_frame(catalogue(withdrawn=[f"p{i:02d}" for i in range(60)]))
    assert len(everyone(model, bought, none)) == 0


def test_reasons_say_when_and_how_often(known):
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b", "c", "b", "c"],
            "product_id": ["p00", "p00", "p00", "p00", "p00", "p01", "p01"],
            "business_day": pd.to_datetime(
                ["2017-05-30", "2017-06-11", "2017-06-23", "2017-06-25", "2017-06-24"]
                + ["2017-06-20"] * 2
            ),
            "sales": 1.0,
            "discount": 0.0,
            "quantity": 1.0,
        }
    )
    few = Purchases.from_frame(frame, known)
    small = Recommender(SETTINGS).fit(few, known, DAY)
    found = everyone(small, few, known)
    again = found[found["list"] == "replenish"].set_index(["customer_id", "product_id"])["reason"]
    assert again["a", "p00"] == "you buy this about every 12 days; last 2 days ago"
    assert again["b", "p00"] == "you bought this today"
    assert again["c", "p00"] == "you bought this yesterday"
    fresh = found[found["list"] == "discover"].set_index(["customer_id", "product_id"])["reason"]
    assert fresh["a", "p01"] == "same kind as Thing 0, which you buy"


def test_a_catalogue_with_one_product():
    one = Catalogue.from_frame(catalogue(1))
    frame = purchases()
    frame = frame[frame["product_id"] == "p00"]
    bought = Purchases.from_frame(frame, one)
    model = Recommender(SETTINGS).fit(bought, one, DAY)
    found = everyone(model, bought, one)
    assert set(found["product_id"]) == {"p00"}
    assert not found.duplicated(["customer_id", "product_id"]).any()


def test_products_that_the_catalogue_does_not_know_are_left_out_and_counted():
    frame = purchases()
    small = Catalogue.from_frame(catalogue(50))
    bought = Purchases.from_frame(frame, small)
    assert bought.unknown_rows == frame["product_id"].ge("p50").sum() > 0
    assert bought.unknown_rows + len(bought.day) == len(frame)


def test_bad_input_ends_in_one_sentence(known):
    frame = purchases()
    frame.loc[3, "sales"] = np.nan
    with pytest.raises(ValueError, match="found 1 rows with NaN or infinity"):
        Purchases.from_frame(frame, known)
    with pytest.raises(ValueError, match="one row an item, found p00 twice"):
        Catalogue.from_frame(pd.concat([catalogue(), catalogue()]))
    nothing = Purchases.from_frame(frame.head(0), known)
    with pytest.raises(ValueError, match="wait for more orders or choose a later day"):
        Recommender(SETTINGS).fit(nothing, known, DAY)


def test_scores_by_hand():
    truth = backtest.Truth(np.asarray([1, 2, 3, 10]), np.asarray([0, 1]), 10)
    # Customer 0 bought items 1, 2 and 3; customer 1 bought item 0.
    ranked = Ranked(
        np.asarray([0, 0, 0, 1, 2]),
        np.asarray([1, 9, 3, 5, 1]),
        np.asarray([0.9, 0.8, 0.7, 0.6, 0.5]),
        np.asarray([0, 1, 2, 0, 0]),
    )
    found = backtest.score(ranked, truth, n=10)
    best = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found.ndcg == pytest.approx([(1 + 1 / np.log2(4)) / best, 0])
    assert found.recall == pytest.approx([2 / 3, 0])
    assert found.coverage == pytest.approx(4 / 10)


def test_truth_counts_customers_with_history_and_purchases_once(bought, known, model):
    now = model.snapshot(bought, known, DAY)
    everything = backtest.Truth.after(bought, now, DAY + 28, new_only=False)
    fresh = backtest.Truth.after(bought, now, DAY + 28, new_only=True)
    assert set(fresh.keys) < set(everything.keys)
    assert (now.pairs.find(fresh.keys) < 0).all()
    assert len(everything.keys) == len(np.unique(everything.keys))


def test_popularity_leaves_out_what_one_has(bought, known, model):
    now = model.snapshot(bought, known, DAY)
    shown = rivals.popularity(now, 10, "new")
    keys = shown.customer * now.n_items + shown.item
    assert (now.pairs.find(keys) < 0).all()
    assert np.bincount(shown.customer).max() == 10


def test_learnt_lists_beat_popularity_where_there_is_taste(bought, known):
    model, lines = backtest.fit_and_judge(bought, known, DAY, SETTINGS)
    figures = {(x.metric, x.setting, x.baseline_name): x for x in lines}
    assert model.repeat_ is not None
    all_ = figures["ndcg_at_10", "all", "popularity"]
    assert all_.ours > 1.5 * all_.baseline
    new = figures["ndcg_at_10", "new", "popularity"]
    assert new.ours > new.baseline


def test_a_short_history_is_fitted_without_a_backtest(known):
    frame = purchases(days=50)
    frame = frame[frame["business_day"] > "2017-06-05"]
    short = Purchases.from_frame(frame, known)
    model, lines = backtest.fit_and_judge(short, known, DAY, SETTINGS)
    assert lines == []
    assert model.repeat_ is None
    assert len(everyone(model, short, known)) > 0


def test_intervals_hold_the_mean_and_draw_whole_customers():
    generator = np.random.default_rng(5)
    a, b = generator.normal(2, 1, 500), generator.normal(1, 1, 500)
    alone = np.arange(500)
    found = backtest.interval(alone, a, b, seed=1)
    assert found["ours"][0] < a.mean() < found["ours"][1]
    assert found["difference"][0] < (a - b).mean() < found["difference"][1]
    assert found == backtest.interval(alone, a, b, seed=1)
    # The same figures said four times over are no more evidence.
    again = np.tile(alone, 4), np.tile(a, 4), np.tile(b, 4)
    width = {name: high - low for name, (low, high) in found.items()}
    for name, (low, high) in backtest.interval(*again, seed=1).items():
        assert high - low == pytest.approx(width[name])


def test_what_guests_bought_is_popular_and_said(known):
    frame = pd.DataFrame(
        {
            "customer_id": ["a", None, None, None],
            "product_id": ["p01", "p01", "p01", "p02"],
            "business_day": pd.to_datetime(
                ["2017-06-01", "2017-06-01", "2017-03-01", "2017-06-01"]
            ),
            "orders": [1, 3, 2, 1],
        }
    ).assign(sales=1.0, discount=0.0, quantity=1.0)
    few = Purchases.from_frame(frame, known)
    als = PurchaseAls(AlsSettings(factors=2, min_buyers=1)).fit(np.ones((1, 60)))
    now = Snapshot(few, known, DAY, als)
    first, second = (list(known.item_ids).index(name) for name in ("p01", "p02"))
    assert (few.n_customers, len(few.item)) == (1, 1)
    assert now.buyers[28][[first, second]].tolist() == [4, 1]  # a, and three orders of nobody's
    assert now.buyers[91][first] == 4
    assert now.buyers_ever[first] == 6
    assert now.days_per_buyer[first] == 1
