"""What an answer of a mail server or a gateway means, as the table of docs/delivery.md says it.

Refusals are told apart by whom they are said of. An enhanced status code (RFC 3463, registered by IANA) says
it best; without one, or with one that says nothing, the words of the answer do where they are plain.
"""

import re
from typing import Literal

from include.channels import Doubted, OutcomeUnknown, Refused, SenderRefused, Unavailable

#: `recipient`: never again for this message. `sender`: us. `sender_at_once`: us, and one answer is enough to
#: know. `doubt`: refused, not said whom. `later`: not now. `unknown`: perhaps taken.
Meaning = Literal["recipient", "sender", "sender_at_once", "doubt", "later", "unknown"]

#: Enhanced codes without their class, the longest that fits counts; those of 5.x.x.
ENHANCED: dict[str, Meaning] = {
    "1": "recipient", "1.0": "doubt", "1.7": "sender", "1.8": "sender", "1.9": "doubt",
    "2": "recipient", "2.0": "doubt",
    "3": "sender", "3.0": "doubt",
    "4": "doubt", "4.5": "sender",
    "5": "sender",
    "6": "doubt", "6.7": "recipient",
    "7": "sender", "7.2": "recipient", "7.8": "sender_at_once", "7.9": "sender_at_once",
    "7.13": "sender_at_once", "7.14": "sender_at_once", "7.17": "recipient", "7.18": "recipient",
}  # fmt: skip

#: Basic codes of SMTP that need no enhanced one.
BASIC: dict[int, Meaning] = {
    500: "sender", 501: "doubt", 502: "sender", 503: "sender", 504: "sender", 521: "sender",
    523: "sender", 530: "sender_at_once", 534: "sender_at_once", 535: "sender_at_once",
    538: "sender_at_once", 555: "sender", 556: "recipient",
}  # fmt: skip

#: Status codes of HTTP; others by their hundreds.
HTTP: dict[int, Meaning] = {
    400: "doubt", 401: "sender_at_once", 403: "sender_at_once", 407: "sender_at_once",
    408: "later", 409: "later", 410: "doubt", 422: "doubt", 425: "later", 429: "later",
    503: "later", 511: "sender_at_once",
}  # fmt: skip
HUNDREDS: dict[int, Meaning] = {1: "unknown", 3: "sender", 4: "sender", 5: "unknown"}

_FULL = re.compile(r"(mailbox|inbox|recipient|user).{0,40}(full|over ?quota|storage)", re.I)
_SENDER = re.compile(
    r"quota|limit|relay|sender|sending|from address|block|black ?list|\brbl\b|spam|authenticat|denied|"
    r"not permitted|not allowed|policy|reputation|\bhelo\b|\behlo\b|\bspf\b|dkim|dmarc|client|too many|"
    r"account.{0,20}(suspended|restricted)",
    re.I,
)
_RECIPIENT = re.compile(
    r"(no such|unknown|invalid|non-?existent).{0,20}(user|mailbox|recipient|address|account|person)|"
    r"(user|mailbox|recipient|address|account).{0,40}"
    r"(unknown|not found|not exist|n't exist|unavailable|disabled|inactive|invalid|unrouteable)",
    re.I,
)


def of_smtp(code: int, words: str) -> Meaning:
    """What a mail server's refusal of a recipient, or of the message, means.

    Parameters
    ----------
    code
        Of three digits.
    words
        The rest of the answer, its enhanced code first where it has one.
    """
    if code < 500:
        return "later"
    if code in BASIC and BASIC[code] == "sender_at_once":
        return BASIC[code]
    found = re.match(r"\s*5\.(\d{1,3})\.(\d{1,3})\b", words)
    meaning: Meaning = BASIC.get(code, "doubt")
    if found:
        subject, detail = str(int(found[1])), str(int(found[2]))
        meaning = ENHANCED.get(f"{subject}.{detail}", ENHANCED.get(subject, "doubt"))
    if meaning != "doubt":
        return meaning
    if _FULL.search(words):
        return "recipient"
    if _SENDER.search(words):
        return "sender"
    return "recipient" if _RECIPIENT.search(words) else "doubt"


def of_http(status: int) -> Meaning:
    """What a gateway's answer that is no success means."""
    return HTTP.get(status, HUNDREDS.get(status // 100, "unknown"))


def refusal(meaning: Meaning, who: str, answer: str) -> Exception:
    """The error that a provider raises for an answer; `who` answered, `answer` names it without its words."""
    if meaning == "recipient":
        return Refused(f"{who} refused it ({answer}).")
    if meaning == "doubt":
        return Doubted(f"{who} refused it ({answer}).")
    if meaning == "later":
        return Unavailable(f"{who} did not take it now ({answer}).")
    if meaning == "unknown":
        return OutcomeUnknown(f"{who} failed ({answer}).")
    return SenderRefused(f"{who} refuses us as sender ({answer}).", at_once=meaning != "sender")
