"""The question to a person before offers above the policy's limit leave, as a task of Airflow.

It stands behind the gate that publishes the decisions: whatever is answered, the day's other offers are
published and sent, and only what waits is let pass or stopped.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from include import as_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.steps.approve import Question

#: How long the trigger waits before it looks: the scheduler has then read that the attempt which started it
#: has ended, and takes nothing for lost.
LOOK_AFTER_SECONDS = 5.0

#: How long an attempt waits for the triggerer; longer, and on-call is told by a failed task.
LOOK_WITHIN = timedelta(minutes=10)


class EarlierAnswer(BaseTrigger):
    """Look once whether a question of a task was answered already.

    Only the triggerer can read an answer; a task can write its question, which removes the answer.

    Parameters
    ----------
    ti_id
        Airflow's id of the task instance.
    seconds
        How long to wait before looking.
    """

    def __init__(self, ti_id: str, seconds: float = LOOK_AFTER_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti_id = ti_id
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as the triggerer makes it again."""
        return "include.wiring.approval.EarlierAnswer", {
            "ti_id": self.ti_id,
            "seconds": self.seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The answer as `execute_complete` takes it, or an empty one where there is none."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent(await self._answer())  # type: ignore[no-untyped-call]

    async def _answer(self) -> dict[str, Any]:
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        try:
            found = await sync_to_async(get_hitl_detail_content_detail)(ti_id=UUID(self.ti_id))
        except AirflowRuntimeError as error:
            # The earlier attempt ended before it had asked.
            if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:
                return {}
            raise
        if not (found.response_received and found.chosen_options):
            return {}
        user = found.responded_by_user
        return {
            "chosen_options": list(found.chosen_options),
            "params_input": found.params_input or {},
            "responded_at": found.responded_at,
            "responded_by_user": {"id": user.id, "name": user.name} if user else None,
        }


class OfferApproval(ApprovalOperator):
    """Ask about the day's offers that wait for approval, and act on the answer.

    Skipped where nothing waits. No answer within the policy's time is a rejection. The answer is written
    to `marketing.approvals` and moves the coupon triggers in the same transaction.

    An answer that was given is never asked for again. Where the task is tried again or cleared, it first
    looks for the answer to its earlier attempt and acts on that. Airflow 3.3 brings this about by itself:
    an answer within about two seconds after the task was parked resumes it before the scheduler has read
    that the process which asked has ended. The scheduler then takes that end for the resumed attempt's
    (`process_executor_events`: finished with success, but the task is queued), and tries it again from
    `execute`, where asking would remove the answer.

    Parameters
    ----------
    timeout_hours
        `approvals.timeout_hours` of the policy.
    """

    def __init__(self, *, timeout_hours: int, **more: Any) -> None:
        super().__init__(
            subject="Offers that wait for approval",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=timeout_hours),
            **more,
        )

    def execute(self, context: "Context") -> Any:
        """Write down what waits, show it, and wait for the answer, unless it was answered before."""
        question = self._question(context)
        ti = context["task_instance"]
        if ti.try_number > 1:
            self.defer(
                trigger=EarlierAnswer(str(ti.id)), method_name="execute_again", timeout=LOOK_WITHIN
            )
        return self._ask(question, context)

    def execute_again(self, context: "Context", event: dict[str, Any]) -> Any:
        """Act on the answer to an earlier attempt; ask where there is none."""
        if not event:
            return self._ask(self._question(context), context)
        self.log.info("Answered before, at %s: nobody is asked again.", event["responded_at"])
        return self.execute_complete(context, event)

    def _question(self, context: "Context") -> "Question":
        from include.steps import approve

        question = approve.ask(as_of.business_day(context), context["dag_run"].run_id)
        if question is None:
            raise AirflowSkipException("Nothing waits for approval.")
        return question

    def _ask(self, question: "Question", context: "Context") -> Any:
        self.subject, self.body = question.subject, question.body
        return super().execute(context)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> Any:
        """Act on the answer."""
        from include.steps import approve

        answer = super().execute_complete(context, event)
        user = answer["responded_by_user"] or {}
        approve.settle(
            as_of.business_day(context),
            approved=answer["chosen_options"] == [self.APPROVE],
            answered_by=user.get("name") or user.get("id"),
            answered_at=answer["responded_at"],
        )
        return answer
