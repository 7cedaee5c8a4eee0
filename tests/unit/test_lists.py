"""What customers are shown: eligibility, marketing's rules, cold starts, short lists and their reasons."""

import numpy as np
import pandas as pd
import pytest

from include.features.purchases import Catalogue, Purchases
from include.features.signals import Signals
from include.models.lists.build import lists
from include.models.lists.eligibility import Shelf, replacement_times
from include.models.lists.explain import explain
from include.models.products import rules as list_rules
from include.models.products.recommender import Recommender
from tests.unit.small_shop import (
    DAY,
    SETTINGS,
    catalogue,
    everyone,
    maker,
    people,
    purchases,
    rules,
)

NEWCOMERS = ["new east", "new west", "new nowhere"]


@pytest.fixture(scope="module")
def known():
    return Catalogue.from_frame(catalogue())


@pytest.fixture(scope="module")
def bought(known):
    return Purchases.from_frame(purchases(), known, NEWCOMERS)


@pytest.fixture(scope="module")
def model(bought, known):
    return Recommender(SETTINGS).fit(bought, known, DAY)


@pytest.fixture(scope="module")
def plain(model, bought, known):
    """Lists without rules."""
    return everyone(model, bought, known)


def signals(bought, known, *rows):
    columns = ["customer_id", "product_id", "business_day", "kind", "rating"]
    frame = pd.DataFrame([(*row, np.nan)[:5] for row in rows], columns=columns)
    return Signals.from_frame(frame, bought, known)


def items_of(found, list_name=None, customer=None):
    rows = found if list_name is None else found[found["list"] == list_name]
    rows = rows if customer is None else rows[rows["customer_id"] == customer]
    return rows["product_id"].tolist()


# --- cold starts ---------------------------------------------------------------------------------


def test_customers_without_purchases_get_what_is_popular_in_their_region(model, bought, known):
    # Tastes go by the number: c01 and its like buy the second half of the things.
    regions = {
        c: "east" if c[0] == "c" and int(c[1:]) % 2 else "west"
        for c in map(str, bought.customer_ids)
        if c[0] == "c"
    }
    regions |= {"new east": "east", "new west": "west"}
    found = everyone(model, bought, known, listed=NEWCOMERS, regions=regions)
    assert set(found["source"]) == {"popular"}
    assert set(found["list"]) == {"discover"}
    assert found.groupby("customer_id").size().to_dict() == dict.fromkeys(NEWCOMERS, 10)
    east = found[found["customer_id"] == "new east"]
    assert east["product_id"].str[1:].astype(int).ge(30).all()
    assert east["reason"].str.startswith("popular in region east: ").all()
    west = found[found["customer_id"] == "new west"]
    assert west["product_id"].str[1:].astype(int).lt(30).all()
    nowhere = found[found["customer_id"] == "new nowhere"]
    assert nowhere["reason"].str.startswith("popular in the shop: ").all()


def test_what_a_newcomer_looked_at_comes_first_and_turns_the_rest(model, bought, known):
    looked = signals(
        bought,
        known,
        ("new west", "p31", "2017-06-25", "cart"),
        ("new west", "p40", "2017-06-24", "browse"),
        ("new west", "p45", "2017-06-21", "wishlist"),
    )
    weighed = Recommender(SETTINGS)
    weighed.als_ = model.als_
    weighed.repeat_, weighed.new_ = model.repeat_, model.new_
    from dataclasses import replace

    weighed.als_.settings = replace(SETTINGS.als, cart=1.0, browse=1.0, wishlist=1.0)
    found = everyone(weighed, bought, known, signals=looked, listed=["new west", "new nowhere"])
    weighed.als_.settings = SETTINGS.als
    mine = found[found["customer_id"] == "new west"]
    browsed = mine[mine["source"] == "browse"].set_index("product_id")["reason"]
    assert browsed["p31"] == "you put this into your cart; last today"
    assert browsed["p40"] == "you looked at this; last yesterday"
    assert browsed["p45"] == "on your wish list; last 4 days ago"
    # Their taste shows: those who look at the second half are shown more of it.
    half = mine["product_id"].str[1:].astype(int).ge(30).mean()
    usual = found[found["customer_id"] == "new nowhere"]["product_id"].str[1:].astype(int).ge(30)
    assert half > max(0.7, usual.mean())


def test_customers_who_came_after_the_training_are_folded_in(known):
    frame = purchases()
    late = pd.to_datetime(frame["business_day"]) > "2017-06-25"
    old = frame[~late & (frame["customer_id"] != "c01")]
    first = Purchases.from_frame(old, known)
    trained = Recommender(SETTINGS).fit(first, known, DAY)
    newcomer = frame[(frame["customer_id"] == "c01") & ~late].assign(customer_id="newcomer")
    today = Purchases.from_frame(pd.concat([old, newcomer]), known)
    before = trained.to_bytes(known)
    found = everyone(trained, today, known, listed=["newcomer"])
    discovered = found[(found["list"] == "discover")]
    assert trained.to_bytes(known) == before
    assert set(discovered["source"]) - {"popular"}
    assert discovered["product_id"].str[1:].astype(int).ge(30).mean() > 0.7


def test_a_product_that_nobody_bought_is_placed_by_what_it_is_like(model, bought):
    frame = catalogue()
    new = pd.DataFrame(
        {
            "item_id": ["z1", "z2"],
            "name": ["Thing 33 anew", "Unlike everything"],
            "group": ["kind 6", "else"],
            "family": ["aisle 1", "beyond"],
            "maker": ["maker 5", "nobody"],
            "eligible": True,
        }
    )
    frame["known_from"] = "2016-01-01"
    both = Catalogue.from_frame(pd.concat([frame, new.assign(known_from="2017-06-20")]))
    today = Purchases.from_frame(purchases(), both)
    loaded = Recommender.from_bytes(
        model.to_bytes(Catalogue.from_frame(catalogue())), both, SETTINGS
    )
    found = everyone(loaded, today, both, rules(new_products={"slots": 3, "within_days": 56}))
    shown = found[found["product_id"] == "z1"]
    assert len(shown) > 0
    assert (shown["source"] == "similar").all()
    assert shown["reason"].str.startswith("new, and much like Thing 3").all()
    # Likelier for those who buy the second half than for the others.
    fans = shown["customer_id"].str[1:].astype(int) % 2 == 1
    assert shown.loc[fans, "score"].median() > 1.5 * shown.loc[~fans, "score"].median()
    none = everyone(loaded, today, both, rules(new_products={"slots": 0, "within_days": 56}))
    assert "z1" not in items_of(none)


# --- eligibility ---------------------------------------------------------------------------------


def test_stock_counts_by_region_and_for_each_customer(model, bought, known, plain):
    first = plain[(plain["list"] == "replenish") & (plain["rank"] == 1)].iloc[0]
    who, what = first["customer_id"], first["product_id"]
    others = plain[(plain["product_id"] == what) & (plain["customer_id"] != who)]["customer_id"]
    regions = dict.fromkeys(map(str, bought.customer_ids), "west") | {who: "east"}
    shelf = Shelf.unknown(2, len(known.item_ids))
    shelf.out_of_stock[0, list(known.item_ids).index(what)] = True
    found = everyone(model, bought, known, regions=regions, shelf=shelf)
    holders = set(found[found["product_id"] == what]["customer_id"])
    assert who not in holders
    assert set(others) <= holders


def test_what_is_kept_for_high_value_customers_is_not_shown_to_the_others(model, bought, known):
    shelf = Shelf.unknown(0, len(known.item_ids))
    shelf.kept_back[:, 7] = True
    high = everyone(model, bought, known, shelf=shelf, low_value=False)
    low = everyone(model, bought, known, shelf=shelf, low_value=True)
    assert "p07" in items_of(high)
    assert "p07" not in items_of(low)


def test_the_margin_floor_holds_and_an_unknown_margin_passes(model, bought):
    frame = catalogue().assign(margin=[0.02 if i % 2 else np.nan for i in range(60)])
    priced = Catalogue.from_frame(frame)
    asked = rules(eligibility={"minimum_margin": 0.05})
    found = everyone(model, bought, priced, asked)
    assert found["product_id"].str[1:].astype(int).mod(2).eq(0).all()
    assert found["customer_id"].nunique() == len(bought.customer_ids)


def test_nothing_is_shown_inside_its_replacement_time(model, bought, known, plain):
    asked = rules(eligibility={"replacement_share": 0.9})
    now = model.snapshot(bought, known, DAY)
    again = everyone(model, bought, known, asked)
    again = again[again["list"] == "replenish"]
    position = {str(i): k for k, i in enumerate(known.item_ids)}
    code = {str(c): k for k, c in enumerate(bought.customer_ids)}
    items = np.asarray([position[p] for p in again["product_id"]])
    rows = np.asarray([code[c] for c in again["customer_id"]])
    at = now.pairs.find(rows * now.n_items + items)
    assert (now.cut - now.pairs.last[at] >= 0.9 * replacement_times(now)[at]).all()
    assert len(again) < len(plain[plain["list"] == "replenish"])


def test_the_replacement_time_is_the_customers_own_where_that_is_a_shorter_habit(known):
    # Five buy p00 every 40 days; one every 10 days; one twice in a week, which is no habit yet.
    rows = [(f"c{k}", day) for k in range(5) for day in ("2017-03-31", "2017-05-10", "2017-06-19")]
    rows += [("often", day) for day in ("2017-05-30", "2017-06-09", "2017-06-19")]
    rows += [("twice", day) for day in ("2017-06-12", "2017-06-19")]
    frame = pd.DataFrame(rows, columns=["customer_id", "business_day"]).assign(product_id="p00")
    few = Purchases.from_frame(frame.assign(sales=1.0, discount=0.0, quantity=1.0), known)
    fitted = Recommender(SETTINGS).fit(few, known, DAY)
    times = dict(
        zip(few.customer_ids, replacement_times(fitted.snapshot(few, known, DAY)), strict=True)
    )
    assert times == {f"c{k}": 40 for k in range(5)} | {"often": 10, "twice": 40}
    # Six days after the last purchase, half of ten days are over and half of forty are not.
    asked = rules(eligibility={"replacement_share": 0.5})
    assert set(everyone(fitted, few, known, asked)["customer_id"]) == {"often"}


# --- rules ---------------------------------------------------------------------------------------


def rule(kind, **more):
    return {"name": f"my_{kind}", "rule": kind, **more}


def test_exclude_leaves_out_what_it_names_and_nothing_else(model, bought, known, plain):
    by_kind = rule("exclude", products={"types": ["kind 2"]})
    found = everyone(model, bought, known, rules(by_kind))
    kind_two = {f"p{i}" for i in range(10, 15)}
    assert kind_two & set(items_of(plain))
    assert not kind_two & set(items_of(found))
    only_replenish = by_kind | {"lists": ["replenish"]}
    half = everyone(model, bought, known, rules(only_replenish))
    assert kind_two & set(items_of(half, "discover"))
    assert not kind_two & set(items_of(half, "replenish"))


def test_what_is_sensitive_is_neither_proposed_nor_named_and_stays_with_who_buys_it(
    model, bought, known, plain
):
    aisle = {f"p{i:02d}" for i in range(20)}
    names = {f"Thing {int(item[1:])}" for item in aisle}
    looked = signals(bought, known, ("c01", "p02", "2017-06-20", "cart"))
    asked = rules(rule("sensitive", products={"categories": ["aisle 0"]}))
    found, summaries = lists(maker(model, bought, known, asked, looked))
    assert aisle & set(items_of(plain, "discover"))
    assert not aisle & set(items_of(found, "discover"))
    again = found["product_id"].isin(aisle)
    assert again.any()
    assert (found["sensitive"] == again).all()
    told = plain["reason"].str.extract(r"(Thing \d+)")[0]
    assert names & set(told.dropna())
    assert not names & set(found["reason"].str.extract(r"(Thing \d+)")[0].dropna())
    # Nothing is brought up by what nobody is to know of, either.
    together = found[found["source"] == "neighbours"]
    assert len(together) < (plain["source"] == "neighbours").sum()
    both = rule("sensitive", products={"categories": ["aisle 0"]}, lists=["replenish", "discover"])
    assert not aisle & set(items_of(everyone(model, bought, known, rules(both))))


def test_rules_heed_their_audience(model, bought, known):
    for_vips = rule("exclude", products={"categories": ["aisle 0"]}, audience=["vip"])
    vips = everyone(model, bought, known, rules(for_vips), segment="vip")
    others = everyone(model, bought, known, rules(for_vips), segment="new")
    assert not {f"p{i:02d}" for i in range(20)} & set(items_of(vips))
    assert {f"p{i:02d}" for i in range(20)} & set(items_of(others))


def test_include_brings_up_and_says_so(model, bought, known, plain):
    frame = catalogue().assign(known_from="2016-01-01")
    unsold = pd.DataFrame(
        [{"item_id": "zz", "name": "Unsold", "eligible": True, "known_from": "2016-01-01"}]
    )
    wide = Catalogue.from_frame(pd.concat([frame, unsold]))
    today = Purchases.from_frame(purchases(), wide)
    loaded = Recommender.from_bytes(model.to_bytes(known), wide, SETTINGS)
    asked = [
        rule("include", products={"product_ids": ["zz"]}, reason="our thing of the week"),
        rule("pin", products={"product_ids": ["zz"]}, position=3, lists=["discover"]),
    ]
    assert "zz" not in items_of(everyone(loaded, today, wide))
    found = everyone(loaded, today, wide, rules(*asked))
    shown = found[found["product_id"] == "zz"]
    assert shown["customer_id"].nunique() == 80
    assert (shown["rank"] == 3).all()
    assert set(shown["source"]) == {"rule"}
    assert set(shown["reason"]) == {"our thing of the week"}


def test_boost_moves_up_and_pushes_down(model, bought, known, plain):
    def mean_rank(found):
        mine = found[
            (found["list"] == "discover")
            & found["product_id"].isin([f"p{i}" for i in range(20, 40)])
        ]
        return len(mine), mine["rank"].mean()

    up = everyone(
        model,
        bought,
        known,
        rules(rule("boost", products={"categories": ["aisle 1"]}, factor=20.0)),
    )
    down = everyone(
        model,
        bought,
        known,
        rules(rule("boost", products={"categories": ["aisle 1"]}, factor=0.05)),
    )
    assert mean_rank(up)[0] > mean_rank(plain)[0] > mean_rank(down)[0]
    # The chance that is shown stays the model's.
    same = plain.merge(up, on=["customer_id", "list", "product_id"])
    assert (same["score_x"] == same["score_y"]).all()


def test_a_pin_takes_its_position_only_where_it_may_be_shown(model, bought, known):
    pin = rule("pin", products={"product_ids": ["p35"]}, position=1, lists=["discover"])
    stop = rule("exclude", products={"product_ids": ["p35"]}, audience=["vip"])
    found = everyone(model, bought, known, rules(pin, stop), segment="new")
    pinned = found[(found["list"] == "discover") & (found["product_id"] == "p35")]
    assert len(pinned) > 20
    assert (pinned["rank"] == 1).all()
    excluded = everyone(model, bought, known, rules(pin, stop), segment="vip")
    assert "p35" not in items_of(excluded)


def test_limits_and_families_hold_in_every_list(model, bought, known):
    asked = rules(
        rule("limit", by="category", at_most=4), rule("one_of_a_family", lists=["discover"])
    )
    found = everyone(model, bought, known, asked)
    number = found["product_id"].str[1:].astype(int)
    of = [found["customer_id"], found["list"]]
    assert number.floordiv(20).groupby([*of, number.floordiv(20)]).size().max() == 4
    kinds = number.floordiv(5)
    sizes = kinds.groupby([*of, kinds]).size()
    assert sizes.xs("discover", level=1).max() == 1
    assert sizes.xs("replenish", level=1).max() > 1


def test_a_price_band_keeps_to_what_the_customer_pays(known):
    frame = purchases()
    dear = frame["product_id"].isin([f"p{i}" for i in range(20, 30)])
    # In aisle 1 the customers of the first taste pay 2, those of the second 50.
    frame.loc[frame["product_id"].str[1:].astype(int).between(30, 39), "sales"] = 50.0
    assert dear.any()
    priced = Purchases.from_frame(frame, known)
    fitted = Recommender(SETTINGS).fit(priced, known, DAY)
    asked = rules(rule("price_band", lowest=0.5, highest=2.0, lists=["discover"]))
    found = everyone(fitted, priced, known, asked)
    number = found["product_id"].str[1:].astype(int)
    even = found["customer_id"].str[1:].astype(int).mod(2).eq(0)
    new = found["list"] == "discover"
    assert not (new & even & number.between(30, 39)).any()
    assert not (new & ~even & number.between(20, 29)).any()


def test_the_cadence_rule_waits_for_the_customers_own_gap(known):
    days = ["2017-05-20", "2017-05-30", "2017-06-09", "2017-06-19"]
    rows = [("a", "p00", d) for d in days] + [("a", "p01", d) for d in ["2017-05-26", "2017-06-23"]]
    rows += [("b", "p00", "2017-06-01"), ("c", "p00", "2017-06-02"), ("b", "p01", "2017-06-02")]
    frame = pd.DataFrame(rows, columns=["customer_id", "product_id", "business_day"])
    few = Purchases.from_frame(frame.assign(sales=1.0, discount=0.0, quantity=1.0), known)
    fitted = Recommender(SETTINGS).fit(few, known, DAY)
    # p00: every 10 days, last 6 days ago; p01: every 28 days, last 2 days ago.
    asked = rules(rule("cadence", after=0.5, lists=["replenish"]))
    assert items_of(everyone(fitted, few, known, asked), "replenish", "a") == ["p00"]
    late = rules(rule("cadence", after=0.7, lists=["replenish"]))
    found, summaries = lists(maker(fitted, few, known, late))
    assert items_of(found, "replenish", "a") == []
    why = summaries.set_index(["customer_id", "list"])["why_short"]["a", "replenish"]
    assert why == "0 of 10: of 2 products, 2 not due yet (my_cadence)"


def test_new_things_of_favourite_brands_come_up(model, bought, known):
    frame = catalogue().assign(known_from="2016-01-01")
    fresh = pd.DataFrame(
        {
            "item_id": [f"n{k}" for k in range(7)],
            "name": "Novelty",
            "maker": [f"maker {k}" for k in range(7)],
            "eligible": True,
            "known_from": "2017-06-22",
        }
    )
    wide = Catalogue.from_frame(pd.concat([frame, fresh]))
    today = Purchases.from_frame(purchases(), wide)
    loaded = Recommender.from_bytes(model.to_bytes(known), wide, SETTINGS)
    asked = rule("favourite_brand", brands=1, within_days=28, factor=1e6, lists=["discover"])
    found = everyone(loaded, today, wide, rules(asked))
    new = found[found["product_id"].str.startswith("n")]
    # One favourite brand each, and the novelty of that brand first.
    assert new.groupby("customer_id").size().eq(1).all()
    assert new["customer_id"].nunique() == 80
    assert (new["rank"] == 1).all()
    now = loaded.snapshot(today, wide, DAY)
    at = int(np.flatnonzero(today.customer_ids == "c00")[0])
    width = 7
    mine = now.makers.keys // width == at
    best = now.makers.keys[mine][now.makers.decayed[112][mine].argmax()] % width
    assert new.set_index("customer_id").loc["c00", "product_id"] == f"n{best}"


def test_what_came_back_or_disappointed_is_not_shown(model, bought, known, plain):
    first = plain[(plain["list"] == "replenish") & (plain["rank"] <= 3)]
    mine = first[first["customer_id"] == "c05"]["product_id"].tolist()
    told = signals(
        bought,
        known,
        ("c05", mine[0], "2017-06-20", "return"),
        ("c05", mine[1], "2017-06-20", "review", 1),
        # Bad once and good since.
        ("c05", mine[2], "2017-06-10", "review", 1),
        ("c05", mine[2], "2017-06-20", "review", 5),
        ("c07", mine[1], "2017-06-20", "review", 5),
    )
    asked = rules(rule("not_returned", within_days=30), rule("not_rated_low", at_most=2))
    found = everyone(model, bought, known, asked, signals=told)
    shown = items_of(found, "replenish", "c05")
    assert mine[0] not in shown
    assert mine[1] not in shown
    assert mine[2] in shown
    forgotten = rules(rule("not_returned", within_days=3))
    assert mine[0] in items_of(
        everyone(model, bought, known, forgotten, signals=told), "replenish", "c05"
    )


def test_a_rule_that_removes_everything_leaves_nothing_and_says_so(model, bought, known):
    asked = rules(rule("exclude", products={"categories": ["aisle 0", "aisle 1", "aisle 2"]}))
    found, summaries = lists(maker(model, bought, known, asked, listed=["c00", "new east"]))
    assert len(found) == 0
    assert set(summaries["products"]) == {0}
    why = summaries.set_index(["customer_id", "list"])["why_short"]
    assert "excluded (my_exclude)" in why["c00", "discover"]
    assert why["c00", "discover"].startswith("0 of 10: of ")
    assert why["new east", "replenish"] == "0 of 10: the customer has bought nothing yet"


def test_names_that_the_catalogue_does_not_hold_are_told(known):
    asked = rules(
        rule("exclude", products={"product_ids": ["p01", "p99"]}),
        rule("boost", products={"categories": ["aisle 7"]}, factor=2.0),
    )
    said = list(list_rules.unknown(asked.rules, known))
    assert len(said) == 2
    assert "a product of the catalogue, found 'p99'" in said[0]
    assert "a category of the catalogue, found 'aisle 7'" in said[1]


# --- variety, ratings, reasons -------------------------------------------------------------------


def test_variety_trades_likeness_for_breadth(model, bought, known, plain):
    def kinds(found):
        rows = found[found["list"] == "discover"]
        number = rows["product_id"].str[1:].astype(int).floordiv(5)
        return number.groupby(rows["customer_id"]).nunique().mean()

    wide = everyone(model, bought, known, rules(variety=1.0))
    assert kinds(wide) > kinds(plain)


def test_expected_ratings_move_the_order_and_stay_on_the_scale(model, bought, known, plain):
    generator = np.random.default_rng(4)
    told = [
        (f"c{c:02d}", f"p{i:02d}", "2017-06-01", "review", 5 if i % 2 else 2)
        for c in range(80)
        for i in generator.choice(60, 12, replace=False)
    ]
    rated = signals(bought, known, *told)
    asked = rules(reviews={"weight": 2.0, "neighbours": 5})
    found = everyone(model, bought, known, asked, signals=rated)
    assert found["expected_rating"].between(1, 5).all()

    def odd(rows):
        return rows["product_id"].str[1:].astype(int).mod(2).mean()

    assert odd(found) > odd(plain) + 0.1
    untouched = everyone(model, bought, known, rules(), signals=rated)
    assert odd(untouched) == pytest.approx(odd(plain), abs=0.02)


def test_a_short_list_says_how_little_there_was(known):
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "a"],
            "product_id": ["p00", "p00", "p00", "p01"],
            "business_day": ["2017-06-20"] * 4,
        }
    ).assign(sales=1.0, discount=0.0, quantity=1.0)
    few = Purchases.from_frame(frame, known)
    fitted = Recommender(SETTINGS).fit(few, known, DAY)
    _, summaries = lists(maker(fitted, few, known))
    why = summaries.set_index(["customer_id", "list"])["why_short"]
    assert why["a", "replenish"] == "2 of 10: only 2 different products bought"
    assert why["b", "discover"] == "1 of 10: only 1 different products found"


def test_a_customer_who_bought_everything_has_nothing_to_discover(known):
    frame = purchases()
    every = pd.DataFrame(
        {
            "customer_id": "all",
            "product_id": [f"p{i:02d}" for i in range(60)],
            "business_day": "2017-06-01",
        }
    ).assign(sales=1.0, discount=0.0, quantity=1.0)
    everything = Purchases.from_frame(pd.concat([frame, every]), known)
    fitted = Recommender(SETTINGS).fit(everything, known, DAY)
    found, summaries = lists(maker(fitted, everything, known, listed=["all"]))
    assert set(found["list"]) == {"replenish"}
    why = summaries.set_index("list")["why_short"]
    assert why["discover"] == "0 of 10: nothing is for sale that the customer has not bought"


def test_an_explanation_names_ranks_rules_and_what_was_left_out(model, bought, known, plain):
    first = plain[(plain["customer_id"] == "c03") & (plain["list"] == "replenish")].iloc[0]
    asked = rules(
        rule("exclude", products={"product_ids": [first["product_id"]]}),
        rule("boost", products={"categories": ["aisle 1"]}, factor=3.0),
    )
    text = "\n".join(explain(maker(model, bought, known, asked, listed=["c03"])))
    assert "replenish (bought before): " in text
    assert "discover (new to the customer): " in text
    assert "rule my_boost multiplied its odds by 3" in text
    left_out = text[text.index("left out, excluded (my_exclude): 1\n") :].splitlines()[1]
    number = int(first["product_id"][1:])
    assert f"Thing {number} [{first['product_id']}], from repeat" in left_out
    # The one left out was the likeliest: what stands first now was second.
    assert "number 2 by chance alone" in text


def test_an_explanation_says_what_a_full_list_passed_over(model, bought, known):
    asked = rules(rule("limit", by="category", at_most=2, lists=["replenish"]))
    text = "\n".join(explain(maker(model, bought, known, asked, listed=["c03"])))
    assert "the list holds enough of its kind (my_limit): " in text
    varied = "\n".join(explain(maker(model, bought, known, rules(variety=0.5), listed=["c03"])))
    assert "passed over, variety 0.5: too like what is shown, or bought by everybody: " in varied


def test_lists_do_not_depend_on_who_else_is_listed(model, bought, known, plain):
    alone = everyone(model, bought, known, listed=["c11"])
    mine = plain[plain["customer_id"] == "c11"].reset_index(drop=True)
    assert alone.equals(mine)


def test_people_of_unknown_region_and_segment_are_served(model, bought, known):
    assert (people(bought).region == -1).all()
    assert everyone(model, bought, known)["customer_id"].nunique() == len(bought.customer_ids)
