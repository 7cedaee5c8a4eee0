"""The environment: made once, made again on a change, and a sentence where it cannot be made."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from include.launcher import bootstrap
from include.warehouse import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that needs no package."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    for name in bootstrap.LOCKS:
        (tmp_path / name).write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is installed, in place of pip's work."""
    done: list[str] = []

    def install(name: str) -> None:
        done.append(name)
        bootstrap.marker(name).write_text(bootstrap.digest(name))

    monkeypatch.setattr(bootstrap, "install", install)
    return done


def test_requirements_are_installed_once_and_again_on_a_change(project: Path, installs: list[str]):
    bootstrap.prepare(development=False)
    bootstrap.prepare(development=False)
    assert installs == ["requirements.txt"]
    bootstrap.prepare(development=True)
    assert installs == ["requirements.txt", "requirements-dev.txt"]
    (project / "requirements.txt").write_text("# changed\n")
    bootstrap.prepare(development=False)
    assert installs == ["requirements.txt", "requirements-dev.txt", "requirements.txt"]


def test_a_broken_environment_is_made_again(project: Path, installs: list[str]):
    bootstrap.prepare(development=False)
    shutil.rmtree(project / ".venv" / "bin")
    bootstrap.prepare(development=False)
    assert installs == ["requirements.txt"] * 2
    assert bootstrap.works()


def test_a_failed_install_is_one_sentence_and_no_mark(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    # No index is asked: the package has a hash that nothing can have.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = f"regulars-does-not-exist==1.0 \\\n    --hash=sha256:{'0' * 64}\n"
    (project / "requirements.txt").write_text(lock)
    with pytest.raises(bootstrap.Failed) as caught:
        bootstrap.prepare(development=False)
    assert "Expected to install requirements.txt, found: No matching distribution" in str(
        caught.value
    )
    assert str(project / ".venv" / "requirements.txt.log") in str(caught.value)
    assert not bootstrap.installed("requirements.txt")
    assert "Installing requirements.txt" in capsys.readouterr().err


def wheel(folder: Path) -> Path:
    """The smallest package that pip installs."""
    path = folder / "smallest-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("smallest.py", "VALUE = 1\n")
        archive.writestr(
            "smallest-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: smallest\nVersion: 1.0\n",
        )
        archive.writestr(
            "smallest-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("smallest-1.0.dist-info/RECORD", "")
    return path


def test_a_package_is_installed_only_as_its_hash_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    true = hashlib.sha256(wheel(project).read_bytes()).hexdigest()
    for digest, accepted in ((true[::-1], False), (true, True)):
        lock = f"smallest==1.0 \\\n    --hash=sha256:{digest}\n"
        (project / "requirements.txt").write_text(lock)
        if accepted:
            bootstrap.prepare(development=False)
        else:
            with pytest.raises(bootstrap.Failed, match="DO NOT MATCH THE HASHES"):
                bootstrap.prepare(development=False)
        assert bootstrap.installed("requirements.txt") is accepted
    command = [str(bootstrap.PYTHON), "-c", "import smallest; print(smallest.VALUE)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


def launcher(folder: Path) -> Path:
    """The script alone, in a project whose bootstrap only says that it was reached."""
    (folder / "bin").mkdir(parents=True)
    (folder / "include" / "launcher").mkdir(parents=True)
    shutil.copy(ROOT / "bin" / "regulars", folder / "bin" / "regulars")
    (folder / "include" / "launcher" / "bootstrap.py").write_text(
        "import sys; print(sys.executable, sys.argv[1:])"
    )
    return folder / "bin" / "regulars"


def test_the_script_finds_python_through_links_and_from_any_folder(tmp_path: Path):
    script = launcher(tmp_path / "a project")
    link = tmp_path / "regulars"
    link.symlink_to(script)
    for command in (str(script), str(link), os.path.relpath(script, tmp_path)):
        done = subprocess.run(
            [command, "demo", "--exit", "a b"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.endswith("['demo', '--exit', 'a b']\n")


def test_an_older_python_is_passed_over_and_its_absence_is_one_sentence(tmp_path: Path):
    script = launcher(tmp_path / "project")
    tools = tmp_path / "tools"
    tools.mkdir()
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("dirname", "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    env = {"PATH": str(tools)}
    done = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Expected Python 3.11 or newer on the PATH, found none:")
    assert done.stderr.count("\n") == 1
    (tools / "python3.12").symlink_to(sys.executable)
    done = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tools / "python3.12"))
