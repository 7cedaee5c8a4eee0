"""A customer's birthday is near."""

import calendar
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from include.policy.base import Place
from include.policy.trigger import Trigger, Words

if TYPE_CHECKING:
    import pandas as pd

    from include.policy import Campaign, Policy
    from include.policy.finding import Day, Found


class Birthday(Trigger):
    """Customers whose birthday is at most `lead_days` ahead of the day after the business day."""

    finds: ClassVar[str] = "whose birthday is near; once a year, never late"
    ends: ClassVar[str] = "the birthday is past, or another day"
    template: ClassVar[str] = "birthday"
    # A birthday belongs to the year it is in, which may be the next one.
    has_own_period: ClassVar[bool] = True

    when: Literal["birthday"]
    lead_days: Annotated[int, Field(ge=0, le=60)]
    leap_day: Literal["02-28", "03-01"]

    @property
    def waits_days(self) -> int:
        """Until the day itself, which is `lead_days` after the first day of sending."""
        return self.lead_days + 1

    def contradictions(self, campaign: "Campaign", policy: "Policy") -> Iterator[tuple[Place, str]]:
        """Once a year."""
        if campaign.repeat != "year":
            yield (
                ("repeat",),
                (
                    f"expected year for a birthday campaign, found {campaign.repeat}; write repeat: year."
                ),
            )

    def find(self, day: "Day") -> "Found":
        """Those whose next birthday is near, each until the day itself."""
        import pandas as pd

        from include.policy.finding import Found

        sending = day.as_of + timedelta(days=1)
        next_one = next_birthday(day.customers["birth_date"], sending, self.leap_day)
        ahead = (next_one - pd.Timestamp(sending)).dt.days
        chosen = day.those((ahead <= self.lead_days).to_numpy()).customer
        days = next_one.to_numpy()[chosen]
        return Found(chosen, pd.DatetimeIndex(days).year.astype(str).to_numpy(dtype=object), days)

    def occasion(
        self, row: Mapping[str, Any] | None, last_day: date | None, words: Words
    ) -> dict[str, Any]:
        """The day, without the year."""
        return {"birthday": words.day(last_day, year=False)} if last_day else {}


def next_birthday(birth_dates: "pd.Series", today: date, leap_day: str) -> "pd.Series":
    """The first birthday on or after a day.

    Somebody born on 29 February keeps the birthday on `leap_day` ("02-28" or "03-01") in years without
    one. Missing birth dates stay missing.
    """
    import pandas as pd

    born = pd.to_datetime(birth_dates)
    this_year = _birthday_in(born, today.year, leap_day)
    next_year = _birthday_in(born, today.year + 1, leap_day)
    return this_year.where(this_year >= pd.Timestamp(today), next_year)


def _birthday_in(born: "pd.Series", year: int, leap_day: str) -> "pd.Series":
    import pandas as pd

    month, day = born.dt.month, born.dt.day
    if not calendar.isleap(year):
        missing = (month == 2) & (day == 29)
        kept_month, kept_day = (int(part) for part in leap_day.split("-"))
        month, day = month.mask(missing, kept_month), day.mask(missing, kept_day)
    return pd.to_datetime(
        pd.DataFrame({"year": year, "month": month, "day": day}, index=born.index), errors="coerce"
    ).astype("datetime64[s]")
