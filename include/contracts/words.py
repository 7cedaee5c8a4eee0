"""What shops write for one thing: the words of channels, of purposes, and of a clear yes.

One table, for whatever reads an answer or an address: `e-mail`, `Mail ` and `EMAIL` are one channel, and
only what stands under `yes` is a yes.

Pure: neither database nor clock.
"""

import unicodedata
from collections.abc import Mapping

#: What is meant -> how shops write it; compared without case, blanks, hyphens and invisible letters.
CHANNELS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "mail", "emails", "mails", "emailaddress", "correo", "courriel", "newsletter",),
    "sms": ("sms", "text", "texts", "textmessage", "mobile", "mobilephone", "cell", "cellphone", "phone",
            "telephone", "tel", "handy", "mms"),
    "push": ("push", "app", "pushnotification", "pushnotifications", "notification", "webpush"),
    "all": ("all", "any", "every", "everything", "global", "*", "alle", "todos", "tous", "total"),
}  # fmt: skip
PURPOSES: Mapping[str, tuple[str, ...]] = {
    "marketing": ("marketing", "advertising", "advertisement", "ads", "newsletter", "newsletters",
                  "promotion", "promotions", "promo", "promotional", "offers", "commercial",
                  "directmarketing",
                  "emailmarketing", "werbung", "publicidad", "publicite", "all", "any", "everything", "*"),
    # A no to one of these is none to marketing.
    "service": ("service", "transactional", "order", "orders"),
    "analytics": ("analytics", "statistics", "cookies"),
    "terms": ("terms", "termsandconditions", "agb"),
}  # fmt: skip
YES = (
    "true", "t", "yes", "y", "1", "on", "ja", "j", "oui", "si", "sí", "granted", "optin", "optedin",
    "subscribed",
)  # fmt: skip

_CHANNELS = {word: name for name, words in CHANNELS.items() for word in words}
_PURPOSES = {word: name for name, words in PURPOSES.items() for word in words}


def bare(text: str | None) -> str:
    """A word without case, accents, blanks, hyphens and invisible letters."""
    plain = unicodedata.normalize("NFKD", (text or "").casefold())
    return "".join(letter for letter in plain if letter.isalnum() or letter == "*")


def channel(text: str | None) -> str | None:
    """The channel that a word means, `all` for every one, or None where it means none that is known."""
    return _CHANNELS.get(bare(text))


def purpose(text: str | None) -> str | None:
    """The purpose that a word means, or None where it means none that is known."""
    return _PURPOSES.get(bare(text))
