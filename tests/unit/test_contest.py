"""Who serves: every baseline is a floor, the same recipe is renewed, another one has to be better."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from include.features import customers as features
from include.features.panels import panel
from include.models.value import algorithms, baselines, contest, search
from include.models.value.baselines import USUAL
from include.models.value.contest import Verdict
from include.models.value.model import Settings, ValueModel
from tests.unit.shoppers import cuts, day


def figures(ours: float, baseline: float, **others: float) -> contest.Judged:
    naive = {USUAL: baseline} | others
    return contest.Judged({"roc_auc": ours}, {name: {"roc_auc": n} for name, n in naive.items()})


GOOD = figures(0.95, 0.94)


def customers(noise: float, seed: int = 2, count: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Labels, the same each time, and a score that is better the less noise it has."""
    worth = np.random.default_rng(1).normal(size=count)
    truth = (worth > np.quantile(worth, 0.8)).astype(float)
    noisy = worth + np.random.default_rng(seed).normal(0, noise, count)
    return truth, 1 / (1 + np.exp(-noisy))


def challenge(ours: float, champion: float, age_days: int = 7, seed: int = 3) -> Verdict:
    truth, mine = customers(ours)
    _, theirs = customers(champion, seed)
    return contest.challenge(GOOD, truth, mine, theirs, age_days=age_days, seed=1)


def test_first_model_serves_unless_the_naive_rule_is_better():
    assert contest.first(GOOD).promoted
    assert contest.first(figures(0.936, 0.94)).promoted
    beaten = contest.first(figures(0.93, 0.94))
    assert not beaten.promoted
    assert f"the baseline '{USUAL}' is better by 0.0100" in beaten.because


def test_same_recipe_is_renewed_unless_its_lead_has_shrunk():
    assert contest.renewal(figures(0.93, 0.925), before=figures(0.95, 0.938)).promoted
    worse = contest.renewal(figures(0.941, 0.94), before=figures(0.96, 0.94))
    assert not worse.promoted
    assert "worse by more than" in worse.because
    assert not contest.renewal(figures(0.90, 0.94), before=figures(0.90, 0.94)).promoted


def test_leads_are_compared_over_the_strongest_baseline_that_both_were_judged_beside():
    before = figures(0.95, 0.94)
    level = contest.renewal(figures(0.95, 0.94, longer=0.949), before)
    assert level.promoted
    assert f"leads '{USUAL}' by +0.0100 ROC AUC, +0.0100 before" in level.because
    shrunk = contest.renewal(figures(0.95, 0.94, longer=0.949), figures(0.95, 0.94, longer=0.93))
    assert not shrunk.promoted
    assert "leads 'longer' by +0.0010" in shrunk.because
    apart = contest.Judged({"roc_auc": 0.95}, {"gone": {"roc_auc": 0.9}})
    assert contest.renewal(figures(0.95, 0.94), apart).promoted


def test_a_baseline_stronger_than_every_model_keeps_all_of_them_from_serving(
    monkeypatch: pytest.MonkeyPatch,
):
    """What is listed last and knows the future is stronger than any model: none may serve."""
    listed = dict(baselines.BASELINES) | {"a prophet": baselines.Baseline("spend")}
    monkeypatch.setattr(baselines, "BASELINES", listed)
    later = judge_day()
    judged = contest.judge(contest.rivals(Settings(seed=3), cuts()), later)
    for name, found in judged.items():
        assert found.strongest == "a prophet"
        verdict = contest.first(found)
        assert not verdict.promoted, name
        assert verdict.because.startswith("the baseline 'a prophet' is better by")
        usual = found.beside([USUAL])
        assert name in ("decision_tree", "random_forest") or contest.first(usual).promoted
    for refused in (
        contest.renewal(found, found),
        contest.challenge(found, *[np.zeros(2)] * 3, age_days=500, seed=1),
    ):
        assert not refused.promoted


def test_among_few_customers_one_of_several_baselines_may_be_ahead_by_chance():
    ahead = replace(figures(0.85, 0.84, longer=0.88), chance={"longer": 0.05})
    assert contest.first(ahead).promoted
    told = contest.first(replace(ahead, chance={"longer": 0.02}))
    assert told.because.startswith("the baseline 'longer' is better by 0.0300 ROC AUC")
    # The usual one was chosen beforehand: it is given no more than the tolerance.
    assert not contest.first(figures(0.85, 0.88, longer=0.84)).promoted
    judged = contest.judge(contest.rivals(Settings(seed=3), cuts()), judge_day())
    for found in judged.values():
        assert set(found.chance) == set(baselines.BASELINES) - {USUAL}
        assert all(0 < width < 0.2 for width in found.chance.values())


def test_the_tables_call_the_baselines_by_these_names():
    assert {
        "spend in the last 13 weeks",
        "spend in the last 26 weeks / 2",
        "spend in the last 52 weeks / 4",
    } <= set(baselines.BASELINES)


def test_a_baseline_never_serves_in_disguise():
    assert not set(baselines.BASELINES) & set(algorithms.ALGORITHMS)
    later = judge_day()

    class Disguised(ValueModel):
        def predict_high_value(self, known):
            amount = baselines.BASELINES["spend in the last 26 weeks / 2"].amounts(known)
            return amount / (1 + amount)

    judged = contest.judge({"odd": Disguised(Settings())}, later)["odd"]
    assert judged.repeats == "spend in the last 26 weeks / 2"
    verdict = contest.first(judged)
    assert not verdict.promoted
    assert "no baseline may serve" in verdict.because


def judge_day() -> pd.DataFrame:
    """Customers of a later day, with what the baselines need beside features."""
    later = panel([("2017-07-05", *day(600, seed=8))])
    random = np.random.default_rng(5)
    longer = {
        baseline.column: later["sales_13w"] * random.gamma(130 / baseline.weeks, 1, len(later))
        for baseline in baselines.BASELINES.values()
        if baseline.weeks
    }
    return later.assign(**longer)


def test_another_recipe_has_to_be_better_by_more_than_chance():
    assert challenge(ours=0.3, champion=1.0).promoted
    assert not challenge(ours=1.0, champion=0.3).promoted
    level = challenge(ours=0.99, champion=1.0)
    assert not level.promoted
    assert "not better by more than chance" in level.because


def test_the_same_words_from_other_code_are_the_same_recipe():
    assert challenge(ours=0.5, champion=0.5, seed=2).promoted


def test_a_champion_that_nobody_can_fit_anew_gives_way_in_time():
    assert challenge(ours=0.99, champion=1.0, age_days=contest.TOO_OLD_DAYS + 1).promoted
    assert not challenge(ours=2.0, champion=0.3, age_days=contest.TOO_OLD_DAYS + 1).promoted


def test_no_recipe_goes_past_the_naive_rule():
    truth, score = customers(0.1)
    verdict = contest.challenge(figures(0.8, 0.9), truth, score, score[::-1], age_days=500, seed=1)
    assert not verdict.promoted


def test_algorithms_compete_and_the_blend_stands_where_none_is_clearly_better():
    rivals = contest.rivals(Settings(seed=3), cuts())
    later = judge_day()
    assert list(rivals) == list(algorithms.ALGORITHMS)
    assert contest.winner(rivals, later) in rivals
    judged = contest.judge(rivals, later)["blend"]
    assert judged.ours["roc_auc"] > 0.8
    assert list(judged.baselines) == list(baselines.BASELINES)
    assert all(np.isnan(naive["ece"]) for naive in judged.baselines.values())
    assert judged.repeats is None
    # A blend that says the opposite of the truth loses to a model that learnt it.
    rivals["blend"].high_.slope_ *= -1
    assert contest.winner(rivals, later) != "blend"


def test_search_keeps_to_its_budget_and_stores_every_trial():
    settings = Settings(seed=3)
    tuning, trials = search.search(settings, cuts())
    assert len(trials) == search.BUDGET == 24
    assert {trial.member for trial in trials} == {
        "logistic_regression",
        "extra_trees",
        "gradient_boosting",
    }
    dropped = [t.setting.split()[-1] for t in trials if t.setting.startswith("without") and t.kept]
    assert tuple(dropped) == tuning.linear_without
    assert all(0 < trial.log_loss < 1 for trial in trials)
    again, _ = search.search(settings, cuts())
    assert again == tuning


def test_search_drops_noise_and_keeps_what_matters():
    rows = cuts(500)
    tuning, _ = search.search(Settings(seed=3), rows)
    kept = set(features.THEMES) - set(tuning.linear_without)
    assert kept & {"recent_spend", "quarter_spend", "long_spend"}
    assert tuning.linear_without


def test_settings_come_back_from_json():
    settings = Settings(seed=3, leave_out=("sales_1w",))
    tuned = Settings(tuning=search.search(settings, cuts())[0])
    for one in (settings, tuned):
        assert Settings.from_dict(one.as_dict()) == one


def test_verdicts_are_json():
    assert contest.first(GOOD).as_dict() == {
        "promoted": True,
        "because": "there was no champion for what is asked",
    }
    with pytest.raises(AttributeError):
        contest.first(GOOD).promoted = False  # type: ignore[misc]
