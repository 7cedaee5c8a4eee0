"""Prepare a server for Regulars: roles, databases, Airflow's tables, the warehouse's tables.

    python -m include.launcher.provision              # what the init service runs
    python -m include.launcher.provision demo-shop    # fills the shop with the demo's data

Safe to run again at any time, and the way in which a new version brings an old server up to date.
Reads from the environment: `REGULARS_ADMIN_URL`, one password a role (`PASSWORDS`), `REGULARS_UI_USER`
with `REGULARS_UI_PASSWORD`, and Airflow's own settings; for the demo shop `AIRFLOW_CONN_SHOP_OWNER`
alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from include import VERSION, contracts, policy, warehouse
from include.errors import BadInput, RegularsError
from include.launcher.servers import databases
from include.steps.delivery import clock

#: Role -> the variable that holds its password.
PASSWORDS = {
    "airflow": "AIRFLOW_DB_PASSWORD",
    "shop": "SHOP_DB_PASSWORD",
    "regulars_reader": "REGULARS_READER_PASSWORD",
    "regulars_etl": "REGULARS_ETL_PASSWORD",
    "regulars_marketing": "REGULARS_MARKETING_PASSWORD",
    "regulars_console": "REGULARS_CONSOLE_PASSWORD",
}


def passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """The password of every role.

    Raises
    ------
    BadInput
        When one is not set.
    """
    missing = [name for name in PASSWORDS.values() if not environment.get(name)]
    if missing:
        raise BadInput(
            f"Expected a password for every role, found none in {', '.join(missing)}: set them in "
            ".env."
        )
    return {role: environment[name] for role, name in PASSWORDS.items()}


def write_login(path: Path, user: str, password: str) -> None:
    """The file from which Airflow's simple auth manager reads its users' passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({user: password}, file)


def provision(environment: Mapping[str, str]) -> None:
    """Roles, databases and tables, then the UI's login.

    Raises
    ------
    BadInput
        When a variable is missing or the warehouse differs from its contracts.
    subprocess.CalledProcessError
        When Airflow's own migration fails.
    """
    admin_url = environment.get("REGULARS_ADMIN_URL")
    if not admin_url:
        raise BadInput("Expected the variable REGULARS_ADMIN_URL, found none: set it.")
    databases.prepare(admin_url, passwords(environment))
    tell("roles and databases stand")
    # First: what stops it has then changed nothing, Airflow's tables included.
    with warehouse.connect("warehouse") as conn:
        changes = contracts.migrate(conn, tell)
        clock.write(conn, policy.load())
    tell(f"the warehouse's tables stand at version {VERSION}, {len(changes)} changes")
    tell("Airflow's tables follow; from a newer Airflow's form there is no way back but a copy")
    subprocess.run(["airflow", "db", "migrate"], check=True)
    tell("Airflow's tables stand")
    file = environment.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
    password = environment.get("REGULARS_UI_PASSWORD")
    if file and password:
        write_login(Path(file), environment.get("REGULARS_UI_USER", "admin"), password)
        tell("the UI's login stands")


def fill_demo_shop() -> None:
    """Load the demo shop, or find it loaded."""
    from include.demo_shop import load

    rows = load.load(warehouse.url("shop_owner"), tell)
    tell(f"the demo shop stands, {sum(rows.values()):,} rows")


def tell(sentence: str) -> None:
    """One line of progress, at once."""
    print(f"provision: {sentence}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run one of the two; its exit code."""
    try:
        if list(arguments) == ["demo-shop"]:
            fill_demo_shop()
        elif arguments:
            raise BadInput(f"Expected no argument or demo-shop, found {' '.join(arguments)}.")
        else:
            provision(os.environ)
    except RegularsError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"`airflow db migrate` failed with exit code {error.returncode}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
