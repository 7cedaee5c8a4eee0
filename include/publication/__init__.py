"""Write, audit, publish: batches that nobody reads until they are published in one transaction.

A batch is staged in a schema of its own, `stage_<token>`. Its token comes from one rising sequence,
taken before the batch reads its input, so a higher token never means older content. Two rules follow:

* of one dataset and day, only the newest attempt may publish (`claim_day`), so that a stalled task that
  wakes after its retry is refused;
* a day's rows are never replaced by a batch with a lower token than the one that stands, so that runs may
  overtake one another.

`locks` names what excludes what. `batches` opens batches, `publishing` publishes a whole one, `writing` a
table of it, with `statements`. Which of two rows is newer says `newest`; `redated`, `past` and `undated` keep
orders that changed their day, states that were corrected, and rows that no day dates; `cancellations` says
which returns take back which orders. `fingerprint` compares what two warehouses hold.
"""

from include.publication.batches import (
    Batch,
    claim_day,
    is_staged,
    mark_of_other_days,
    new_batch,
    open_batch,
    stage,
    staged_contracts,
)
from include.publication.publishing import content_hash, is_published_for_good, publish

__all__ = [
    "Batch",
    "claim_day",
    "content_hash",
    "is_published_for_good",
    "is_staged",
    "mark_of_other_days",
    "new_batch",
    "open_batch",
    "publish",
    "stage",
    "staged_contracts",
]
