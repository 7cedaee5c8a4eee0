"""What a changed policy would do to the newest decided day, told as text."""

import pandas as pd

_HEAD = ("", "sent now", "would be", "gain", "lose")


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Every customer and campaign that is sent, would be sent, or both.

    Parameters
    ----------
    before, after
        Decisions of one day under the policy in force and under the new one: customer_id, segment,
        campaign, decision, cost_expected. Only `send` counts.

    Returns
    -------
    pd.DataFrame
        customer_id, campaign, segment (the new one where it has one), now and then (booleans), and
        cost_now and cost_then in the shop's currency.
    """
    keys = ["customer_id", "campaign"]
    sides = []
    for side, found in (("now", before), ("then", after)):
        sent = found[found["decision"] == "send"].set_index(keys)[["segment", "cost_expected"]]
        sides.append(sent.add_suffix(f"_{side}"))
    both = sides[0].join(sides[1], how="outer")
    return pd.DataFrame(
        {
            "segment": both["segment_then"].fillna(both["segment_now"]),
            "now": both["segment_now"].notna(),
            "then": both["segment_then"].notna(),
            "cost_now": both["cost_expected_now"].astype(float).fillna(0.0),
            "cost_then": both["cost_expected_then"].astype(float).fillna(0.0),
        }
    ).reset_index()


def tell(compared: pd.DataFrame, moved: int, currency: str) -> str:
    """The comparison as lines for a terminal: by campaign, by segment, in all, and the cost.

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
    cost_now, cost_then = compared["cost_now"].sum(), compared["cost_then"].sum()
    blocks.append(
        f"Customers in another segment: {moved}.\n"
        f"Expected cost of the day: {cost_now:,.2f} {currency} now, {cost_then:,.2f} {currency} then."
    )
    return "\n\n".join(blocks)


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
