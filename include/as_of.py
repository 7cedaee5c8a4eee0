"""The business day of a run: what it may know, and how it is said."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.errors import BadInput

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def parse(text: str, name: str = "as_of") -> date:
    """A day written as YYYY-MM-DD.

    Parameters
    ----------
    name
        What the day is called where it was given, for the sentence.

    Raises
    ------
    BadInput
        For anything else, a day that does not exist included.
    """
    try:
        if _DAY.match(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadInput(
        f"Expected {name} to be a business day as YYYY-MM-DD, found '{text}': give it like 2017-10-01."
    )


def business_day(context: Mapping[str, Any]) -> str:
    """The day that an Airflow run is for: its parameter `as_of`, else its partition key.

    Raises
    ------
    BadInput
        Where it has neither: a day is never taken from the clock.
    """
    asked = (context.get("params") or {}).get("as_of") or _conf(context).get("as_of")
    found = asked or getattr(context.get("dag_run"), "partition_key", None)
    if not found:
        raise BadInput(
            "Expected a business day, found neither the parameter as_of nor a partition key: trigger the "
            "run with as_of, or backfill regulars_ingest over the day."
        )
    return parse(str(found)).isoformat()


def since(context: Mapping[str, Any]) -> str | None:
    """The first day of a load with history (`since`), or None for the ordinary look-back."""
    asked = (context.get("params") or {}).get("since") or _conf(context).get("since")
    return parse(str(asked), "since").isoformat() if asked else None


def _conf(context: Mapping[str, Any]) -> Mapping[str, Any]:
    return getattr(context.get("dag_run"), "conf", None) or {}


def window(first: str, last: str, timezone: str) -> tuple[datetime, datetime]:
    """The stamps of whole business days, half open: start of the first day, end of the last."""
    zone = ZoneInfo(timezone)
    start = datetime.combine(parse(first), time.min, zone)
    end = datetime.combine(parse(last) + timedelta(days=1), time.min, zone)
    return start, end


def days_before(day: str, days: int) -> str:
    """The business day so many days earlier."""
    return (parse(day) - timedelta(days=days)).isoformat()
