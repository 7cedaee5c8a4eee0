"""What will be wanted, by whom, and what to keep of each product in each region.

What it does: forecasts the demand of products and product types for eight weeks (`ml.demand_forecasts`), and
publishes `marketing.stock_priorities`: what high-value customers will want is kept first, what only low-value
customers are expected to want can be reduced, each with its expected cost. The next day's recommendations and
coupons keep to it.
Normal: under a minute; woken once a day by scores. A shop less than four weeks old gets no rows, with a
warning.
If it fails: safe to clear at any time; nothing is sent or decided by it. Buyers keep yesterday's priorities,
and the next day's recommendations and coupons are not limited by stock.
"""

from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def build_stock_priorities(**context: Any) -> dict[str, Any]:
    from include.steps import stock

    return stock.build(wiring.run_of(context))


@task(outlets=[wiring.asset("stock_priorities")])
def gate_stock_priorities(batch: dict[str, Any], **context: Any) -> dict[str, int]:
    from include.steps import gate, stock

    counts = gate.gate(batch, rebuild=stock.build)
    wiring.announce(context, "stock_priorities", batch["as_of"])
    return counts


@dag(
    schedule=wiring.woken_by("scores"),
    **wiring.settings(__doc__, Tier.DELAYS, Audience.MARKETING),
)
def regulars_stock() -> None:
    gate_stock_priorities(build_stock_priorities())


regulars_stock()
