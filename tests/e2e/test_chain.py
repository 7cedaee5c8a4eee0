"""The chain through the real scheduler, proved by what stands in the tables.

The tests of this module go on from one another: one demo, then more days over the same warehouse, which are
for `--all`.
"""

import re

import psycopg2
import pytest

from include import contracts, publication, warehouse
from include.launcher.servers.api import ENDED
from include.launcher.servers.state import State
from include.reports import beyond_the_day

from .conftest import CHAIN, DAY, Demo, wait

BACKFILL = ["2017-10-02", "2017-10-03", "2017-10-04"]
AGAIN = BACKFILL[-1]
BROKEN = "2017-10-05"


#: Tables of one row a customer, or a decision, for each published day.
DAILY = [
    "marketing.customer_segments",
    "marketing.segment_summary",
    "marketing.product_recommendations",
    "marketing.decisions",
]


def published() -> list[contracts.Contract]:
    return [c for c in contracts.all_contracts() if c.dataset and not c.view]


def hashes(day: str) -> dict[str, str]:
    """Table -> hash of its content for a day; of the whole table where it has no days."""
    found = {}
    with warehouse.connect() as conn:
        for contract in published():
            where, params = "true", None
            if contract.partition:
                where, params = f"{contract.partition} = %(day)s", {"day": day}
            found[contract.name] = publication.content_hash(conn, contract, where, params)
    return found


def test_the_demo_ends_with_what_a_stranger_wants_to_see(demo: Demo):
    for contract in contracts.all_contracts():
        if contract.schema_name == "marketing" and not contract.view:
            assert f"{contract.name}: " in demo.output
    assert "as the role regulars_marketing" in demo.output
    quality = demo.output[demo.output.index("How good the models are") :]
    assert "\N{HORIZONTAL ELLIPSIS}" not in quality  # every figure is there to be read
    assert "roc_auc" in demo.output
    for dag in CHAIN:
        assert re.search(rf"{dag}\s+\d+\.\d", demo.output), f"{dag} lacks its time"
    assert re.search(r"peak memory \d+\.\d+ GiB", demo.output)


def test_every_customer_known_by_the_day_has_one_segment(demo: Demo):
    (known,) = demo.rows(
        "SELECT count(DISTINCT customer_id) FROM core.customers WHERE known_at < '2017-10-02 04:00+00'"
    )
    (segments,) = demo.rows(
        f"SELECT count(*) FROM marketing.customer_segments WHERE as_of = '{DAY}'"
    )
    assert segments == known
    assert segments[0] > 2400


def test_the_high_value_share_is_a_fifth_and_probabilities_are_probabilities(demo: Demo):
    ((low, high, share),) = demo.rows(
        "SELECT min(p_high_value), max(p_high_value), avg((value_tier = 'high')::int) "
        f"FROM marketing.customer_segments WHERE as_of = '{DAY}'"
    )
    assert 0 < low < high < 1
    assert 0.15 < share < 0.25


def test_the_champion_was_judged_on_a_later_period_beside_the_baseline(demo: Demo):
    judged = demo.rows(
        "SELECT b.metric, b.cut::text, b.ours, b.baseline FROM ml.backtests AS b "
        "JOIN ml.models AS m USING (model_version) WHERE m.kind = 'value' AND m.is_champion "
        f"AND m.anchor = '{DAY}' AND b.metric IN ('roc_auc', 'lift_top_decile') "
        "AND b.setting = m.algorithm ORDER BY b.metric"
    )
    assert [metric for metric, *_ in judged] == ["lift_top_decile", "roc_auc"]
    for _, cut, ours, baseline in judged:
        assert cut == "2017-07-02"  # its 13 weeks had ended by the day
        assert ours >= baseline


def test_what_came_true_after_the_day_favours_the_model(demo: Demo):
    compared = beyond_the_day.compare(DAY)
    assert compared
    figures = {figure.metric: figure for figure in compared[0]}
    for metric in ("roc_auc", "lift_top_decile", "pr_auc", "gini"):
        assert figures[metric].ours >= figures[metric].baseline, figures[metric]
        assert metric in demo.output
    assert figures["ece"].ours <= 0.02
    assert figures["mae"].ours <= 0.97 * figures["mae"].baseline
    assert "What came true in the 91 days after 2017-10-01" in demo.output


def test_three_families_were_compared(demo: Demo):
    found = {
        algorithm
        for (algorithm,) in demo.rows("SELECT algorithm FROM ml.models WHERE kind = 'value'")
    }
    for family in ("logistic_regression", "decision_tree", "random_forest"):
        assert family in found
        row = re.search(rf"^{family}.*? (0\.\d+) / (0\.\d+)\s*$", demo.output, re.MULTILINE)
        assert row, f"the demo does not show {family} beside the baseline"


def test_recommendations_beat_most_popular_twice_over(demo: Demo):
    ((ours, popular),) = demo.rows(
        "SELECT max(ours), max(baseline) FROM ml.backtests "
        "WHERE metric = 'ndcg_at_10' AND setting LIKE 'product/all%' AND baseline_name = 'popularity'"
    )
    assert ours >= 2 * popular


def test_nobody_without_consent_gets_anything_and_everybody_hears_why(demo: Demo):
    assert demo.rows(
        """
        SELECT count(*) FROM marketing.coupon_triggers AS t
        WHERE NOT EXISTS (
            SELECT 1 FROM core.consents AS c
            WHERE c.customer_id = t.customer_id AND c.channel = t.channel AND c.granted
                AND c.valid_from < '2017-10-02 04:00+00'
                AND (c.valid_to IS NULL OR c.valid_to >= '2017-10-02 04:00+00')
        )
        """
    ) == [(0,)]
    assert demo.rows("SELECT count(*) > 0 FROM marketing.coupon_triggers") == [(True,)]
    reasons = {
        reason
        for (reason,) in demo.rows(
            "SELECT DISTINCT decision_reason FROM marketing.decisions WHERE decision <> 'send'"
        )
    }
    assert len(reasons) >= 2
    assert all(reasons)


def test_a_trigger_stands_once_with_a_code_of_its_own(demo: Demo):
    ((total, keys, codes),) = demo.rows(
        "SELECT count(*), count(DISTINCT (customer_id, campaign, period)), count(DISTINCT coupon_code) "
        "FROM marketing.coupon_triggers WHERE coupon_code IS NOT NULL"
    )
    assert total == keys == codes


def test_rows_add_up_for_every_core_table(demo: Demo):
    assert (
        demo.rows(
            "SELECT table_name FROM ops.row_counts WHERE extracted <> published + quarantined + duplicates"
        )
        == []
    )
    ((lines,),) = demo.rows(
        "SELECT sum(extracted) FROM ops.row_counts WHERE table_name = 'core.order_lines'"
    )
    assert lines > 1_000_000
    ((duplicates,),) = demo.rows(
        "SELECT sum(duplicates) FROM ops.row_counts WHERE table_name = 'core.coupons'"
    )
    assert duplicates > 0


def test_the_pipeline_works_as_its_own_role_and_marketing_reads_marketing_alone(demo: Demo):
    owners = {
        owner
        for (owner,) in demo.rows(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'core'"
        )
    }
    assert owners == {"regulars_etl"}
    assert demo.rows(
        "SELECT count(*) > 0 FROM marketing.current_customer_segments", "warehouse_marketing"
    )
    for table in ("core.customers", "core.identities", "ml.models", "ops.batches", "raw.orders"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            demo.rows(f"SELECT * FROM {table}", "warehouse_marketing")


def test_delivery_wrote_the_outbox_as_on_the_day_after(demo: Demo):
    ((sent, first),) = demo.rows(
        "SELECT count(*), min(sent_at)::date::text FROM marketing.messages WHERE status = 'sent'"
    )
    assert sent > 0
    assert first == "2017-10-02"


def test_a_second_demo_reuses_what_is_there(demo: Demo):
    down = demo.command("down")
    assert down.returncode == 0, down.stderr
    second = demo.command("demo", "--exit")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Reused what was there" in second.stdout
    up = demo.command("up")
    assert up.returncode == 0, up.stdout + up.stderr


def test_two_commands_never_hold_one_state_folder(demo: Demo):
    other = demo.command("demo", "--exit")
    assert other.returncode == 1
    assert re.search(r"pid \d+", other.stderr)


@pytest.mark.slow
def test_a_backfill_of_three_days_reaches_the_last_table_once_each(demo: Demo):
    demo.api.unpause(CHAIN)
    demo.api.backfill("regulars_ingest", BACKFILL[0], BACKFILL[-1])
    demo.await_chain(BACKFILL)
    for day in BACKFILL:
        for dag, runs in demo.runs(day).items():
            assert len(runs) == 1, f"{dag} ran {len(runs)} times for {day}"
    for table in DAILY:
        days = {day for (day,) in demo.rows(f"SELECT DISTINCT as_of::text FROM {table}")}
        assert days >= {DAY, *BACKFILL}, table
    assert (
        demo.rows(
            "SELECT dataset, as_of, count(*) FROM ops.batches WHERE published_at IS NOT NULL "
            f"AND as_of > '{DAY}' GROUP BY 1, 2 HAVING count(*) > 1"
        )
        == []
    )


@pytest.mark.slow
def test_the_same_day_again_gives_the_same_tables(demo: Demo):
    before, seen = hashes(AGAIN), frozenset(run.id for run in demo.api.runs(partition_key=AGAIN))
    demo.api.trigger("regulars_ingest", AGAIN)
    demo.await_chain([AGAIN], after=seen)
    assert hashes(AGAIN) == before


@pytest.mark.slow
def test_clearing_a_gate_runs_everything_behind_it_again(demo: Demo):
    run = demo.runs(AGAIN)["regulars_features"][0]
    before, seen = hashes(AGAIN), frozenset(r.id for r in demo.api.runs(partition_key=AGAIN))
    demo.api.clear(run, "gate_features")
    demo.await_chain([AGAIN], CHAIN[2:], after=seen)
    assert "regulars_ingest" not in demo.runs(AGAIN, seen)
    assert hashes(AGAIN) == before


@pytest.mark.slow
def test_a_missing_source_column_stops_the_day_with_one_notice(demo: Demo):
    def alter(statement: str) -> None:
        owner = psycopg2.connect(State(demo.home).read("connections.json")["shop_owner"])
        with owner, owner.cursor() as cursor:
            cursor.execute(statement)
        owner.close()

    before = len(demo.mailbox.received)
    alter("ALTER TABLE products RENAME COLUMN brand TO label")
    try:
        run = demo.api.trigger("regulars_ingest", BROKEN)
        wait(lambda: demo.api.run(run.dag, run.id).state == "failed", 300, "the failure")
        wait(lambda: len(demo.mailbox.received) > before, 60, "the notice")
    finally:
        alter("ALTER TABLE products RENAME COLUMN label TO brand")
    (notice,) = demo.mailbox.received[before:]
    payload = notice.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode()
    assert "extract_raw" in text
    assert "brand" in text
    for table in DAILY:
        assert demo.rows(f"SELECT count(*) FROM {table} WHERE as_of = '{BROKEN}'") == [(0,)]
    failed = next(task for task in demo.api.tasks(run) if task.state == "failed")
    assert failed.name == "extract_raw"
    assert failed.tries == 1  # bad input is not tried again
    demo.api.clear(run, "extract_raw")
    demo.await_chain([BROKEN])
    assert len(demo.mailbox.received) == before + 1
    assert demo.rows(f"SELECT count(*) > 0 FROM marketing.decisions WHERE as_of = '{BROKEN}'") == [
        (True,)
    ]


def test_a_day_beyond_the_data_fails_by_hand_and_skips_by_the_clock(demo: Demo):
    demo.api.unpause(CHAIN)
    run = demo.api.trigger("regulars_ingest", "2018-06-01")
    wait(lambda: demo.api.run(run.dag, run.id).state == "failed", 300, "the failure")
    (plan,) = [task for task in demo.api.tasks(run) if task.name == "plan_day"]
    assert "the shop's data ends on 2017-12-31" in "\n".join(demo.api.log(run, plan))
    scheduled = [r for r in demo.api.runs("regulars_ingest") if r.id.startswith("scheduled__")]
    assert scheduled
    states = {task.state for task in demo.api.tasks(scheduled[0])}
    assert states == {"skipped"}


@pytest.mark.parametrize("dag", ["features", "models", "measure"])
def test_a_day_that_core_does_not_hold_is_worked_out_by_nobody(demo: Demo, dag: str):
    run = demo.api.trigger(f"regulars_{dag}", conf={"as_of": "2018-06-01"})
    demo.api.unpause([run.dag])
    wait(lambda: demo.api.run(run.dag, run.id).state in ENDED, 300, "the end of the run")
    assert demo.api.run(run.dag, run.id).state == "failed"
    first = next(task for task in demo.api.tasks(run) if task.state == "failed")
    told = "\n".join(demo.api.log(run, first))
    assert "Expected core to hold the business day 2018-06-01, found days from 2017-01-01" in told
    assert demo.rows("SELECT count(*) FROM ops.publications WHERE partition = '2018-06-01'") == [
        (0,)
    ]


def test_no_personal_data_stands_in_the_logs(demo: Demo):
    emails = {
        address
        for (address,) in demo.rows(
            "SELECT address FROM core.contact_points WHERE channel = 'email' LIMIT 2000"
        )
    }
    logs = list((demo.home / "logs").rglob("*.log"))
    assert logs
    for path in logs:
        text = path.read_text(errors="replace")
        assert not re.findall(
            r"[\w.]+@example\.(?:com|net)", text.replace("on-call@example.com", "")
        ), path
    assert emails
