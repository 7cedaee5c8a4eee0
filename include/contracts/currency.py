"""The rules by which a table takes amounts in one currency, or such as were converted to it."""

from include.contracts.form import Contract, Reject

#: The column that says by what rate a row's amounts were converted to the shop's currency.
RATE = "exchange_rate"


def currency_rejects(contract: Contract, currency: str) -> list[Reject]:
    """The rules by which a table takes the shop's currency, and another one only with a rate."""
    found = []
    for column in contract.columns:
        if not column.currency:
            continue
        form = f"\"{column.name}\" ~ '^[A-Z]{{3}}$'"
        other = f"{form} AND \"{column.name}\" <> '{currency}'"
        found.append(
            Reject(
                reason=f"unknown_{column.name}",
                when=f"NOT {form}",
                expected="a currency code of three letters",
            )
        )
        if RATE in contract.column_names:
            found.append(
                Reject(
                    reason="missing_rate",
                    when=f"{other} AND {RATE} IS NULL",
                    expected="the currency of the shop, or a rate of its day, or of one at most "
                    "shop.rates_max_age_days before it, in the source exchange_rates; by bin/regulars replay "
                    "it comes in once there is one",
                )
            )
        else:
            found.append(
                Reject(
                    reason=f"foreign_{column.name}",
                    when=other,
                    expected="the currency of the shop, as its policy says: amounts are not converted",
                )
            )
    return found


def decimals(currency: str) -> int:
    """Decimals that amounts of a currency have: 2 of most, none of JPY, 3 of KWD."""
    from babel.numbers import get_currency_precision

    return int(get_currency_precision(currency))
