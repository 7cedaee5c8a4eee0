"""Amounts and days as people write them where they live (CLDR, through Babel)."""

from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from babel import Locale, dates, numbers

_CENT = 0.005


@dataclass(frozen=True)
class Words:
    """Amounts and days of one message, as `include.policy.trigger` fills them in."""

    currency: str
    locale: str

    def money(self, amount: float) -> str:
        """An amount in the shop's currency."""
        return money(amount, self.currency, self.locale)

    def day(self, moment: date, *, year: bool = True) -> str:
        """A day, with or without its year."""
        return day(moment, self.locale, year=year)


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name)


@lru_cache(maxsize=10_000)
def money(amount: float, currency: str, locale: str) -> str:
    """An amount of money; whole ones without decimals: `$15`, `$7.50`, `15 €`."""
    where = _locale(locale)
    if abs(amount - round(amount)) >= _CENT:
        return str(numbers.format_currency(amount, currency, locale=where))
    pattern = where.currency_formats["standard"].pattern.replace("0.00", "0")
    return str(
        numbers.format_currency(
            round(amount), currency, pattern, locale=where, currency_digits=False
        )
    )


@lru_cache(maxsize=10_000)
def day(moment: date, locale: str, *, year: bool = True) -> str:
    """A day in words: `October 2, 2017`, `2. Oktober 2017`."""
    where = _locale(locale)
    if year:
        return str(dates.format_date(moment, "long", locale=where))
    return str(dates.format_skeleton("MMMMd", moment, locale=where))
