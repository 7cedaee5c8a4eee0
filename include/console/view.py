"""From what was read to what is shown: templates, their filters, the sentences on top.

Shared by the console's pages and by the report (`include.reports.daily`).
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from include.console import charts, clock, model_charts, outreach_charts
from include.console.chain import BESIDE
from include.console.data import Decision, Notice, Today
from include.console.outreach import STATUSES

FOLDER = Path(__file__).resolve().parent
STATIC = FOLDER / "static"

STANDING_WORDS = {
    "published": "✓ published",
    "running": "… working",
    "waiting": "– waiting",
    "stopped": "✕ stopped",
    "never": "– nothing yet",
}

_DECIDED = {
    "send": "are to be sent something",
    "control": "are kept out as the control group",
    "hold": "wait",
    "suppress": "are left in peace",
}


@cache
def environment() -> Environment:
    """The Jinja environment: escaping on, unknown names are errors."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ago=ago,
        amount=lambda value: "" if value is None else f"{value:,.2f}",
        day_long=lambda day: f"{day:%A}, {day.day} {day:%B} {day.year}",
        day_short=lambda day: f"{day.day} {day:%b} {day.year}",
        duration=duration,
        first_sentence=lambda text: text.split(". ")[0].removesuffix(".") + ".",
        figure=lambda value: "" if value is None else f"{value:,.{4 if abs(value) < 10 else 1}f}",
        rounded=rounded,
        number=lambda value: f"{value:,}",
        short_dag=lambda dag_id: dag_id.removeprefix("regulars_"),
        stamp=lambda moment: f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        whole=lambda amount: f"{amount:,.0f}",
        spaced=charts.spaced,
        coded=coded,
    )
    made.globals.update(
        standing_words=STANDING_WORDS, message_statuses=STATUSES, decision_names=list(_DECIDED)
    )
    return made


def render(template: str, **values: Any) -> str:
    """One template with its values, as HTML."""
    return environment().get_template(template).render(**values)


def today_page(today: Today) -> str:
    """The page *Today*."""
    return render(
        "today.html",
        today=today,
        beside=BESIDE,
        verdict=verdict(today),
        failure=failure(today),
        clock=clock.told(today.clock) if today.clock else [],
        decided=decided(today.decisions, today.currency),
        charts=figures(today),
        version=static_version(),
        plotly_version=plotly_version(),
    )


def message_page(heading: str, sentence: str) -> str:
    """A page that says one thing."""
    return render("message.html", heading=heading, sentence=sentence, version=static_version())


def figures(today: Today) -> dict[str, Any]:
    """The charts of what was read; one that would hold a single point is left out."""
    days = {row.day for row in today.history}
    return {
        "history": charts.rows_per_day(today.history) if len(days) > 1 else None,
        "decisions": charts.decisions(today.decisions),
        "lift": outreach_charts.lift(today.outreach.results, today.currency),
        "segments": charts.segments(today.segments, today.currency),
        "spread": charts.spread(today.segments, today.currency),
        "deciles": charts.deciles(today.deciles, today.currency),
        "deciles_note": "Mean of each tenth"
        + (
            ", with the mean ends of its prediction interval"
            if any(decile.low is not None for decile in today.deciles)
            else ""
        ),
    } | model_charts.of(today.models)


def verdict(today: Today) -> str:
    """How things stand, in a sentence or two: what broke first, and what that means."""
    names = {health.stage.dag_id: health for health in today.unwell}
    stopped = [health for health in today.unwell if health.standing == "stopped"]
    if stopped:
        first = stopped[0]
        return f"{first.stage.dag_id} has stopped. {first.note} {_left_with(today)}"
    if any(health.standing == "running" for health in today.unwell):
        at_work = next(health for health in today.unwell if health.standing == "running")
        return f"{at_work.stage.dag_id} is at work; what follows it has yet to come."
    if names:
        waiting = next(iter(names))
        return f"{waiting} has not run for this day yet. {_left_with(today)}"
    if today.critical:
        checks = f"{_count(len(today.critical), 'critical check')} did not hold"
    elif today.findings:
        checks = f"{_count(len(today.findings), 'check')} {'warns' if len(today.findings) == 1 else 'warn'}"
    else:
        checks = "every check held"
    return f"All {_NUMBERS[len(today.chain)]} stages have published this day, and {checks}."


def failure(today: Today) -> Notice | None:
    """What was told of the run that stopped the first stage that stands stopped."""
    for health in today.unwell:
        if health.standing == "stopped":
            return next((n for n in today.notices if n.dag_id == health.stage.dag_id), None)
    return None


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _left_with(today: Today) -> str:
    last = today.chain[-1].day
    if last is None:
        return "Marketing has no decisions yet."
    return f"Marketing reads the decisions of {last.day} {last:%B}."


def decided(found: list[Decision], currency: str) -> str:
    """What was decided, in a sentence."""
    by_decision: dict[str, int] = {}
    cost = 0.0
    for decision in found:
        by_decision[decision.decision] = by_decision.get(decision.decision, 0) + decision.customers
        cost += decision.cost if decision.decision == "send" else 0.0
    parts = [
        f"{by_decision[name]:,} {meaning}"
        for name, meaning in _DECIDED.items()
        if name in by_decision
    ]
    parts += [f"{number:,} {name}" for name, number in by_decision.items() if name not in _DECIDED]
    if not parts:
        return ""
    told = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    spent = f"expected cost {rounded(cost)} {currency}".rstrip()
    return f"Of {sum(by_decision.values()):,} candidates {told}; {spent}."


def coded(sentence: str) -> Markup:
    """A sentence whose words between backticks are set as code."""
    parts = [escape(part) for part in sentence.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rounded(amount: float) -> str:
    """An amount for reading: cents only where they matter."""
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.2f}"


def duration(span: timedelta) -> str:
    """A span for reading: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = max(round(span.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in its largest unit."""
    seconds = max((now - moment).total_seconds(), 0)
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{_count(int(seconds // size), noun)} ago"
    return "just now"


@cache
def plotly_script() -> Path:
    """plotly.js as the plotly package brings it; found without importing the package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "Expected the package plotly, found none: install requirements.txt."
        )
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def inline(path: Path) -> Markup:
    """A script of our own or of plotly's, safe between script tags."""
    return Markup(path.read_text(encoding="utf-8").replace("</script", "<\\/script"))  # noqa: S704


@cache
def plotly_version() -> str:
    """Changes when plotly.js does, so that browsers may keep it for good."""
    return _digest([plotly_script()])


@cache
def static_version() -> str:
    """Changes when a file of the console's own does."""
    return _digest(sorted(STATIC.iterdir()))


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def static_files() -> Mapping[str, Path]:
    """Name -> file of everything that a page may ask for besides itself."""
    return {path.name: path for path in STATIC.iterdir()} | {"plotly.min.js": plotly_script()}
