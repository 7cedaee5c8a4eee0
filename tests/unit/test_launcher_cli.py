"""The command line: what each command says of itself."""

import argparse
import os
import re
from pathlib import Path

import pytest

from include import policy
from include.errors import BadInput
from include.launcher import cli
from include.launcher.commands import clock, inside, testing
from include.launcher.servers.connections import embedded
from include.launcher.servers.state import State
from include.policy import DEFAULT_PATH
from include.warehouse import ROOT

(CHOICES,) = (
    action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
)
COMMANDS = {action.dest: str(action.help) for action in CHOICES._choices_actions}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    try:
        code = cli.main(arguments)
    except SystemExit as left:
        code = int(left.code or 0)
    assert code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_says_what_the_command_does_and_starts_nothing(
    command: str,
    asked: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    home = tmp_path / "state"
    monkeypatch.setenv("REGULARS_HOME", str(home))
    found = " ".join(printed(capsys, command, asked).split())
    assert found.startswith(f"usage: bin/regulars {command}")
    assert COMMANDS[command] in found
    assert not home.exists()


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert len(COMMANDS) >= 10
    found = printed(capsys, "--help")
    for command in COMMANDS:
        assert f"\n    {command}" in found


def test_the_version_is_that_of_the_project_and_stands_in_one_place(
    capsys: pytest.CaptureFixture[str],
):
    (stands,) = re.findall(
        r'^version = "(\d+\.\d+\.\d+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert printed(capsys, "--version") == f"regulars {stands}\n"
    for path in (ROOT / "include").rglob("*.py"):
        assert f'"{stands}"' not in path.read_text(), f"{path} repeats the version"


@pytest.mark.parametrize("command", [["demo", "--exit"], ["up", "--foreground"]])
def test_a_fault_in_the_policy_is_one_sentence_before_anything_is_started(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    policy = tmp_path / "policy.yml"
    text = (ROOT / "config" / "policy.yml").read_text()
    policy.write_text(text.replace("lookback_days: 3", "lookback_day: 3"))
    home = tmp_path / "state"
    monkeypatch.setenv("REGULARS_POLICY", str(policy))
    monkeypatch.setenv("REGULARS_HOME", str(home))
    assert cli.main(command) == 1
    told = capsys.readouterr().err
    assert (
        "expected one of the keys lookback_days, lost_share, set_aside, cancelled_within_days, sources; "
        "found 'lookback_day'" in told
    )
    assert told.count("\n") == 1
    assert not home.exists()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory):
    """A state folder whose warehouse has no tables yet."""
    home = tmp_path_factory.mktemp("cli") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGULARS_HOME", str(home))
        for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
            patch.delenv(name)
        with embedded(State(home)):
            yield home
        assert cli.main(["down", "--purge"]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["policy", "preview"],
        ["models", "list"],
        ["recommend", "explain", "1"],
        ["pause-sends"],
        ["clock"],
        ["report", "report.html"],
    ],
    ids=" ".join,
)
def test_a_warehouse_without_tables_is_one_sentence(
    command: list[str], empty: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith("Expected")
    assert "`bin/regulars demo`" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("option", ["--since", "--as-of"])
@pytest.mark.parametrize("text", ["x", "2017-02-30", "01.10.2017"])
def test_what_is_no_day_is_refused_in_one_sentence_before_anything_is_started(
    option: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    home = tmp_path / "state"
    monkeypatch.setenv("REGULARS_HOME", str(home))
    assert cli.main(["replay", option, text]) == 1
    told = capsys.readouterr().err
    assert f"Expected {option} to be a business day as YYYY-MM-DD, found '{text}'" in told
    assert len(told.strip().splitlines()) == 1
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "slow", "spread"),
    [([], False, True), (["--all"], True, True), (["tests/unit", "-x"], False, False)],
)
def test_the_whole_suite_is_spread_over_the_cores_and_a_chosen_part_is_not(
    arguments: list[str], slow: bool, spread: bool, monkeypatch: pytest.MonkeyPatch
):
    ran: list[str] = []

    def attend(command: list[str], *_: object, **__: object) -> int:
        ran.extend(command)
        return 0

    monkeypatch.setattr(testing, "install_chromium", lambda: None)
    monkeypatch.setattr(inside, "attend", attend)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5})
    assert cli.main(["test", *arguments]) == 0
    assert ("not slow" not in ran) == slow
    assert ("-n" in ran and ran[ran.index("-n") + 1] == "4") == spread


def test_arguments_of_models_are_refused_with_their_help(empty: Path, monkeypatch, capsys):
    monkeypatch.setenv("REGULARS_HOME", str(empty))
    told = refused(capsys, "models", "show", "a-version", "--nonsense")
    assert "unrecognized arguments: --nonsense. See `bin/regulars models --help`." in told
    assert "See `bin/regulars models show --help`." in refused(capsys, "models", "show")


def test_libraries_that_are_loaded_by_a_command_use_one_thread(empty: Path, monkeypatch):
    monkeypatch.setenv("REGULARS_HOME", str(empty))
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with inside.warehouse_at_hand():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that is refused says: one sentence, before anything is started."""
    try:
        code = cli.main(arguments)
    except SystemExit as left:
        code = int(left.code or 0)
    told = capsys.readouterr().err
    assert code != 0
    assert told.count("\n") == 1
    return told


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report", "--weekley"], "See `bin/regulars report --help`."),
        (["report", "/nonexistent/folder/day.html"], "found none at /nonexistent/folder"),
        (["report", "/"], "found the folder /"),
        (["psql", "-U", "nobody"], "regulars_etl, regulars_reader"),
        (["psql", "--username=nobody", "-c", "SELECT 1"], "found 'nobody'"),
        (["psql", "-Unobody"], "found 'nobody'"),
        (["clock", "2017-10-03", "10:00"], "See `bin/regulars clock --help`."),
        (["backfill"], "See `bin/regulars backfill --help`."),
        (["backfill", "2017-02-30"], "Expected FIRST to be a business day as YYYY-MM-DD"),
        (["backfill", "2017-10-02", "2017-10-01"], "on or after the first (2017-10-02)"),
        (["backfill", "2017-10-02"], "run `bin/regulars up` first"),
        (["nonsense"], "See `bin/regulars --help`."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_a_sentence(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch, capsys
):
    home = tmp_path / "state"
    monkeypatch.setenv("REGULARS_HOME", str(home))
    assert expected in refused(capsys, *arguments)
    assert not (home / "server.json").exists()
    assert not Path("/nonexistent").exists()


def test_a_folder_with_a_user_s_own_reports_is_not_touched_by_git():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for name in ("report", "weekly", "quality"):
        assert f"/{name}.html" in ignored
        assert f"{name}.html" in " ".join(CHOICES.choices["report"].format_help().split())


def test_the_clock_is_moved_in_its_line_and_nowhere_else():
    text = DEFAULT_PATH.read_text()
    moved = clock.move(text, "2017-10-03T10:00")
    shop = policy.parse(moved).shop
    assert str(shop.fixed_clock()) == "2017-10-03 10:00:00-04:00"
    changed = [
        line
        for line in zip(text.splitlines(), moved.splitlines(), strict=True)
        if len(set(line)) > 1
    ]
    assert changed == [("  clock: 2017-10-02T10:00:00", "  clock: 2017-10-03T10:00:00")]
    commented = text.replace("10:00:00\n", "10:00:00   # the demo's\n")
    assert "  clock: null   # the demo's\n" in clock.move(commented, "wall")
    assert policy.parse(clock.move(moved, "wall")).shop.fixed_clock() is None
    with pytest.raises(BadInput, match="Expected a moment such as"):
        clock.move(text, "tomorrow")


def test_a_policy_is_written_whole_with_its_rights(tmp_path: Path):
    path = tmp_path / "policy.yml"
    path.write_text("shop: 1\n")
    path.chmod(0o640)
    clock.write(path, "shop: 2\n")
    assert path.read_text() == "shop: 2\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]
