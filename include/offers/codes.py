"""Coupon codes, and the identities of triggers and messages."""

import math
import secrets
import uuid

#: Capital letters and digits without vowels (no words arise) and without look-alikes
#: (0/O/Q, 1/I/L, 2/Z, 5/S, 8/B, U/V).
ALPHABET = "CDFGHJKMNPRTVWXY34679"
GROUPS, GROUP_LENGTH = 3, 5

#: Bits of chance in one code: 65.9.
BITS = GROUPS * GROUP_LENGTH * math.log2(len(ALPHABET))

_NAMESPACE = uuid.UUID("6f1f0f1c-6d0d-5f0e-9a53-0b3a1f6f7d11")


def new_code() -> str:
    """A code such as `KDF7T-9XWPM-C4HRY`, from the system's secure random source."""
    # One draw among all codes there are, written in the alphabet: as likely as symbol by symbol, and faster.
    number = secrets.randbelow(len(ALPHABET) ** (GROUPS * GROUP_LENGTH))
    symbols = []
    for _ in range(GROUPS * GROUP_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        symbols.append(ALPHABET[place])
    starts = range(0, len(symbols), GROUP_LENGTH)
    return "-".join("".join(symbols[start : start + GROUP_LENGTH]) for start in starts)


def trigger_id(customer_id: str, campaign: str, period: str) -> str:
    """The one trigger of a customer, campaign and period."""
    return str(uuid.uuid5(_NAMESPACE, f"trigger|{customer_id}|{campaign}|{period}"))


def message_id(customer_id: str, channel: str, campaign: str, period: str) -> str:
    """The one message of a customer, channel, campaign and period."""
    return str(uuid.uuid5(_NAMESPACE, f"message|{customer_id}|{channel}|{campaign}|{period}"))
