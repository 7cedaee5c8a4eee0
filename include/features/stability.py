"""The population stability index: how far a distribution has moved from another, over the same bins.

The sum over bins of (p - q) ln(p / q), p the share now and q the share before. Usual reading: below 0.1
nothing moved, above 0.25 it is another distribution. A share of 0 would make it infinite: whoever asks says
what an empty bin counts.
"""

import math
from collections.abc import Iterable


def stability_index(now: Iterable[float], before: Iterable[float]) -> float:
    """The index of two distributions; 0 where they agree.

    Parameters
    ----------
    now, before
        Shares above 0, of the same bins in the same order.
    """
    return float(sum((p - q) * math.log(p / q) for p, q in zip(now, before, strict=True)))
