"""Every customer has one named segment; sizes, values and movements add up."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include import policy
from include.offers import segments

RULES = policy.load().segments
DAYS = {"new_days": 28, "active_days": 35, "lapsing_days": 91}


def day(count: int = 500, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(seed)
    recency = random.integers(0, 200, count).astype(float)
    known = pd.DataFrame(
        {
            "customer_id": [f"c{number:04d}" for number in range(count)],
            "recency_days": recency,
            "tenure_days": recency + random.integers(0, 300, count),
            "registered_days": 400.0,
            "orders_13w": random.integers(0, 30, count),
            "sales_13w": random.gamma(1, 300, count),
        }
    )
    known.loc[0, ["recency_days", "tenure_days"]] = np.nan
    known.loc[0, "registered_days"] = 3
    scores = pd.DataFrame(
        {
            "p_high_value": random.random(count),
            "predicted_value": random.gamma(1, 200, count),
            "churn_probability": random.random(count),
        }
    )
    return known, scores


@pytest.mark.parametrize(
    ("recency", "tenure", "registered", "expected"),
    [
        (5, 10, 10, "new"),
        (5, 28, 90, "new"),
        (35, 300, 300, "active"),
        (36, 300, 300, "lapsing"),
        (91, 300, 300, "lapsing"),
        (92, 300, 300, "lost"),
        (np.nan, np.nan, 28, "new"),
        (np.nan, np.nan, 29, "lapsing"),
        (np.nan, np.nan, 92, "lost"),
        (np.nan, np.nan, np.nan, "new"),
    ],
)
def test_lifecycle_is_by_days_at_its_limits(recency, tenure, registered, expected):
    assert segments.lifecycle([recency], [tenure], [registered], **DAYS) == [expected]


def test_fifths_are_equal_parts_and_equal_customers_share_one():
    known = pd.DataFrame(
        {
            "recency_days": [0.0, 10, 20, 30, 40, np.nan],
            "orders_13w": [9, 9, 2, 2, 1, 0],
            "sales_13w": [100.0, 50, 400, 20, 10, 0],
        }
    )
    assert segments.rfm_cells(known) == ["5-5-4", "4-5-3", "3-3-5", "2-3-2", "1-1-1", "1-1-1"]


def test_everybody_has_one_of_at_most_a_dozen_segments_with_its_strategy():
    known, scores = day()
    found = segments.assign(known, scores, RULES, 0.2)
    strategies = {rule.name: rule.strategy for rule in RULES.named}
    assert len(RULES.named) <= 12
    assert (found["strategy"] == found["segment"].map(strategies)).all()
    assert set(found["segment"]) >= set(strategies) - {"rising_star"}
    assert (found["value_tier"] == "high").sum() == 100
    small = found[found["segment"] == "frequent_small"]
    assert small["rfm_cell"].str.fullmatch(r"[1-5]-[45]-[1-3]").all()
    assert (small["lifecycle"] == "active").all()


def test_ranks_do_not_depend_on_the_order_of_rows():
    known, scores = day(97)
    scored = scores.assign(
        customer_id=known["customer_id"], predicted_value=scores["predicted_value"].round(-2)
    )
    mixed = scored.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(segments.ranks(mixed).sort_index(), segments.ranks(scored))
    assert segments.value_tier(mixed, 0.2) == [
        segments.value_tier(scored, 0.2)[place] for place in mixed.index
    ]
    found = segments.ranks(scored)
    assert found["value_decile"].between(1, 10).all()
    assert (
        found["value_decile"].value_counts().max() - found["value_decile"].value_counts().min() <= 1
    )
    assert found["value_percentile"].max() == 100


def test_sizes_values_and_movements_add_up():
    known, scores = day()
    today = segments.assign(known, scores, RULES, 0.2).join(scores)
    earlier = today[["customer_id", "segment"]].iloc[:400].copy()
    earlier.loc[:19, "segment"] = "lost"
    lines = segments.summary(today, earlier, RULES).set_index("segment")
    assert list(lines.index) == [rule.name for rule in RULES.named]
    assert lines["customers"].sum() == 500
    assert lines["customer_share"].sum() == pytest.approx(1)
    assert lines["value_total"].sum() == pytest.approx(scores["predicted_value"].sum())
    assert lines["value_share"].sum() == pytest.approx(1)
    assert lines["customers_before"].sum() == 400
    moved = lines["customers_before"] + lines["entered"] - lines["left_for_others"]
    assert (moved == lines["customers"]).all()


def test_newcomers_come_from_none_and_those_who_stayed_are_left_out():
    today = pd.DataFrame({"customer_id": ["a", "b", "c"], "segment": ["vip", "lost", "vip"]})
    before = pd.DataFrame({"customer_id": ["a", "b"], "segment": ["vip", "regular"]})
    found = segments.changes(today, before)
    assert found.to_dict("records") == [
        {"customer_id": "b", "segment_from": "regular", "segment_to": "lost"},
        {"customer_id": "c", "segment_from": "none", "segment_to": "vip"},
    ]


def test_next_order_is_after_today():
    assert segments.next_order_date(date(2017, 10, 1), [0.2, 3.4, 28]) == [
        date(2017, 10, 2),
        date(2017, 10, 4),
        date(2017, 10, 29),
    ]
