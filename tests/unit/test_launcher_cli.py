"""The command line: what each command says of itself."""

import argparse
import os
from pathlib import Path

import pytest

from include.launcher import cli, inside
from include.launcher.connections import embedded
from include.launcher.state import State
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
    assert "expected one of the keys lookback_days, sources; found 'lookback_day'" in told
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

    monkeypatch.setattr(cli, "install_chromium", lambda: None)
    monkeypatch.setattr(inside, "attend", attend)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5})
    assert cli.main(["test", *arguments]) == 0
    assert ("not slow" not in ran) == slow
    assert ("-n" in ran and ran[ran.index("-n") + 1] == "4") == spread
