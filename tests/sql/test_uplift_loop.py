"""From decisions that chance had a part in to decisions that rest on what was learnt from them.

GENERATED: people, what they spend and what the campaign changes are planted, so the truth is known. Deciding,
delivering, redeeming, measuring, training and deciding again run by the DAGs' own steps on one warehouse.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from include import policy, warehouse
from include.models import registry
from include.models.campaigns.uplift import UpliftModel
from include.offers import control
from include.steps import gate, measure
from include.steps.delivery import clock, deliver
from include.steps.training import champions, tasks, uplift
from tests.sql import planted
from tests.sql.planted import fill, person

pytestmark = pytest.mark.usefixtures("warehouse")

CAMPAIGN = "vip_exclusive"
FIRST = date(2017, 6, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
PEOPLE_A_DAY = 300
#: By then the windows of all days have passed, on an anchor day at or before it.
LEARNT = date(2017, 7, 10)
NEW = range(5001, 5041)

#: Money of margin that the campaign adds for those who were away for long, and costs with the others.
GAIN, LOSS = 15.0, -5.0


def is_away(number: int) -> bool:
    return number % 2 == 0


@pytest.fixture(scope="module", autouse=True)
def rules(tmp_path_factory, module_env) -> policy.Policy:
    """The shipped policy with a control group of half the people and a tenth exploring."""
    text = policy.DEFAULT_PATH.read_text(encoding="utf-8")
    text = text.replace("  share: 0.05 ", "  share: 0.50 ")
    text = text.replace("exploration_share: 0.02", "exploration_share: 0.10")
    file = tmp_path_factory.mktemp("policy") / "policy.yml"
    file.write_text(text)
    module_env.setenv("REGULARS_POLICY", str(file))
    found = policy.load()
    assert (found.control.share, found.control.exploration_share) == (0.5, 0.1)
    return found


@pytest.fixture(scope="module")
def history(warehouse) -> dict[str, Any]:
    """Four days decided, delivered and redeemed, four weeks of purchases after each, all of it measured."""
    from include.warehouse import connect, execute

    tables = "ml.models, ml.backtests, ml.campaign_outcomes, marketing.campaign_results"
    with connect() as conn:
        planted.clear(conn)
        execute(conn, f"TRUNCATE core.redemptions, {tables}")
        fill(conn, "core.products", [{"product_id": "p1", "unit_margin": 0.5, "is_unit": True}])
        event = {"event_id": "tasting", "name": "A tasting", "starts_on": "2017-06-12"}
        fill(conn, "core.member_events", [event | {"ends_on": "2017-06-13"}])
    for place, day in enumerate(DAYS):
        numbers = range(place * PEOPLE_A_DAY + 1, (place + 1) * PEOPLE_A_DAY + 1)
        with connect() as conn:
            planted.people(conn, numbers, day=day.isoformat())
            known(conn, numbers, day)
        planted.decide(day.isoformat(), run_id=f"activate-{day}")
        morning = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        deliver.send(now=morning + timedelta(hours=15))
    with connect() as conn:
        redeem(conn)
        buy(conn)
    batch = measure.build({"as_of": LEARNT.isoformat(), "since": None, "run_id": "measure"})
    return gate.gate(batch, rebuild=measure.build)


def known(conn: Any, numbers: range, day: date) -> None:
    """What the features say of people on a day: when they came last, what they spend."""
    fill(
        conn,
        "features.customer_features",
        [
            {
                "as_of": day.isoformat(),
                "customer_id": person(n),
                "recency_days": 60 + n % 30 if is_away(n) else n % 10,
                "tenure_days": 200 + n % 50,
                "orders_13w": 3 + n % 5,
                "sales_13w": 100 + n % 40,
                "sales_4w": 30 + n % 9,
                "basket_mean_26w": 30 + n % 11,
            }
            for n in numbers
        ],
    )


def redeem(conn: Any) -> None:
    """Every fifth coupon that was sent is taken to the till a week later."""
    sent = warehouse.rows(
        conn,
        "SELECT coupon_code, external_id, valid_from FROM marketing.coupon_triggers "
        "WHERE status = 'sent' AND coupon_code IS NOT NULL AND external_id::integer % 5 = 0",
    )
    for code, customer, valid_from in sent:
        day = valid_from + timedelta(days=6)
        noon = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
        clock.write(conn, policy.load(), noon)
        accepted, discount = warehouse.rows(
            conn,
            "SELECT accepted, discount FROM marketing.redeem(%(code)s, %(customer)s, %(order)s, 60, "
            "%(day)s, %(at)s)",
            {"code": code, "customer": customer, "order": f"o{customer}", "day": day,
             "at": f"{day}T16:00Z"},
        )[0]  # fmt: skip
        assert (accepted, float(discount)) == (True, 6.0)


def buy(conn: Any) -> None:
    """Purchases after each decision: what people buy anyway, and what being sent the campaign changes."""
    decided = warehouse.rows(
        conn,
        "SELECT customer_id::text, external_id::integer, as_of, "
        "bool_or(decision = 'send' AND campaign = %(campaign)s) FROM marketing.decisions "
        "GROUP BY 1, 2, 3",
        {"campaign": CAMPAIGN},
    )
    lines = []
    for customer, number, day, is_sent in decided:
        anyway = 20 + 10 * control.position(str(number), "noise")
        margin = anyway + is_sent * (GAIN if is_away(number) else LOSS)
        bought = day + timedelta(days=5)
        lines.append(
            {
                "order_id": f"o{number}",
                "line_number": 1,
                "customer_id": customer,
                "product_id": "p1",
                "business_day": bought.isoformat(),
                "ordered_at": f"{bought}T16:00Z",
                "quantity": 1,
                "sales": round(margin / 0.5, 2),
            }
        )
    fill(conn, "core.order_lines", lines)


def train(day: str, run_id: str) -> dict[str, Any]:
    """The training of the models' DAG, by its own steps, and its gate."""
    batch = tasks.plan({"as_of": day, "since": None, "run_id": run_id})
    found = uplift.train(batch)
    gate.gate(batch, rebuild=tasks.build)
    return found


@pytest.fixture(scope="module")
def trained(history) -> dict[str, Any]:
    return train(LEARNT.isoformat(), "models")


@pytest.fixture(scope="module")
def decided(trained) -> pd.DataFrame:
    """New people on a later day, decided with what was learnt; some of them lack features."""
    day = LEARNT.isoformat()
    with warehouse.connect() as conn:
        planted.people(conn, NEW, day=day)
        known(conn, NEW[:-2], LEARNT)
        event = {"event_id": "summer", "name": "Summer night", "starts_on": "2017-07-20"}
        fill(conn, "core.member_events", [event | {"ends_on": "2017-07-20"}])
    planted.decide(day, run_id="activate-after")
    with warehouse.connect() as conn:
        return warehouse.frame(
            conn,
            "SELECT * FROM marketing.decisions WHERE as_of = %(day)s ORDER BY customer_id, campaign",
            {"day": day},
        ).assign(number=lambda found: found["external_id"].astype(int))


def test_before_anything_was_learnt_every_row_says_observational(history):
    with warehouse.connect() as conn:
        found = warehouse.rows(
            conn,
            "SELECT DISTINCT basis, uplift_version FROM marketing.decisions WHERE as_of < %(day)s",
            {"day": LEARNT},
        )
        explored = warehouse.rows(
            conn,
            "SELECT DISTINCT campaign, choice_propensity FROM marketing.decisions "
            "WHERE as_of < %(day)s AND decision_reason = 'exploration' AND decision = 'send'",
            {"day": LEARNT},
        )
    assert found == [("observational", None)]
    assert {name for name, _ in explored} == {CAMPAIGN, "member_event"}, "chance picks of both"
    assert {round(chance, 3) for _, chance in explored} == {0.05, 0.95}


def test_what_was_measured_is_what_was_planted(history):
    with warehouse.connect() as conn:
        result = warehouse.frame(
            conn,
            "SELECT * FROM marketing.campaign_results WHERE campaign = %(campaign)s",
            {"campaign": CAMPAIGN},
        ).iloc[0]
        planned = warehouse.value(
            conn,
            "SELECT count(*) FROM ml.campaign_outcomes WHERE campaign = %(c)s AND is_treated",
            {"c": CAMPAIGN},
        )
    assert result["people_treated"] == planned == result["sends"]
    assert result["people_treated"] > 400
    assert result["people_control"] > 400
    assert result["sample_ratio_p"] > 0.001
    # Coupons at what they took off the till's sum, messages at their price; not what was expected of them.
    assert result["redemptions"] > 0
    assert float(result["discounts_given"]) == 6.0 * result["redemptions"]
    assert float(result["cost"]) == pytest.approx(
        float(result["discounts_given"]) + 0.001 * result["sends"]
    )
    truth = (GAIN + LOSS) / 2
    assert result["margin_lift_low"] < truth < result["margin_lift_high"]


def test_the_model_is_stored_and_tells_people_apart(trained):
    assert trained["trained"]
    with warehouse.connect() as conn:
        serving = champions.serving(conn, uplift.KIND, LEARNT.isoformat())
        assert serving is not None
        assert serving.model_version == trained["model_version"]
        assert champions.serving(conn, uplift.KIND, "2017-07-08") is None, "not before its anchor"
        stored = champions.artefact(conn, serving.model_version)
        backtests = warehouse.rows(
            conn,
            "SELECT setting, ours > 0 FROM ml.backtests WHERE model_version = %(v)s",
            {"v": serving.model_version},
        )
    assert serving.manifest["ranked"] == [CAMPAIGN]
    assert backtests == [(CAMPAIGN, True)]
    assert set(UpliftModel.from_state(registry.loads(stored)).campaigns_) == {CAMPAIGN}
    again = train(LEARNT.isoformat(), "models-2")
    assert again == {"model_version": trained["model_version"], "trained": False, "metrics": {}}


def test_decisions_rest_on_what_was_learnt_and_say_so(decided, trained):
    ours = decided[decided["campaign"] == CAMPAIGN].set_index("number")
    assert len(ours) == len(NEW)
    learnt, unknown = ours.loc[: NEW[-3]], ours.loc[NEW[-2] :]
    assert set(learnt["basis"]) == {"experiment"}
    assert set(learnt["uplift_version"]) == {trained["model_version"]}
    # Whoever has no features cannot be told anything about, and the row does not claim it.
    assert set(unknown["basis"]) == {"observational"}
    assert unknown["uplift_version"].isna().all()
    # The campaign without large enough arms goes on by assumption.
    others = decided[decided["campaign"] == "member_event"]
    assert len(others) == len(NEW)
    assert set(others["basis"]) == {"observational"}


def test_the_gain_is_the_predicted_one_less_its_cost(decided, rules):
    ours = decided[(decided["campaign"] == CAMPAIGN) & (decided["basis"] == "experiment")]
    with warehouse.connect() as conn:
        _, gains = uplift.gains(conn, LEARNT.isoformat())
    added = gains[CAMPAIGN].reindex(ours["customer_id"]).to_numpy()
    expected = added - ours["cost_expected"].to_numpy()
    assert abs(ours["expected_incremental_value"].to_numpy() - expected).max() < 0.001
    away = ours["number"].map(is_away).to_numpy()
    assert added[away].mean() == pytest.approx(GAIN, abs=4)
    assert added[~away].mean() == pytest.approx(LOSS, abs=4)
    best = ours[ours["decision_reason"] == "best_offer"]
    assert len(best) > 5
    assert best["number"].map(is_away).all(), "nobody is sent what makes them buy less"
    spared = ours[~away & (ours["decision"] == "hold")]
    assert set(spared["decision_reason"]) <= {"no_expected_gain", "better_offer", "exploration"}
    assert len(spared) > 10
