"""`bin/regulars fingerprint`: rows and a hash of each published table, to compare two warehouses."""

import argparse
import json
from dataclasses import asdict

from include import warehouse
from include.errors import RegularsError
from include.launcher.commands import inside
from include.publication import fingerprint


def command(options: argparse.Namespace, _: list[str]) -> int:
    """Print a line a table."""
    omit: dict[str, list[tuple[str, str]]] = {}
    for given in options.omit:
        table, _, rest = given.partition(":")
        column, equals, text = rest.partition("=")
        if not equals:
            raise RegularsError(
                f"Expected --omit TABLE:COLUMN=TEXT, found '{given}': write for example "
                "ml.backtests:metric=mae."
            )
        omit.setdefault(table, []).append((column, text))
    with inside.warehouse_at_hand(), warehouse.connect() as conn:
        for found in fingerprint.fingerprints(conn, options.schema or fingerprint.SCHEMAS, omit):
            if options.json:
                print(json.dumps(asdict(found)), flush=True)
            else:
                print(f"{found.table:<36}{found.rows:>12}  {found.hash}", flush=True)
    return 0
