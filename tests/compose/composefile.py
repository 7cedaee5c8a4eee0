"""docker-compose.yaml and Dockerfile as Compose and Docker read them, as far as the tests need it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from include.launcher import preflight

ROOT = Path(__file__).resolve().parents[2]

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^{}]*))?\}")


def compose() -> dict[str, Any]:
    """The file as it stands, anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    return found


def dotenv(text: str) -> dict[str, str]:
    """The variables of a .env file."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def fresh_env() -> dict[str, str]:
    """The variables of a .env that was made from .env.example."""
    return dotenv(preflight.fresh((ROOT / ".env.example").read_text()))


def interpolate(part: Any, variables: Mapping[str, str]) -> Any:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, innermost first.

    Raises
    ------
    KeyError
        With the message of a `:?` whose variable is not set.
    """
    if isinstance(part, dict):
        return {key: interpolate(item, variables) for key, item in part.items()}
    if isinstance(part, list):
        return [interpolate(item, variables) for item in part]
    if not isinstance(part, str):
        return part

    def replace(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if value or match["kind"] is None:
            return value
        if match["kind"] == "?":
            raise KeyError(f"{match['name']} {match['rest']}")
        return match["rest"]

    while (replaced := _VARIABLE.sub(replace, part)) != part:
        part = replaced
    return part


def image_environment() -> dict[str, str]:
    """The variables that the Dockerfile sets."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("ENV "):
            pairs = (word.partition("=") for word in shlex.split(line.removeprefix("ENV ")))
            found |= {name: value for name, _, value in pairs}
    return found
