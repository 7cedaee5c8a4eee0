"""The gate of a dataset: audit what is staged, then publish all of it in one transaction, or none."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from include import publication, quality, warehouse
from include.errors import BadInput, QualityStop, RegularsError, Superseded
from include.persons import erasure, stale
from include.persons.settle import settle
from include.publication import Batch, redated
from include.publication.locks import lock_publishing
from include.quality import profiles, trends
from include.quality.profiles import Profile
from include.warehouse import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beside:
    """What a dataset's publication brings with it beside its tables.

    Attributes
    ----------
    around
        Held around the writing of the tables, in its transaction.
    settle
        Called last in that transaction.
    stale_spans
        Of the days that say of some rows what holds no longer, and that are built again right after: the
        first and the last of each row of days on end.
    """

    around: Callable[[Connection, Batch], AbstractContextManager[None]]
    settle: Callable[[Connection, Batch], object]
    stale_spans: Callable[[Connection], list[tuple[str, str]]]


#: Datasets of which more is asked than their tables. Everything that is of one dataset alone hangs in here.
BESIDE = {"core": Beside(redated.lines_follow, settle, stale.spans)}
_NOTHING = Beside(lambda *_: nullcontext(), lambda *_: None, lambda _: [])


def gate(
    batch: Mapping[str, Any] | None,
    rebuild: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    in_turn: bool = False,
) -> dict[str, int]:
    """Audit a staged batch by its contracts and publish it; the rows of each table.

    Parameters
    ----------
    batch
        What the build task returned: `Batch.as_dict()`; None where it failed and the gate runs all the same.
    rebuild
        The build itself, called where the staged batch is gone, so that clearing a gate alone works
        long after its run.
    in_turn
        Whether a day depends on what other days of the dataset say: then a batch that has not seen what
        another day published meanwhile is built again. Its build says what it has seen as `seen`
        (`publication.mark_of_other_days`).

    Raises
    ------
    BadInput
        When there is no batch.
    QualityStop
        When a critical check failed; the last publication stands.
    Superseded
        When a newer attempt took over meanwhile, or other days came first again and again.
    """
    if batch is None:
        raise BadInput(
            "Expected a batch from the task before this gate, found none, as that task failed: see its "
            "error, then clear it with everything downstream."
        )
    staged = Batch.from_dict(batch)
    if not in_turn:
        counts = _audit_and_publish(staged, rebuild)
        _build_stale_days(staged, rebuild)
        return counts
    # No lock is held while a day is built and audited: an attempt that stalls there would stop every other.
    seen = batch.get("seen")
    for _ in range(MOST_TURNS):
        try:
            return _audit_and_publish(staged, rebuild, partial(_look, staged=staged, seen=seen))
        except _Outrun:
            log.info("Another day of %s was published meanwhile; building again.", staged.dataset)
            again = rebuild(staged.as_dict())
            staged, seen = Batch.from_dict(again), again.get("seen")
    raise Superseded(
        f"Expected {staged.dataset} of {staged.as_of} to be built without another day coming first, found it "
        f"outrun {MOST_TURNS} times: nothing was published; clear this task when fewer days run at once."
    )


#: So often a day is built again because another one was published first.
MOST_TURNS = 20


class _Outrun(Exception):
    """Another day was published since the batch looked."""


def _build_stale_days(staged: Batch, rebuild: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Build the days again that say of some rows what holds no longer; see `BESIDE`.

    What was published stands in any case: days that cannot be built wait for the next publication.
    """
    if staged.dataset not in BESIDE:
        return
    stale_spans = BESIDE[staged.dataset].stale_spans
    built: set[tuple[str, str]] = set()
    while True:
        with warehouse.connect() as conn:
            span = next((span for span in stale_spans(conn) if span not in built), None)
        if span is None:
            return
        built.add(span)
        first, last = span
        log.info("Building %s to %s again: what some rows say holds no longer.", first, last)
        try:
            again = rebuild({"since": first, "as_of": last, "run_id": staged.run_id})
            _audit_and_publish(Batch.from_dict(again), rebuild)
        except RegularsError as error:
            log.warning(
                "%s to %s wait for the next publication of %s: %s",
                first, last, staged.dataset, error,
            )  # fmt: skip
            return


def _look(conn: Connection, staged: Batch, seen: Any) -> None:
    """Whether the batch has seen what other days published, asked where nobody else can publish meanwhile."""
    lock_publishing(conn, staged.dataset)
    if publication.mark_of_other_days(conn, staged) != seen:
        raise _Outrun


def _audit_and_publish(
    staged: Batch,
    rebuild: Callable[[dict[str, Any]], dict[str, Any]],
    look: Callable[[Connection], None] | None = None,
) -> dict[str, int]:
    with warehouse.connect() as conn:
        standing = publication.is_staged(conn, staged)
    if not standing:
        log.info("The staged batch %s is gone; building it again.", staged.schema)
        staged = Batch.from_dict(rebuild(staged.as_dict()))
    with warehouse.connect() as conn:
        fence = publication.claim_day(conn, staged)
        tables = publication.staged_contracts(conn, staged)
        conn.commit()  # whoever claims next waits for nobody's audit
        results = quality.audit(conn, staged, tables)
        days = profiles.of_batch(conn, staged, tables)
        results += _trends(profiles.before(conn, staged, trends.PAST_DAYS), days, staged)
        quality.store(conn, staged, fence, results)
    stopped = [r for r in results if r.severity == "critical" and not r.passed]
    if stopped:
        raise QualityStop(
            f"{len(stopped)} critical check(s) failed for {staged.dataset} of {staged.as_of}; nothing was "
            f"published, yesterday's tables stand. First: {stopped[0].message} Repair the source or the "
            "rule, then clear the build task before this gate."
        )
    with warehouse.connect() as conn:
        if look is not None:
            look(conn)
        stood = publication.is_published_for_good(conn, staged, tables)
        beside = BESIDE.get(staged.dataset, _NOTHING)
        with beside.around(conn, staged):
            counts = publication.publish(conn, staged, fence)
        erasure.keep_forgotten(conn, staged, tables)
        beside.settle(conn, staged)
        if not stood:
            profiles.store(conn, staged, days)
    if stood:
        log.info("%s of %s stands as it was first published.", staged.dataset, staged.as_of)
    else:
        log.info("Published %s of %s: %s", staged.dataset, staged.as_of, counts)
    return counts


def _trends(past: Sequence[Profile], days: Sequence[Profile], batch: Batch) -> list[quality.Result]:
    """The batch's own day of each table, beside the days before it."""
    results = []
    for day in days:
        if day.day.isoformat() == batch.as_of:
            earlier = [
                one for one in (*past, *days) if one.table == day.table and one.day < day.day
            ]
            results += trends.judge(day, earlier[-trends.PAST_DAYS :])
    return results
