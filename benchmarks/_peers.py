"""Packages that a bench compares with and the project does not use: each in an environment of its own."""

import subprocess
import sys
import venv
from pathlib import Path

from include import warehouse


def python_with(name: str, version: str) -> Path | None:
    """The Python of an environment that holds a package, made where it is missing; None if it cannot be."""
    home = warehouse.state_folder() / "peers" / f"{name}-{version}"
    python = home / "bin" / "python"
    if (home / "ready").exists():
        return python
    print(f"Installing {name} {version} beside the project, once ...", file=sys.stderr)
    try:
        venv.create(home, with_pip=True, clear=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", f"{name}=={version}"],
            check=True,
            stdout=sys.stderr,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{name} cannot be had ({error}); its figures are left out.", file=sys.stderr)
        return None
    (home / "ready").touch()
    return python
