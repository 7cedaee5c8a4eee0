"""What a changed policy would do to the newest decided day, told as text."""

import pandas as pd

_HEAD = ("", "sent now", "would be", "gain", "lose")


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Every customer and campaign that is sent, would be sent, or both.

    Parameters
    ----------
    before, after
        Decisions of one day under the policy in force and under the new one: customer_id, segment,
        campaign, decision, decision_reason, cost_expected, expected_incremental_value. Only `send` counts.

    Returns
    -------
    pd.DataFrame
        customer_id, campaign, segment (the new one where it has one), now and then (booleans), cost_now,
        cost_then, gain_now and gain_then in the shop's currency, and reason: why it would not be sent then,
        `no_candidate` where nothing would be considered, None where it would be sent.
    """
    keys = ["customer_id", "campaign"]
    sides = []
    for side, found in (("now", before), ("then", after)):
        sent = found[found["decision"] == "send"].set_index(keys)
        sent = sent[["segment", "cost_expected", "expected_incremental_value"]]
        sides.append(sent.add_suffix(f"_{side}"))
    both = sides[0].join(sides[1], how="outer")
    reasons = after.set_index(keys)["decision_reason"].astype("object")
    reason = reasons[~reasons.index.duplicated()].reindex(both.index).fillna("no_candidate")
    return pd.DataFrame(
        {
            "segment": both["segment_then"].fillna(both["segment_now"]),
            "now": both["segment_now"].notna(),
            "then": both["segment_then"].notna(),
            "cost_now": both["cost_expected_now"].astype(float).fillna(0.0),
            "cost_then": both["cost_expected_then"].astype(float).fillna(0.0),
            "gain_now": both["expected_incremental_value_now"].astype(float).fillna(0.0),
            "gain_then": both["expected_incremental_value_then"].astype(float).fillna(0.0),
            "reason": reason.where(both["segment_then"].isna(), None),
        }
    ).reset_index()


def tell(compared: pd.DataFrame, moved: int, currency: str) -> str:
    """The comparison as lines for a terminal: by campaign, by segment, in all, why, cost and gain.

    Parameters
    ----------
    compared
        As made by `compare`.
    moved
        Customers who would stand in another segment.
    currency
        The shop's.
    """
    blocks = [_block("campaign", compared), _block("segment", compared)]
    blocks += _losses(compared)
    money = [
        f"Expected {words} of the day: {compared[f'{name}_now'].sum():,.2f} {currency} now, "
        f"{compared[f'{name}_then'].sum():,.2f} {currency} then."
        for name, words in (("cost", "cost"), ("gain", "gain, cost taken off,"))
    ]
    blocks.append("\n".join([f"Customers in another segment: {moved}.", *money]))
    return "\n\n".join(blocks)


def _losses(compared: pd.DataFrame) -> list[str]:
    """Why what is sent now would not be sent then: a block with a line for each campaign and reason."""
    lost = compared[compared["now"] & ~compared["then"]]
    if lost.empty:
        return []
    counts = lost.groupby(["campaign", "reason"], sort=True).size().reset_index(name="offers")
    lines = [
        f"{row['campaign']:<20}{row['offers']:>10}  {row['reason']}" for _, row in counts.iterrows()
    ]
    return ["\n".join(["why they would lose it", *lines])]


def _block(by: str, compared: pd.DataFrame) -> str:
    lines: list[tuple[str, ...]] = [(by, *_HEAD[1:])]
    groups: list[tuple[str, pd.DataFrame]] = [
        (str(name), part) for name, part in compared.groupby(by, sort=True)
    ]
    for name, part in [*groups, ("all", compared)]:
        now, then = part["now"], part["then"]
        counts = (now.sum(), then.sum(), (then & ~now).sum(), (now & ~then).sum())
        lines.append((name, *(str(int(count)) for count in counts)))
    return "\n".join(
        f"{line[0]:<20}" + "".join(f"{cell:>10}" for cell in line[1:]) for line in lines
    )
