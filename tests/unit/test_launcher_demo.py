"""How the demo ends: with an address that answers, or with how to get one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.launcher.commands import demo, summary

WHERE = "Airflow: http://127.0.0.1:8080  login: admin  password: secret"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A demo in which everything is there and nothing is started."""
    stands = SimpleNamespace(
        state=SimpleNamespace(home=tmp_path),
        server=SimpleNamespace(data=tmp_path),
        where=lambda: WHERE,
        stay=lambda: None,
    )

    @contextmanager
    def platform(*_: Any) -> Iterator[Any]:
        yield stands

    monkeypatch.setenv("REGULARS_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "platform", platform)
    monkeypatch.setattr(demo, "postmaster", lambda _: None)
    monkeypatch.setattr(demo, "prepare", lambda *_: None)
    monkeypatch.setattr(demo, "run_day", lambda *_, **__: ([], False))
    monkeypatch.setattr(summary, "show", lambda *_: None)
    monkeypatch.setattr(summary, "show_times", lambda *_: None)


@pytest.mark.parametrize("leave", [True, False])
def test_only_a_demo_that_stays_up_ends_with_airflows_address(
    held: None, capsys: pytest.CaptureFixture[str], leave: bool
) -> None:
    assert demo.run(leave=leave, again=False) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (WHERE.split()[1] in told) is not leave
    assert ("`bin/regulars up` starts Airflow again and says its address" in told) is leave
