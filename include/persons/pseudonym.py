"""Pseudonyms: a customer's number in the warehouse is a keyed hash of the shop's own.

HMAC-SHA-256 (RFC 2104), cut to 128 bits. The key stays outside the warehouse, so who reads the modelling
tables alone can neither learn nor test a shop number; rebuilding with the same key gives equal numbers.
"""

import hashlib
import hmac
import os
from uuid import UUID

from include import warehouse
from include.errors import BadInput

_SHORTEST_KEY = 16


def key() -> bytes:
    """The secret key, from REGULARS_PSEUDONYM_KEY or the state folder, as hexadecimal text.

    Raises
    ------
    BadInput
        When it is absent, too short, or no hexadecimal.
    """
    path = warehouse.state_folder() / "pseudonym.key"
    text = os.environ.get("REGULARS_PSEUDONYM_KEY") or (path.read_text() if path.exists() else "")
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""
    if len(found) < _SHORTEST_KEY:
        raise BadInput(
            f"Expected REGULARS_PSEUDONYM_KEY to be at least {_SHORTEST_KEY} bytes in hexadecimal, found "
            f"{len(found)} usable bytes: make one with `openssl rand -hex 32`, and keep it: with another "
            "key every customer would be a stranger."
        )
    return found


def pseudonym(number: str, secret: bytes) -> UUID:
    """The pseudonym of one shop number."""
    digest = hmac.new(secret, number.encode(), hashlib.sha256).digest()
    return UUID(bytes=digest[:16])
