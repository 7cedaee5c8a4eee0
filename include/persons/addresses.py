"""The one form of an address: identity, contact points, suppressions and sending all compare this.

E-mail addresses stand in small letters with their domain as mail servers write it (IDNA, RFC 5891), telephone
numbers in E.164. Invisible letters are taken out, and what has no such form is no address: whoever asks gives
it back with a reason.
"""

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from uuid import UUID

#: The longest address that a mail server takes (RFC 5321, 4.5.3.1.3).
LONGEST_EMAIL = 254

_LOCAL = re.compile(r"[^@\s<>()\[\],;:\"\\.]+(\.[^@\s<>()\[\],;:\"\\.]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"(tel:)?[-+\d\s()./\[\]\u2010-\u2015\u2212]+", re.IGNORECASE)


def normal(channel: str, text: str | None, region: str | None = None) -> str | None:
    """An address of a channel (email, sms, push) in its one form, or None where it has none.

    Parameters
    ----------
    region
        The country that telephone numbers without one are of, as `GB`.
    """
    if channel == "email":
        return email(text)
    if channel == "sms":
        return phone(text, region)
    token = visible(text)
    return token if token and not re.search(r"\s", token) else None


def visible(text: str | None) -> str:
    """A text without letters that nobody sees (joiners, marks of direction) and without blanks around it."""
    if text is None or (text.isascii() and text.isprintable()):
        return (text or "").strip()
    return "".join(
        letter for letter in text if unicodedata.category(letter) not in ("Cf", "Cc")
        or letter in "\t\n\r"
    ).strip()  # fmt: skip


def email(text: str | None) -> str | None:
    """An e-mail address in small letters, its domain in ASCII, or None where it is none."""
    address = unicodedata.normalize("NFKC", visible(text)).lower()
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        return None
    found = _ascii(domain.removesuffix("."))
    return f"{local}@{found}" if found and len(local) + len(found) < LONGEST_EMAIL else None


def _ascii(domain: str) -> str | None:
    if domain.isascii() and "xn--" not in domain:
        return domain if _DOMAIN.fullmatch(domain) else None
    import idna

    try:
        found = idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    return found if _DOMAIN.fullmatch(found) else None


def phone(text: str | None, region: str | None = None) -> str | None:
    """A telephone number in E.164, or None where it cannot be one, or its country is not said.

    A number is taken as soon as one could be so long there: the tables of those given out are never new
    enough. One with an extension is reached by nobody's text message.
    """
    number = unicodedata.normalize("NFKC", visible(text))
    return _phone(number, region) if number and _NUMBER.fullmatch(number) else None


@lru_cache(maxsize=4096)
def _phone(number: str, region: str | None) -> str | None:
    import phonenumbers

    tried = [(number, region)]
    if re.match(r"\s*00", number):  # the way out of most countries, also from those with another
        tried.append((re.sub(r"^\s*00", "+", number), None))
    for said, country in tried:
        try:
            found = phonenumbers.parse(said, country)
        except phonenumbers.NumberParseException:
            continue
        possible = phonenumbers.is_possible_number_with_reason(found)
        if possible == phonenumbers.ValidationResult.IS_POSSIBLE and not found.extension:
            return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
    return None


def hashed(channel: str, address: str, secret: bytes) -> UUID:
    """The keyed hash of an address in its one form, cut as a customer's pseudonym is."""
    digest = hmac.new(secret, f"{channel} {address}".encode(), hashlib.sha256).digest()
    return UUID(bytes=digest[:16])
