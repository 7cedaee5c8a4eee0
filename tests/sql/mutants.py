"""SQL with one thing wrong in it, to see whether a test would notice."""

import re
from collections.abc import Iterator, Mapping

#: What stands in the text, as a regular expression, and what may stand there instead.
CHANGES = (
    # Windows, hours, weekdays, thresholds.
    (r"(?<=<= )\d+\b", lambda n: (str(int(n) - 1), str(int(n) + 1))),
    (r"(?<=< )\d+\b", lambda n: (str(int(n) - 1), str(int(n) + 1))),
    (r"(?<=>= )\d+\b", lambda n: (str(int(n) - 1), str(int(n) + 1))),
    (r"(?<=> )\d+\b", lambda n: (str(int(n) - 1), str(int(n) + 1))),
    (r"(?<=date - )\d+\b", lambda n: (str(int(n) - 1), str(int(n) + 1))),
    (r"(?<=least\(o\.observed_days, )\d+", lambda n: (str(int(n) - 7), str(int(n) + 7))),
    (r"(?<=horizon_days\)s::integer)", lambda _: (" + 7", " + 1", " - 1")),
    # Which side of a limit belongs to it.
    (r"(?<= )<(?= )", lambda _: ("<=",)),
    (r"(?<= )<=(?= )", lambda _: ("<",)),
    (r"(?<= )>(?= )", lambda _: (">=",)),
    (r"(?<= )>=(?= )", lambda _: (">",)),
    # Sums, counts, means and ends.
    (r"\bsum\(", lambda _: ("count(", "max(")),
    (r"\bavg\(", lambda _: ("sum(", "max(")),
    (r"\bmin\(", lambda _: ("max(",)),
    (r"\bmax\(", lambda _: ("min(",)),
    (r"\bcount\(DISTINCT (?=\w)", lambda _: ("count(",)),
    (r"\bSELECT DISTINCT\n", lambda _: ("SELECT\n",)),
    (r"\bstddev_samp\(", lambda _: ("stddev_pop(",)),
    (r"\bpercentile_cont\(0\.\d\)", lambda _: ("percentile_cont(0.6)", "percentile_disc(0.5)")),
    (r"\bDESC\b", lambda _: ("ASC",)),
    # Signs, net and gross, what is left out.
    (r"(?<=[\w)]) \+ (?=[\w%(])", lambda _: (" - ",)),
    (r"(?<=[\w)])(?<!date)(?<!as_of)(?<!_day) - (?=[\w%(])", lambda _: (" + ",)),
    (r"\bl\.sales\b", lambda _: ("(l.sales + l.retail_discount)", "(l.sales - l.coupon_discount)")),
    (r"\bl\.retail_discount\b", lambda _: ("(l.retail_discount + l.coupon_discount)",)),
    (r"(?<=\n)( +)AND [^\n]+", lambda _: ("",)),
    (r" FILTER \(WHERE [^\n]*?\)(?=[ ,:\n])", lambda _: ("",)),
    (r"\bAT TIME ZONE %\(timezone\)s", lambda _: ("AT TIME ZONE 'UTC'",)),
    # Weights and rates.
    (r"(?<=1 / )\d+\.0", lambda n: (f"{2 * float(n)}",)),
    (r"(?<=half_2w, )1(?= /)", lambda _: ("2",)),
)


def of(statement: str) -> Iterator[tuple[str, str]]:
    """Statements with one thing wrong, each with a few words on what."""
    code = without_comments(statement)
    for pattern, instead in CHANGES:
        for found in re.finditer(pattern, code):
            for text in instead(found[0]):
                changed = code[: found.start()] + text + code[found.end() :]
                line = code[: found.start()].count("\n")
                yield (
                    f"{code.splitlines()[line].strip()}: {found[0].strip()!r} -> {text!r}",
                    changed,
                )


def without_columns(statement: str, types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """For each column of a statement: its name, and the statement with nothing in its place.

    The expression of the column in the last SELECT becomes NULL of the column's type.
    """
    code = without_comments(statement)
    start = code.rindex("\nSELECT\n") + len("\nSELECT\n") if "\nSELECT\n" in code else 0
    end = code.index("\nFROM ", start)
    parts = _split(code[start:end])
    if len(parts) != len(types):
        raise ValueError(f"Expected {len(types)} columns in the last SELECT, found {len(parts)}.")
    for place, (name, kind) in enumerate(types.items()):
        changed = [*parts[:place], f"NULL::{kind} AS {name}", *parts[place + 1 :]]
        yield name, code[:start] + ",\n".join(changed) + code[end:]


def without_comments(statement: str) -> str:
    return re.sub(r" *--.*", "", statement)


def _split(text: str) -> list[str]:
    """A list of expressions, cut at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
