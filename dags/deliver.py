"""What is due leaves: approved messages, each sent once, within the send window.

What it does: claims messages that are due and approved, checks consent, age and caps once more, sends
each through its channel (the outbox table where none is configured), and records what became of it.
Messages past their window are cancelled as expired.
Normal: seconds; every five minutes. Nothing leaves during quiet hours or while sends are paused
(`bin/regulars pause-sends`). A message that its provider could not take is tried again later.
If it fails: safe to clear at any time, and the next run does the same by itself. No message goes out
twice: what a broken run may have handed over by e-mail is marked `dead` with `outcome unknown` instead.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include import wiring
from include.wiring import Audience, Tier


@task
def send_messages() -> dict[str, Any]:
    from include.steps.delivery import deliver

    return deliver.send()


@dag(
    schedule=timedelta(minutes=5),
    max_active_runs=1,
    **wiring.settings(__doc__, Tier.STOPS_MARKETING, Audience.MARKETING, Audience.ON_CALL),
)
def regulars_deliver() -> None:
    send_messages()


regulars_deliver()
