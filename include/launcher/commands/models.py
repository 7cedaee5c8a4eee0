"""`bin/regulars models`: which models serve, what they say of themselves, and how to go back to one."""

import argparse
import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from include import warehouse
from include.errors import BadInput
from include.features import pairs
from include.launcher.arguments import Parser
from include.steps.training import champions
from include.warehouse import Connection

#: Coefficients that `show` prints, the largest first.
SHOWN = 15


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands; the exit code."""
    options = parser().parse_args(list(arguments) or ["list"])
    with warehouse.connect() as conn:
        if warehouse.value(conn, "SELECT to_regclass('ops.champion_pins')") is None:
            raise BadInput(
                "Expected a warehouse with models, found none: run `bin/regulars demo` or "
                "`bin/regulars up` first."
            )
        options.run(conn, options)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(prog="bin/regulars models", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    listed = commands.add_parser(
        "list", help="every model, the newest first, and which of them serves"
    )
    listed.set_defaults(run=_list)
    show = commands.add_parser("show", help="why it serves, what it is made of, what it learnt")
    show.add_argument("version")
    show.set_defaults(run=_show)
    back = commands.add_parser(
        "rollback", help="let an earlier model serve from now on, by default the one before"
    )
    back.add_argument("version", nargs="?")
    back.add_argument("--kind", default="value", help="kind of model (default: value)")
    back.add_argument("--note", help="why, for those who look later")
    back.set_defaults(run=_rollback)
    on = commands.add_parser("release", help="end a rollback: the newest promoted model serves")
    on.add_argument("--kind", default="value", help="kind of model (default: value)")
    on.set_defaults(run=_release)
    out = commands.add_parser("export", help="write a model and its manifest as files")
    out.add_argument("version")
    out.add_argument("folder", type=Path)
    out.set_defaults(run=_export)
    return top


#: State of a model -> what it means.
STATES = {
    "serves": "scores the days from its training day on, until a newer one is promoted",
    "pinned": "serves by a rollback, whatever is trained, until `bin/regulars models release`",
    "served": "was promoted earlier; `bin/regulars models rollback VERSION` lets it serve again",
    "lost": "was judged beside the one that serves and did not replace it; kept for a while",
    "compared": "one of the algorithms that the training tried; only its figures are kept",
}


def _list(conn: Connection, _: argparse.Namespace) -> None:
    kinds = [kind for (kind,) in warehouse.rows(conn, "SELECT DISTINCT kind FROM ml.models")]
    serving = {kind: champions.serving(conn, kind, date.max.isoformat()) for kind in kinds}
    told = [("state", "model", "trained for", "algorithm", "why")]
    for kind, version, anchor, algorithm, promoted, stored, because in warehouse.rows(
        conn,
        """
        SELECT kind, model_version, anchor, algorithm, is_champion, artefact IS NOT NULL,
            coalesce(manifest -> 'promotion' ->> 'because', '')
        FROM ml.models ORDER BY kind, anchor DESC, is_champion DESC, updated_at DESC, model_version
        """,
    ):
        now = serving[kind]
        state = "served" if promoted else "lost" if stored else "compared"
        if now is not None and now.model_version == version:
            state = "pinned" if now.pinned else "serves"
        told.append((state, version, anchor.isoformat(), algorithm, because))
    if len(told) == 1:
        print("No model was trained yet: run `bin/regulars demo`, or regulars_models for a day.")
        return
    widths = [max(map(len, column)) for column in zip(*told, strict=True)]
    for line in told:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    print()
    for state, meaning in STATES.items():
        if any(line[0] == state for line in told):
            print(f"{state}: {meaning}.")


def _show(conn: Connection, options: argparse.Namespace) -> None:
    manifest, metrics = _stored(conn, options.version)
    explained = manifest.pop("explained", {})
    search = manifest.pop("search", {})
    manifest.pop("reference", None)
    print(json.dumps({"manifest": manifest, "metrics": metrics}, indent=2, sort_keys=True))
    if search:
        print(
            f"\nsearch of {search['budget']} trials, on outcomes until {search['outcomes_until']}"
        )
        for trial in search["trials"]:
            kept = "kept" if trial["kept"] else ""
            print(f"  {trial['log_loss']:.5f}  {trial['member']}  {trial['setting']}  {kept}")
    table = explained.get("coefficients", {})
    if table:
        print("\ncoefficients for one standard deviation more, 95% intervals, odds ratios")
        ordered = sorted(table.items(), key=lambda line: -abs(line[1]["coefficient"]))
        for name, line in ordered[:SHOWN]:
            print(
                f"  {name:28} {line['coefficient']:+.3f} [{line['low']:+.3f}, {line['high']:+.3f}]  "
                f"{line['odds_ratio']:.2f} [{line['odds_ratio_low']:.2f}, {line['odds_ratio_high']:.2f}]"
            )
    for rule in explained.get("rules", []):
        print(f"  {rule}")
    for ranker in pairs.RANKERS:
        weights = manifest.get(f"{ranker}_weights", {})
        if weights:
            print(f"\nweights of the {ranker} ranker for one standard deviation more")
            ordered = sorted(weights.items(), key=lambda line: -abs(line[1]))
            for name, weight in ordered[:SHOWN]:
                print(f"  {weight:+.3f}  {pairs.LABELS.get(name, name)}")


def _rollback(conn: Connection, options: argparse.Namespace) -> None:
    version = options.version or _before(conn, options.kind)
    kind = warehouse.value(
        conn, "SELECT kind FROM ml.models WHERE model_version = %(v)s", {"v": version}
    )
    champions.pin(conn, kind or options.kind, version, options.note)
    print(
        f"{version} serves from the next scoring on, whatever is trained, until "
        f"`bin/regulars models release --kind {kind}`. Clear regulars_score of a day to score it again."
    )


def _before(conn: Connection, kind: str) -> str:
    """The model that served before the one that serves now."""
    newest = warehouse.value(
        conn, "SELECT max(anchor) FROM ml.models WHERE kind = %(kind)s", {"kind": kind}
    )
    found = champions.candidates(conn, kind, newest.isoformat()) if newest else []
    if len(found) < 2:
        raise BadInput(
            f"Expected an earlier model of kind {kind} to go back to, found none: see "
            "`bin/regulars models list`."
        )
    return found[1].model_version


def _release(conn: Connection, options: argparse.Namespace) -> None:
    if champions.release(conn, options.kind):
        print(f"The newest promoted model of kind {options.kind} serves again.")
    else:
        print(f"No model of kind {options.kind} was pinned.")


def _export(conn: Connection, options: argparse.Namespace) -> None:
    stored = champions.artefact(conn, options.version)
    manifest, metrics = _stored(conn, options.version)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"{options.version}.model"
    path.write_bytes(stored)
    about = manifest | {
        "metrics": metrics,
        champions.HASH: hashlib.sha256(stored).hexdigest(),
    }
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"Wrote {path} and {beside}")


def _stored(conn: Connection, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = warehouse.rows(
        conn,
        "SELECT manifest, metrics FROM ml.models WHERE model_version = %(v)s",
        {"v": version},
    )
    if not found:
        raise BadInput(f"Expected a model version of `bin/regulars models list`, found {version}.")
    return found[0]
