"""Training rows mean what they say; odd customers get sensible scores; poor data is refused."""

import numpy as np
import pandas as pd
import pytest

from include.errors import BadInput
from include.features import panels
from include.models import registry
from include.models.value.model import Settings, ValueModel, matrix
from tests.unit.shoppers import cuts, day

SETTINGS = Settings(seed=7)


@pytest.fixture(scope="module")
def model() -> ValueModel:
    rows = cuts()
    return ValueModel(SETTINGS).fit(rows, rows)


def check_sensible(scores: pd.DataFrame) -> None:
    assert np.isfinite(scores.to_numpy(float)).all()
    for name in ("p_high_value", "p_alive", "churn_probability"):
        assert scores[name].between(0, 1).all()
    assert (scores["predicted_value_low"] <= scores["predicted_value"]).all()
    assert (scores["predicted_value"] <= scores["predicted_value_high"]).all()
    assert (scores[["predicted_value_low", "predicted_orders"]] >= 0).all(axis=None)
    assert scores["next_order_days"].between(1, 28).all()


def test_label_is_what_came_after_however_rich_the_past():
    known = pd.DataFrame(
        {
            "customer_id": ["rich", "new", "never"],
            "orders_total": [500, 1, 0],
            "sales_total": [90_000.0, 5.0, 0.0],
            "recency_days": [200, 1, 0],
            "first_order_day": pd.Timestamp("2015-01-01"),
        }
    )
    after = pd.DataFrame(
        {
            "customer_id": ["rich", "new"],
            "spend": [1.5, 100.0],
            "spend_4w": [0.0, 50.0],
            "orders": [1, 3],
            "order_days": [1, 3],
            "days_to_next_order": [60, 2],
        }
    )
    rows = panels.panel([("2017-03-05", known, after)]).set_index("customer_id")
    assert sorted(rows.index) == ["new", "rich"]
    assert rows.loc["rich", "spend"] == 1.5
    labels = dict(zip(rows.index, panels.high_value(rows.reset_index(), 0.5), strict=True))
    assert labels == {"rich": 0, "new": 1}


def test_customers_without_an_outcome_bought_nothing():
    known, after = day(50)
    rows = panels.panel([("2017-03-05", known, after.iloc[:0])])
    assert (rows["spend"] == 0).all()
    assert rows["days_to_next_order"].isna().all()


def test_each_cut_has_its_own_top_fifth():
    rows = cuts(200)
    rows.loc[rows["cut"] == rows["cut"].max(), "spend"] *= 1000
    labels = panels.high_value(rows, 0.2)
    assert pd.Series(labels).groupby(rows["cut"]).sum().tolist() == [40, 40]


def test_no_cut_is_an_error_that_says_what_to_do():
    with pytest.raises(BadInput, match="shorter than the horizon"):
        panels.panel([])


def test_predictions_follow_what_customers_spend(model: ValueModel):
    known, _ = day(300, seed=9)
    scores = model.predict(known)
    check_sensible(scores)
    rank = scores["predicted_value"].corr(known["sales_13w"], method="spearman")
    assert rank > 0.8
    assert scores["p_high_value"].corr(known["sales_13w"], method="spearman") > 0.8


def test_intervals_hold_for_customers_never_seen(model: ValueModel):
    rows = panels.panel([("2017-05-05", *day(2000, seed=11))])
    _, low, high = model.predict_spend(rows)
    inside = ((rows["spend"] >= low) & (rows["spend"] <= high)).mean()
    assert 0.75 <= inside <= 0.87


def test_odd_customers_get_sensible_scores(model: ValueModel):
    known, _ = day(6, seed=3)
    numeric = [str(name) for name in known.select_dtypes("number").columns]
    known[numeric] = known[numeric].astype(float)
    known.loc[0, [n for n in numeric if n != "orders_total"]] = np.nan
    known.loc[1, ["sales_13w", "basket_max_13w", "gap_mean_days"]] = np.inf
    known.loc[2, "income_band"] = "a band nobody has seen"
    known.loc[3, ["orders_total", "order_days_total"]] = 10_000
    known.loc[3, "sales_total"] = 5e6
    known.loc[3, [name for name in numeric if name.startswith("sales_")]] = 40_000.0
    known.loc[3, "recency_days"] = 0
    known.loc[4, numeric] = 0
    known.loc[4, ["recency_days", "tenure_days"]] = np.nan
    scores = model.predict(known)
    check_sensible(scores)
    assert scores["predicted_value"].idxmax() == 3
    reasons = model.reasons(known, "USD")
    assert reasons["reason_1"].notna().all()
    assert "no order yet" in str(reasons.loc[4, "reason_1"])
    assert reasons.loc[4, ["reason_2", "reason_3"]].isna().all()


def test_a_new_customer_gets_what_those_who_ordered_once_turned_out_to_be_worth():
    rows = cuts()
    once = rows.index[:60]
    rows["orders_total"] = rows["orders_total"].clip(lower=2)
    rows.loc[once, "orders_total"] = 1
    fitted = ValueModel(SETTINGS).fit(rows, rows)
    known, _ = day(3)
    known["orders_total"] = 0
    scores = fitted.predict(known)
    assert scores["predicted_value"].tolist() == pytest.approx([rows.loc[once, "spend"].mean()] * 3)


def test_missing_columns_are_met_like_missing_values(model: ValueModel):
    known, _ = day(20)
    check_sensible(model.predict(known.drop(columns=["age_band", "campaigns_13w", "stores_13w"])))


def test_a_stored_model_says_the_same_and_training_again_gives_the_same_bytes(model: ValueModel):
    known, _ = day(50, seed=4)
    stored = registry.dumps(model.state())
    again = ValueModel.from_state(registry.loads(stored))
    pd.testing.assert_frame_equal(again.predict(known), model.predict(known))
    pd.testing.assert_frame_equal(again.reasons(known, "USD"), model.reasons(known, "USD"))
    rows = cuts()
    assert registry.dumps(ValueModel(SETTINGS).fit(rows, rows).state()) == stored
    assert again.settings == model.settings


def test_nothing_personal_is_in_a_stored_model(model: ValueModel):
    known, _ = day(1, seed=1)
    assert known["customer_id"].iloc[0].encode() not in registry.dumps(model.state())


def test_explained_names_every_feature_with_interval_and_odds(model: ValueModel):
    explained = model.explained(cuts())
    table = explained["coefficients"]
    assert set(table) == {"intercept", *SETTINGS.names}
    assert all(line["low"] <= line["coefficient"] <= line["high"] for line in table.values())
    assert sum(explained["importance"].values()) == pytest.approx(1, abs=1e-3)


def too_few() -> pd.DataFrame:
    return cuts(40)


def one_class() -> pd.DataFrame:
    return cuts(400).assign(spend=10.0)


def no_spend() -> pd.DataFrame:
    return cuts(400).assign(spend=0.0)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(too_few, "at least 100 customers"), (one_class, "as many others"), (no_spend, "found none")],
)
def test_poor_rows_are_refused_in_words(rows, words: str):
    with pytest.raises(BadInput, match=words) as refused:
        ValueModel(SETTINGS).fit(rows(), cuts())
    assert "champion stays" in str(refused.value)


def test_everybody_coming_back_leaves_nothing_to_learn_of_churn():
    with pytest.raises(BadInput, match="one kind only"):
        ValueModel(SETTINGS).fit_recent(cuts().assign(days_to_next_order=3.0))


def test_constant_and_empty_columns_change_nothing_for_the_others():
    rows = cuts().assign(basket_max_13w=1.0, campaigns_13w=np.nan, stores_13w=np.inf)
    fitted = ValueModel(SETTINGS).fit(rows, rows)
    check_sensible(fitted.predict(day(50, seed=5)[0]))


def test_matrix_is_finite_or_not_known_and_leaves_out_what_it_is_told():
    known, _ = day(10)
    known["sales_1w"] = [np.inf, -np.inf, np.nan, -5.0, *[1.0] * 6]
    seen = matrix(known, Settings(leave_out=("sales_2w",)))
    assert "sales_2w" not in seen.columns
    assert seen["sales_1w"].isna().tolist() == [True] * 3 + [False] * 7
    assert seen["sales_1w"].iloc[3] == 0
