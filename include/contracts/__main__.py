"""`python -m include.contracts`: the data dictionary, and the migration by hand or on trial."""

import sys
from pathlib import Path

from include import warehouse
from include.contracts import documentation, migrate
from include.errors import BadInput


def main(arguments: list[str]) -> int:
    """`docs [FILE]` writes the data dictionary; `migrate` brings the warehouse up to date, `plan` tries it.

    A trial does all of it in a transaction that is then taken back, so it meets whatever a migration would.
    """
    if arguments[:1] == ["docs"]:
        path = Path(arguments[1]) if arguments[1:] else warehouse.ROOT / "docs" / "tables.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documentation(), encoding="utf-8")
        print(f"wrote {path}")
        return 0
    if arguments in (["migrate"], ["plan"]):
        with warehouse.connect() as conn:
            changes = migrate(conn, print)
            if arguments == ["plan"]:
                conn.rollback()
        print("\n".join(changes) or "the warehouse is up to date")
        if changes and arguments == ["plan"]:
            print("Nothing was changed: `bin/regulars up` does all of this.")
        return 0
    print("expected `docs [FILE]`, `plan` or `migrate`")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        sys.exit(str(error))
