"""Forecasts of made-up shops: sums, promotions, newcomers, honesty about the future, intervals."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.features.demand import assemble
from include.features.demand_panel import (
    HORIZON,
    Bought,
    Panel,
    Settings,
    learnt_from,
)
from include.models.demand import forecast, methods
from include.models.demand.cadence import Cadence
from include.models.demand.regressors import features
from include.models.demand.split import shares

WEEKS, PRODUCTS, KINDS = 36, 240, 12
QUICK = Settings(iterations=40, boosters=1, sample=(1.0, 1.0))


def made_up(lift: float = 3.0, seed: int = 3, weeks: int = WEEKS) -> tuple[Panel, np.ndarray]:
    """A panel in which mailers multiply sales, and the weeks after it."""
    chance = np.random.default_rng(seed)
    level = chance.gamma(1.5, 3.0, PRODUCTS)
    mailer = (chance.random((PRODUCTS, weeks + HORIZON)) < 0.1).astype(np.float64)
    mean = level[:, None] * np.where(mailer > 0, lift, 1.0)
    units = chance.poisson(mean).astype(float)
    known = units[:, :weeks]
    return Panel(
        units=known,
        sales=known * 2.0,
        discount=known * 0.1,
        kind=np.arange(PRODUCTS) % KINDS,
        kind_names=np.array([f"KIND {k:02d}" for k in range(KINDS)]),
        department=np.zeros(PRODUCTS, dtype=np.int64),
        brand=np.arange(PRODUCTS) % 2,
        mailer=mailer,
        front=np.zeros_like(mailer),
        planned=HORIZON,
        holiday=np.zeros(weeks + HORIZON),
    ), units[:, weeks:]


@pytest.fixture(scope="module")
def shop():
    panel, after = made_up()
    return panel, after, forecast.forecast(panel, {}, QUICK)


def test_products_and_their_rest_sum_to_their_type(shop):
    panel, _, found = shop
    for kind in range(KINDS):
        mine = panel.kind[found.rows] == kind
        total = found.units[mine].sum(axis=0) + found.rest[kind]
        assert found.kinds[kind] == pytest.approx(total)


def test_it_beats_averages_where_mailers_are_planned_and_is_unbiased(shop):
    panel, after, found = shop
    truth = after[found.rows]
    ours = np.abs(found.units - truth).sum()
    average = panel.units[found.rows, -8:].mean(axis=1)[:, None]
    assert ours < 0.85 * np.abs(average - truth).sum()
    assert abs(found.units.sum() / truth.sum() - 1) < 0.05


def test_without_a_plan_no_mailer_is_known(shop):
    panel, after, found = shop
    blind = forecast.forecast(replace(panel, planned=0), {}, QUICK)
    moved = replace(panel, planned=0, mailer=panel.mailer.copy())
    moved.mailer[:, WEEKS:] = 1 - moved.mailer[:, WEEKS:]
    assert forecast.forecast(moved, {}, QUICK).units == pytest.approx(blind.units)
    truth = after[found.rows]
    assert np.abs(found.units - truth).sum() < np.abs(blind.units - truth).sum()


def test_no_feature_sees_units_after_its_origin():
    panel, _ = made_up()
    rows = panel.active(20)
    table, level = features(panel, 20, rows)
    later = replace(panel, units=panel.units.copy(), sales=panel.sales.copy())
    later.units[:, 20:] += 100
    later.sales[:, 20:] += 100
    again, same = features(later, 20, rows)
    assert np.array_equal(table, again, equal_nan=True)
    assert np.array_equal(level, same)


def test_what_is_learnt_had_ended():
    for known in range(1, 60):
        assert all(origin + HORIZON <= known for origin in learnt_from(known, Settings()))


def test_intervals_hold_what_they_say(shop):
    panel, after, found = shop
    ends, truth = found.kind_ends, panel.by_kind(after)
    inside = [
        ((truth >= ends[..., low]) & (truth <= ends[..., high])).mean()
        for low, high in ((1, 2), (0, 3))
    ]
    assert 0.65 < inside[0] < 0.92
    assert inside[0] < inside[1]
    assert (np.diff(found.ends, axis=2) >= 0).all()


def test_a_product_of_two_weeks_is_forecast_and_one_that_never_sold_is_not():
    panel, _ = made_up()
    panel.units[0, :] = 0
    panel.units[0, -2:] = 6
    panel.units[1, :] = 0
    found = forecast.forecast(panel, {}, QUICK)
    assert 0 in found.rows
    assert 1 not in found.rows
    assert 1.0 < found.units[found.rows == 0].mean() < 12.0


def test_a_young_shop_gets_a_simple_forecast_without_intervals():
    panel, _ = made_up(weeks=6)
    found = forecast.forecast(panel, {}, QUICK)
    assert {methods.NAMES[m] for m in found.method} == {forecast.SIMPLE}
    assert np.isnan(found.ends).all()
    assert (found.units >= 0).all()


def test_a_series_takes_the_method_that_served_it_where_the_difference_is_large():
    error = np.full((40, len(methods.METHODS)), 10.0)
    error[:, 0] = 8.0
    error[7, 0], error[7, 3] = 40.0, 1.0
    error[8, 3] = 7.9
    method = forecast._best(error, np.full(40, 12.0), np.full(40, 13), Settings(choice_prior=2.0))
    assert method[7] == 3
    assert set(np.delete(method, 7)) == {0}


def bought(rows):
    customer, product, week, units = map(np.array, zip(*rows, strict=True))
    return Bought(customer, product, week, units.astype(float), 4, 3, 30)


def test_who_buys_every_other_week_is_due_every_other_week():
    rows = [(c, 0, w, 2) for c in range(4) for w in range(0, 30, 2)]
    rows += [(0, 1, w, 1) for w in range(10)]
    found = Cadence(4).fit(bought(rows), [28, 30]).expected_
    # At the end of week 27 the next purchase is one week away; counts are shrunk to the average.
    first, second = found[28][0, :2]
    assert first > 1.3 * second
    assert found[30].shape == (3, 4)
    assert found[30][2].sum() == 0


def test_cadence_knows_nothing_of_later_weeks():
    rows = [(c, p, w, 1) for c in range(4) for p in range(3) for w in range(c, 30, 2 + p)]
    until = [row for row in rows if row[2] < 20]
    early = Cadence(4).fit(bought(until), [20]).expected_[20]
    assert Cadence(4).fit(bought(rows), [20]).expected_[20] == pytest.approx(early)


def sales(rows):
    return pd.DataFrame(
        rows, columns=["customer", "product_id", "region", "age", "units", "sales", "discount"]
    )


PRODUCT_LIST = pd.DataFrame(
    {"product_id": ["a", "b"], "name": ["A", "B"], "department": ["D", "D"], "category": ["C", "C"],
     "type": ["T1", "T2"], "brand": ["x", "x"], "unit_margin": [0.3, np.nan], "active": [True, True]}
)  # fmt: skip


def test_rows_find_their_place_and_mailers_their_share_of_a_week():
    # The newest of 10 weeks ends on a Wednesday; a mailer of the Monday before reaches three days into it.
    day = date(2017, 3, 15)
    mailers = pd.DataFrame(
        {"product_id": ["a"], "starts_on": pd.to_datetime(["2017-03-13"]), "is_front": [True],
         "store_share": [0.7]}
    )  # fmt: skip
    found = assemble(
        sales([(0, "a", "north", 0, 3, 6.0, 0.0), (1, "zz", "south", 9, 1, 2.0, 0.0)]),
        PRODUCT_LIST, mailers, day=day, weeks=10, n_customers=2, holidays=[date(2017, 3, 16)],
    )  # fmt: skip
    assert found.products["product_id"].tolist() == ["a", "zz"]
    assert found.panel.units[0].tolist() == [0] * 9 + [3]
    assert found.panel.units[1].tolist() == [1] + [0] * 9
    assert found.panel.mailer[0, 9:11] == pytest.approx([0.7 * 3 / 7, 0.7 * 4 / 7])
    assert found.panel.planned == 0
    assert found.panel.holiday[9:11].tolist() == [1, 1]
    assert found.price.tolist() == [2.0, 2.0]


def test_a_plan_of_eight_mailers_is_known_for_eight_weeks():
    day = date(2017, 3, 12)  # a Sunday
    starts = pd.date_range("2017-03-13", periods=8, freq="7D")
    mailers = pd.DataFrame(
        {"product_id": "a", "starts_on": starts, "is_front": False, "store_share": 1.0}
    )
    found = assemble(
        sales([(0, "a", "north", 0, 3, 6.0, 0.0)]),
        PRODUCT_LIST, mailers, day=day, weeks=4, n_customers=1,
    )  # fmt: skip
    assert found.panel.planned == HORIZON
    assert found.panel.mailer[0].tolist() == [0] * 4 + [1] * 8


def test_the_order_of_the_rows_changes_no_digit():
    chance = np.random.default_rng(5)
    rows = [
        (customer, "ab"[customer % 2], region, age, 1 + customer % 3, round(chance.gamma(2, 3), 2), 0.07)
        for customer in range(40) for region in ("north", "south") for age in range(6)
    ]  # fmt: skip
    frame = sales(rows)
    seen = [
        assemble(
            one, PRODUCT_LIST, pd.DataFrame(columns=["product_id"]),
            day=date(2017, 6, 4), weeks=6, n_customers=40,
        )
        for one in (frame, frame.sample(frac=1, random_state=2), frame[::-1])
    ]  # fmt: skip
    for other in seen[1:]:
        for part in ("units", "sales", "discount"):
            assert (getattr(other.panel, part) == getattr(seen[0].panel, part)).all()
        for part in ("customer", "product", "week", "units"):
            assert (getattr(other.bought, part) == getattr(seen[0].bought, part)).all()
        assert (other.region == seen[0].region).all()
        assert (other.sales == seen[0].sales).all()


def test_shares_follow_who_bought_where():
    rows = [(0, "a", "north", age, 2, 4.0, 0.0) for age in range(20)]
    rows += [(1, "a", "south", age, 1, 2.0, 0.0) for age in range(20)]
    rows += [(1, "b", "south", age, 1, 2.0, 0.0) for age in range(20)]
    found = assemble(
        sales(rows), PRODUCT_LIST, pd.DataFrame(columns=["product_id"]),
        day=date(2017, 6, 4), weeks=20, n_customers=2,
    )  # fmt: skip
    split = shares(found, np.array([True, False]))
    assert split.sum(axis=(1, 2)) == pytest.approx([1.0, 1.0])
    assert split[0, 0, 1] == pytest.approx(2 / 3, abs=0.05)
    assert split[1, 1, 0] > 0.9
