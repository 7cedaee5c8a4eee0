"""What a trigger of campaigns is: its keys in the policy, whom it finds, what its message is about.

Each trigger is one module of `include/policy/triggers/`; docs/cookbooks/trigger.md adds one step by step.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from include.policy.base import Place, Section

if TYPE_CHECKING:
    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class Words(Protocol):
    """Amounts and days as the customer of a message writes them."""

    def money(self, amount: float) -> str:
        """An amount in the shop's currency."""
        ...

    def day(self, moment: date, *, year: bool = True) -> str:
        """A day, with or without its year."""
        ...


class Trigger(Section):
    """What a customer did, or what is about to happen, that a message answers.

    The fields of a subclass are its keys in the policy; `when` is its name and that of its module.

    Attributes
    ----------
    finds
        Whom it finds, as the table of docs/campaigns.md says it.
    ends
        When its reason has ended, so that a message that was decided does not leave, as a table beside that
        one says it. `include/sql/queries/again/<when>.sql` asks for it just before messages leave.
    template
        A folder of `include/offers/templates` with words for it, by every channel and in every language.
    needs
        The sources, beside customers and orders, that it finds customers in.
    query
        The file of `include/sql/queries/triggers` whose rows `find` chooses from, run for each campaign with
        the campaign's keys as parameters; None where customers and their lists say enough.
    has_own_period
        Whether what is found names the period that a message counts in, whatever `repeat` says.
    """

    finds: ClassVar[str]
    ends: ClassVar[str]
    template: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    query: ClassVar[str | None] = None
    has_own_period: ClassVar[bool] = False

    when: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What its query binds, beside `as_of`, `end` and `timezone`: its keys."""
        return self.model_dump(exclude={"when"})

    @property
    def is_about_one(self) -> bool:
        """Whether each message is about one thing (an event, a product): it may repeat with each."""
        return self.query is not None

    @property
    def is_offer(self) -> bool:
        """Whether the message offers the product that it is about: then one in stock, and free to sell."""
        return True

    @property
    def waits_days(self) -> int:
        """How many days after deciding a message may still wait for the day that it is for."""
        return 0

    @property
    def products(self) -> Mapping[str, list[str]]:
        """Columns of core.products, and the values that its keys ask for."""
        return {}

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """Place within the campaign, and sentence, of what its keys say against themselves or the policy."""
        yield from ()

    def doubts(self, policy: "Policy") -> Iterator[str]:
        """What is no fault and keeps it from finding anybody, as the end of a sentence."""
        yield from ()

    def asked_again(self, campaign: "Campaign", policy: "Policy") -> dict[str, Any]:
        """What the query that asks again binds, beside `messages`, `days` and `timezone`: its keys."""
        return self.parameters

    def find(self, day: "Day") -> "Found":
        """The customers that it finds on a business day, whatever their segment."""
        raise NotImplementedError

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """What its templates may fill in about what the message is for.

        Parameters
        ----------
        row
            The row of its query that was found; None where there is none.
        last_day
            The last day on which the message makes sense.
        words
            Amounts and days in the message's locale.
        """
        name = None if row is None else row["product"]
        return {"product": name} if isinstance(name, str) else {}
