"""Refuse to start a service on the placeholders of `.env.example`; then become that service.

    python -m include.launcher.preflight airflow scheduler    # check, then run `airflow scheduler`
    python -m include.launcher.preflight --all                # check every secret by name
    python include/launcher/preflight.py --write-env          # .env with fresh secrets

Standard library only: `--write-env` runs on the host, where nothing is installed. Values are never
printed, only names.
"""

import argparse
import base64
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Every placeholder of `.env.example` holds this word, and no secret that we make does.
PLACEHOLDER = "change-me"

#: Exit code of a configuration error, as in sysexits.h.
EX_CONFIG = 78


@dataclass(frozen=True)
class Rule:
    """What a secret must look like, and how to make one."""

    pattern: str
    expected: str
    make: Callable[[], str]


# Passwords travel inside URLs, so they keep to the characters that need no escaping there.
_PASSWORD = Rule(
    r"[A-Za-z0-9._~-]{12,}",
    "12 or more letters, digits or . _ ~ -",
    lambda: secrets.token_hex(16),
)

SECRETS: Mapping[str, Rule] = {
    "POSTGRES_PASSWORD": _PASSWORD,
    "AIRFLOW_DB_PASSWORD": _PASSWORD,
    "SHOP_DB_PASSWORD": _PASSWORD,
    "REGULARS_READER_PASSWORD": _PASSWORD,
    "REGULARS_ETL_PASSWORD": _PASSWORD,
    "REGULARS_MARKETING_PASSWORD": _PASSWORD,
    "REGULARS_CONSOLE_PASSWORD": _PASSWORD,
    "REGULARS_UI_PASSWORD": _PASSWORD,
    "AIRFLOW_API_SECRET_KEY": _PASSWORD,
    # Airflow signs its tokens with HS512, whose key should be as long as its digest.
    "AIRFLOW_JWT_SECRET": Rule(r"\S{64,}", "64 or more characters", lambda: secrets.token_hex(64)),
    "AIRFLOW_FERNET_KEY": Rule(
        r"[A-Za-z0-9_-]{43}=",
        "32 bytes in URL-safe base64, 44 characters",
        lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    ),
    "REGULARS_PSEUDONYM_KEY": Rule(
        r"[0-9a-f]{64}", "64 hexadecimal digits", lambda: secrets.token_hex(32)
    ),
}


def faults(environment: Mapping[str, str], *, every: bool = False) -> list[str]:
    """One sentence for each variable that must not be started with.

    Parameters
    ----------
    environment
        Names and values, as a service sees them.
    every
        Also demand that each secret of `.env.example` is there.
    """
    found = [
        f"{name} still holds the placeholder of .env.example"
        for name, value in sorted(environment.items())
        if PLACEHOLDER in value
    ]
    for name, rule in SECRETS.items():
        value = environment.get(name, "")
        if PLACEHOLDER in value:
            continue
        if not value:
            if every or name in environment:
                found.append(f"{name} is not set; expected {rule.expected}")
        elif not re.fullmatch(rule.pattern, value):
            found.append(f"{name} is not of the form expected: {rule.expected}")
    return found


def fresh(example: str) -> str:
    """The text of `.env.example` with a new secret in place of every placeholder."""

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        return f"{name}={SECRETS[name].make()}"

    return re.sub(rf"^(?P<name>\w+)={PLACEHOLDER}.*$", replace, example, flags=re.MULTILINE)


def write_env(folder: Path) -> Path:
    """Make `.env` beside `.env.example`, readable by its owner alone.

    Raises
    ------
    FileExistsError
        When there is a `.env` already: secrets in use are not overwritten.
    """
    target = folder / ".env"
    text = fresh((folder / ".env.example").read_text(encoding="utf-8"))
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the environment, then become the command; 78 where something is wrong."""
    parser = argparse.ArgumentParser(prog="preflight", description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="demand every secret of .env.example")
    parser.add_argument("--write-env", action="store_true", help="make .env with fresh secrets")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run when all is well")
    options = parser.parse_args(arguments)

    if options.write_env:
        try:
            print(f"Wrote {write_env(ROOT)} with fresh secrets. Keep it out of version control.")
        except FileExistsError:
            print(".env exists already: move it away first, its secrets may be in use.")
            return EX_CONFIG
        return 0

    found = faults(os.environ, every=options.all)
    if found:
        lines = "\n".join(f"  - {fault}" for fault in found)
        print(
            f"Refused to start. What is wrong in .env:\n{lines}\n"
            "Run `python3 include/launcher/preflight.py --write-env` for fresh secrets, "
            "or set these by hand.",
            file=sys.stderr,
        )
        return EX_CONFIG
    if options.command:
        os.execvp(options.command[0], options.command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
