"""The question to a person before offers above the policy's limit leave, as a task of Airflow.

It stands behind the gate that publishes the decisions: whatever is answered, the day's other offers are
published and sent, and only what waits is let pass or stopped.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

from include import as_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class OfferApproval(ApprovalOperator):
    """Ask about the day's offers that wait for approval, and act on the answer.

    Skipped where nothing waits. No answer within the policy's time is a rejection. The answer is written
    to `marketing.approvals` and moves the coupon triggers in the same transaction, so that a task that
    dies in between is asked again and nothing has left.

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
        """Write down what waits, show it, and wait for the answer."""
        from include.steps import approve

        question = approve.ask(as_of.business_day(context), context["dag_run"].run_id)
        if question is None:
            raise AirflowSkipException("Nothing waits for approval.")
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
