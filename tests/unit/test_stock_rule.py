"""Newsvendor and reserve: against the textbook, and what customer value moves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.models.demand import priorities

ONE = np.ones(1)


def ranked(frame: pd.DataFrame) -> dict[str, Any]:
    """Product -> what is said of it."""
    return {
        str(row.product_id): row for row in priorities.prioritise(frame, 0.3, RULES).itertuples()
    }


def places(**columns):
    base: dict[str, Any] = {
        "region": ["north"], "product_id": ["1"], "name": ["Milk"], "type": ["MILK"],
        "units_high_value": [4.0], "units_other": [6.0], "on_hand": [5.0], "on_order": [0.0],
        "unit_price": [10.0], "unit_margin": [3.0], "holding": [0.5],
    }  # fmt: skip
    rows = max(len(values) for values in columns.values()) if columns else 1
    return pd.DataFrame({k: (v * rows)[:rows] for k, v in base.items()} | columns)


RULES = priorities.Rules(
    high_weight=3.0, reserve_chance=0.33, overstock_days=28, minimum_worth=1.0, cover_days=14
)


def test_without_customer_value_it_is_the_newsvendor():
    for mean in (0.3, 2.0, 11.0, 80.0):
        kept = priorities.keep(
            ONE * mean * 0.4, ONE * mean * 0.6, 0.3, priorities.Costs(ONE * 3, ONE, 1.0)
        )
        size = 1 / 0.3
        assert kept[0] == stats.nbinom.ppf(3 / (3 + 1), size, size / (size + mean))


def test_the_shortage_is_the_sum_over_the_distribution():
    size, mean = 1 / 0.4, 6.0
    wanted = np.arange(500)
    chance = stats.nbinom.pmf(wanted, size, size / (size + mean))
    for held in (0.0, 3.0, 12.0):
        by_hand = (np.maximum(wanted - held, 0) * chance).sum()
        assert priorities.shortage(ONE * mean, 0.4, ONE * held)[0] == pytest.approx(
            by_hand, rel=1e-9
        )


def test_the_reserve_is_littlewoods():
    high, chance, size = 5.0, 0.33, 1 / 0.3
    kept = priorities.reserve(np.array([high]), 0.3, chance)[0]

    def at_least(pieces):
        return stats.nbinom.sf(pieces - 1, size, size / (size + high))

    assert at_least(kept) >= chance > at_least(kept + 1)
    assert priorities.reserve(np.array([high]), 0.3, 0.99)[0] == 0
    assert priorities.reserve(np.array([0.0]), 0.3, chance)[0] == 0


def test_the_same_room_goes_where_high_value_customers_want_them():
    high, low = np.array([6.0, 0.0]), np.array([0.0, 6.0])
    costs = priorities.Costs(np.full(2, 3.0), np.full(2, 1.0), 1.0)
    plain = priorities.keep(high, low, 0.3, costs)
    assert plain[0] == plain[1]
    for size in (np.ones(2), np.full(2, 7.0)):
        room = float((size * plain).sum())
        assert priorities.keep_best(high, low, 0.3, costs, size, room).tolist() == plain.tolist()
        moved = priorities.keep_best(high, low, 0.3, replace(costs, high_weight=3.0), size, room)
        assert moved.sum() == plain.sum()
        assert moved[0] > plain[0] > 0
        assert moved[1] < plain[1]


def test_dispersion_is_found_again():
    chance = np.random.default_rng(5)
    mean = chance.uniform(1, 20, 40_000)
    size = 1 / 0.4
    came = chance.negative_binomial(size, size / (size + mean))
    assert priorities.dispersion(mean, came.astype(float)) == pytest.approx(0.4, abs=0.03)
    assert priorities.dispersion(mean, chance.poisson(mean).astype(float)) < 0.02


def test_what_runs_out_for_the_best_customers_comes_first_and_is_reserved():
    found = ranked(
        places(
            product_id=["few", "many", "low"],
            units_high_value=[4.0, 4.0, 0.0],
            units_other=[6.0, 6.0, 10.0],
            on_hand=[5.0, 60.0, 5.0],
        )
    )
    assert found["few"].priority_rank == 1
    assert found["few"].promote_to == "high_value"
    assert 0 < found["few"].units_to_reserve <= 5
    assert found["few"].action == "order and reserve"
    assert found["low"].units_to_reserve == 0
    assert found["few"].cost_of_running_out > found["low"].cost_of_running_out
    assert found["many"].promote_to == "clear"
    assert found["many"].action == "reduce"
    assert found["many"].units_reducible > 20
    assert "high-value" in found["few"].reason


def test_uncounted_goods_say_so_and_order_nothing():
    found = ranked(places(on_hand=[np.nan], on_order=[np.nan]))["1"]
    assert found.action == "count"
    assert (found.units_to_order, found.units_to_reserve, found.units_reducible) == (
        0,
        0,
        0,
    )
    assert np.isnan(found.cost_of_running_out)
    assert found.promote_to == "everybody"


def test_costs_of_running_out_and_holding_are_the_expected_ones():
    found = ranked(places())["1"]
    size, wanted = 1 / 0.3, np.arange(400)
    chance = stats.nbinom.pmf(wanted, size, size / (size + 10))
    short = (np.maximum(wanted - 5, 0) * chance).sum()
    left = (np.maximum(5 - wanted, 0) * chance).sum()
    assert found.cost_of_running_out == pytest.approx(short * 3 * (0.6 + 3 * 0.4), rel=1e-6)
    assert found.cost_of_holding == pytest.approx(left * 0.5, rel=1e-6)
    assert found.days_of_cover == pytest.approx(7.0)
