"""One JSON object a line: how every bench prints a figure beside its peer's."""

import json
from typing import Any


def show(
    bench: str,
    metric: str,
    setting: str,
    ours: float | None,
    peer: float | None,
    peer_name: str,
    *,
    unit: str,
    n: int,
    **more: Any,
) -> None:
    """Print one figure; `ratio` is ours / peer, null where there is no peer."""
    ratio = None if ours is None or not peer else round(ours / peer, 4)
    line = {
        "bench": bench,
        "metric": metric,
        "ours": None if ours is None else round(ours, 6),
        "peer": None if peer is None else round(peer, 6),
        "peer_name": peer_name,
        "ratio": ratio,
        "unit": unit,
        "n": n,
        "setting": setting,
    }
    print(json.dumps(line | more), flush=True)
