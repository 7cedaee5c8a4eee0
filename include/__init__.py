"""Everything Regulars does; `dags/` only wires what stands here."""

import tomllib
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

#: The version of Regulars, from the one place where it stands; the warehouse remembers who upgraded it.
VERSION: str = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
