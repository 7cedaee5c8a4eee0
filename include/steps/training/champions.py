"""Which stored model serves a day, how it is loaded, and how somebody goes back to an earlier one.

A model may serve from its anchor day on, if it was promoted. Of those that may, the newest anchor does; of
one anchor, the model of the recipe in force, so that reverting policy or code brings its model back. A pin
(`bin/regulars models rollback`) goes before all that.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from include import as_of, contracts, policy, warehouse
from include.errors import BadInput
from include.publication import Batch
from include.warehouse import Connection

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Model = TypeVar("Model")
Known = TypeVar("Known")

#: Where the manifest keeps the hash of the artefact.
HASH = "artefact_sha256"


@dataclass(frozen=True)
class Champion:
    """A stored model that may serve."""

    model_version: str
    anchor: str
    algorithm: str
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Any]
    pinned: bool


def anchor_of(day: str) -> str:
    """The anchor day whose champion serves `day`: the newest one at or before it."""
    rules = policy.load().models
    days = (as_of.parse(day) - rules.anchor_start).days
    if days < 0:
        raise BadInput(
            f"Expected a business day from {rules.anchor_start} on (models.anchor_start), found {day}."
        )
    return as_of.days_before(day, days % rules.anchor_every_days)


def standing(conn: Connection, kind: str, anchor: str, recipe: str) -> str | None:
    """The version of a model of this anchor day and recipe, promoted or not; None where there is none."""
    found: str | None = warehouse.value(
        conn,
        "SELECT model_version FROM ml.models WHERE kind = %(kind)s AND anchor = %(anchor)s "
        "AND manifest ->> 'recipe' = %(recipe)s ORDER BY is_champion DESC, algorithm LIMIT 1",
        {"kind": kind, "anchor": anchor, "recipe": recipe},
    )
    return found


def stage(batch: Batch, kind: str, rows: Mapping[str, "pd.DataFrame | None"]) -> None:
    """Put what a training found into the batch's staged tables of `ml`; rows of an earlier try are taken out.

    Parameters
    ----------
    rows
        By table name. None where there is nothing new: what an earlier try left is still taken out.
    """
    with warehouse.connect() as conn:
        for name, data in rows.items():
            table = batch.table(contracts.load("ml", name))
            warehouse.execute(
                conn,
                f"DELETE FROM {table} WHERE model_version LIKE %(kind)s || '-%%'",
                {"kind": kind},
            )
            if data is not None:
                warehouse.copy_frame(conn, data, table)


def model_row(
    kind: str,
    anchor: str,
    version: str,
    algorithm: str,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    artefact: bytes | None,
    *,
    is_champion: bool = True,
) -> dict[str, Any]:
    """A row of ml.models as it is staged."""
    return {
        "model_version": version,
        "kind": kind,
        "anchor": anchor,
        "algorithm": algorithm,
        "is_champion": is_champion,
        "manifest": dict(manifest),
        "metrics": dict(metrics),
        "artefact": None if artefact is None else "\\x" + artefact.hex(),
    }


def data_hash(rows: "pd.DataFrame") -> str:
    """A hash of every row that a model learns from, in their order."""
    import numpy as np
    import pandas as pd

    hashes = np.asarray(pd.util.hash_pandas_object(rows, index=False))
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def train(
    batch: Mapping[str, Any],
    kind: str,
    recipe: Callable[[str], dict[str, Any]],
    read: Callable[[Connection, str], Known],
    fit: Callable[[Known, str, dict[str, Any]], tuple[dict[str, Any], list[dict[str, Any]]]],
    *,
    optional: bool = False,
) -> dict[str, Any]:
    """Fit the model of the batch's anchor day, unless it stands already, and stage it.

    Its rows go into the batch's staged `ml.models` and `ml.backtests`, beside those of other models; rows of
    an earlier try are taken out first.

    Parameters
    ----------
    recipe
        What decides the model of an anchor day besides the data, with a hash of it as `recipe`.
    read
        What is known on the anchor day.
    fit
        What is known, anchor and recipe -> a row of ml.models (`model_row`) and the rows of ml.backtests,
        without what `train` knows of them: version and anchor. BadInput where too little is known.
    optional
        Whether too little is no failure: the shop then goes without such a model.

    Returns
    -------
    dict
        The model's version (None without one), whether it was trained now, and its figures.
    """
    import pandas as pd

    opened = Batch.from_dict(batch)
    anchor = anchor_of(opened.as_of)
    made_of = recipe(anchor)
    with warehouse.connect() as conn:
        found = standing(conn, kind, anchor, made_of["recipe"])
        if found:
            log.info("The %s model of %s stands: %s", kind, anchor, found)
            return {"model_version": found, "trained": False, "metrics": {}}
        known = read(conn, anchor)
    try:
        row, judged = fit(known, anchor, made_of)
    except BadInput as few:
        if not optional:
            raise
        log.info("No %s model for %s: %s", kind, anchor, few)
        return {"model_version": None, "trained": False, "metrics": {}}
    version, metrics = row["model_version"], row["metrics"]
    lines = [{"model_version": version, "anchor": anchor} | line for line in judged]
    backtests = pd.DataFrame(lines, columns=contracts.load("ml", "backtests").content)
    stage(opened, kind, {"models": pd.DataFrame([row]), "backtests": backtests})
    log.info("Trained %s: %s", version, metrics)
    return {"model_version": version, "trained": True, "metrics": metrics}


def candidates(
    conn: Connection,
    kind: str,
    day: str,
    *,
    recipe: str | None = None,
    question: str | None = None,
) -> list[Champion]:
    """Every model that may serve a day, the one that does first.

    Parameters
    ----------
    recipe
        Of the models of one anchor day, the one of this recipe goes first.
    question
        Models that answer another question (another horizon, another line) come after all that answer
        this one: they are better than none, for a shop that has no other yet.
    """
    found = warehouse.rows(
        conn,
        """
        SELECT
            m.model_version, m.anchor, m.algorithm, m.manifest - 'explained' - 'search' - 'reference',
            m.metrics, p.model_version IS NOT NULL AS pinned
        FROM ml.models AS m
        LEFT JOIN ops.champion_pins AS p ON m.kind = p.kind AND m.model_version = p.model_version
        WHERE
            m.kind = %(kind)s AND m.anchor <= %(day)s AND m.artefact IS NOT NULL
            AND (m.is_champion OR p.model_version IS NOT NULL)
        ORDER BY
            pinned DESC,
            m.manifest ->> 'question' IS NOT DISTINCT FROM %(question)s DESC,
            m.anchor DESC,
            m.manifest ->> 'recipe' IS NOT DISTINCT FROM %(recipe)s DESC,
            m.updated_at DESC,
            m.model_version
        """,
        {"kind": kind, "day": day, "recipe": recipe, "question": question},
    )
    return [
        Champion(version, anchor.isoformat(), algorithm, manifest, metrics, pinned)
        for version, anchor, algorithm, manifest, metrics, pinned in found
    ]


def serving(
    conn: Connection, kind: str, day: str, *, recipe: str | None = None, question: str | None = None
) -> Champion | None:
    """The model that serves a day, or None before the first one."""
    return next(iter(candidates(conn, kind, day, recipe=recipe, question=question)), None)


def artefact(conn: Connection, version: str) -> bytes:
    """The stored bytes of a model.

    Raises
    ------
    BadInput
        When there are none, or they are not those that were trained.
    """
    found = warehouse.rows(
        conn,
        "SELECT artefact, manifest ->> %(hash)s FROM ml.models WHERE model_version = %(v)s",
        {"v": version, "hash": HASH},
    )
    if not found or found[0][0] is None:
        raise BadInput(
            f"Expected the model {version} in ml.models, found none that is stored: see "
            "`bin/regulars models` for those that are."
        )
    stored, expected = bytes(found[0][0]), found[0][1]
    # Models that were stored before their hashes are taken as they are.
    if expected is not None and hashlib.sha256(stored).hexdigest() != expected:
        raise BadInput(
            f"Expected the bytes of {version} to have the hash of its manifest, found another: the row was "
            "changed after training; train again, or roll back."
        )
    return stored


def load(
    conn: Connection, found: list[Champion], read: Callable[[Champion, bytes], Model]
) -> tuple[Champion, Model] | None:
    """The first of the models that can be read; what cannot is passed over with a warning.

    Parameters
    ----------
    found
        From `candidates`.
    read
        Makes a model of the bytes, or raises BadInput.
    """
    for champion in found:
        try:
            return champion, read(champion, artefact(conn, champion.model_version))
        except BadInput as unreadable:
            log.warning("%s cannot serve: %s", champion.model_version, unreadable)
    return None


def pin(conn: Connection, kind: str, version: str, note: str | None) -> None:
    """Let a stored model serve, whatever was trained since, until `release`.

    Raises
    ------
    BadInput
        When no such model is stored.
    """
    artefact(conn, version)
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.champion_pins (kind, model_version, note, changed_at)
        VALUES (%(kind)s, %(version)s, %(note)s, now())
        ON CONFLICT (kind) DO UPDATE SET
            model_version = excluded.model_version, note = excluded.note,
            changed_at = excluded.changed_at
        """,
        {"kind": kind, "version": version, "note": note},
    )


def release(conn: Connection, kind: str) -> bool:
    """Take a pin out; whether there was one."""
    return bool(
        warehouse.execute(
            conn, "DELETE FROM ops.champion_pins WHERE kind = %(kind)s", {"kind": kind}
        )
    )
