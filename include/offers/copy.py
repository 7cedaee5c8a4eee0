"""The words of messages, from approved templates in `templates/<name>/<channel>[.<locale>].txt`.

Templates are Jinja in a sandbox; what is filled in is data and never template text, so braces in a
customer's name stay braces. An e-mail's first line is its subject; `<channel>.html`, where it exists, is
the same message as HTML, with everything that is filled in escaped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from include.offers import sms

TEMPLATES = Path(__file__).resolve().parent / "templates"

#: What every message must say, by channel: the name of the variable that must come out in the text.
REQUIRED = {
    "email": ("unsubscribe_url", "postal_address", "sender_name"),
    "sms": ("sender_name", "stop_word"),
    # A device shows which app it comes from and lets its owner turn it off.
    "push": ("sender_name",),
}

#: What the till asks of a basket, or takes off at most: said wherever a coupon's code is.
TERMS = ("minimum_spend", "at_most")

#: What a text message tells people to answer who want no more.
STOP_WORD = "STOP"

#: Characters of a subject, and bytes of an HTML part: what is longer is cut by mail programs.
LONGEST_SUBJECT, LONGEST_HTML = 150, 100_000

#: Characters of a push notification that a locked screen shows.
LONGEST_PUSH = 178

#: Blanks that do not break, as some languages write them in amounts.
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " "})

_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")


class CopyError(ValueError):
    """One message cannot be written; others can."""


@dataclass(frozen=True)
class Copy:
    """The words of one message.

    Attributes
    ----------
    source
        The template that they come from.
    parts
        What a text message is sent in; None for mail.
    """

    subject: str | None
    body: str
    body_html: str | None
    source: str
    parts: int | None


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
    )


def locale_of(template: str, channel: str, locale: str, default: str) -> str:
    """The locale that a message's words, days and amounts are all written in.

    The customer's, where the template is written in its language; else the shop's, so that no message mixes
    two languages. Where both speak one language the customer's days and amounts need no template.

    Parameters
    ----------
    locale, default
        The customer's, and the shop's.
    """
    language = locale.partition("_")[0]
    is_written = _localised(template, channel, "txt", locale) != channel
    return locale if is_written or language == default.partition("_")[0] else default


def one_line(text: str) -> str:
    """Text without line breaks or control characters, so that it can start no header of its own."""
    return _SPACE.sub(" ", text).strip()


def _one_lined(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list | tuple):
        return [_one_lined(item) for item in value]
    return value


def write(
    template: str,
    channel: str,
    variables: dict[str, Any],
    locale: str = "",
    most_parts: int | None = None,
) -> Copy:
    """The message of a template for one customer.

    Parameters
    ----------
    template, channel
        Folder and file of the template.
    variables
        What the template may fill in. Texts lose their line breaks.
    locale
        The customer's: `<channel>.<locale>.txt` is taken where it exists, else that of the language alone,
        else `<channel>.txt`.
    most_parts
        The most parts that a text message may be sent in; None for any number.

    Raises
    ------
    CopyError
        When a variable is missing, or the text lacks what every message must say, or is too long.
    """
    values = {name: _one_lined(value) for name, value in variables.items()}
    values["stop_word"] = STOP_WORD
    name = _localised(template, channel, "txt", locale)
    text = _render(f"{template}/{name}.txt", values)
    subject = None
    if channel == "email":
        first, _, text = text.partition("\n")
        subject = one_line(first.removeprefix("Subject:"))
        if not subject or len(subject) > LONGEST_SUBJECT:
            raise CopyError(
                f"Expected template {template}/{name}.txt to give a subject of 1 to {LONGEST_SUBJECT} "
                f"characters, found {len(subject)}: shorten it."
            )
    body = text.strip()
    if channel == "sms":
        # One of them would have the whole text sent in the longer encoding.
        body = body.translate(_BLANKS)
        values = {n: v.translate(_BLANKS) if isinstance(v, str) else v for n, v in values.items()}
    _require(f"{template}/{name}.txt", body, channel, values, str)
    parts = None
    if channel == "sms":
        counted = sms.length(body)
        parts = counted.parts
        if most_parts is not None and parts > most_parts:
            raise CopyError(
                f"Expected template {template}/{name}.txt to give at most {most_parts} parts, found {parts} "
                f"({counted.units} units in {counted.encoding}): shorten it, or raise caps.sms_parts."
            )
    if channel == "push" and len(body) > LONGEST_PUSH:
        raise CopyError(
            f"Expected template {template}/{name}.txt to give at most {LONGEST_PUSH} characters, found "
            f"{len(body)}: shorten it."
        )
    html = None
    if channel == "email" and (TEMPLATES / template / f"{name}.html").is_file():
        html = _render(f"{template}/{name}.html", values)
        shown = f"{template}/{name}.html"
        _require(shown, html, channel, values, lambda value: str(escape(value)))
        if len(html.encode()) > LONGEST_HTML:
            raise CopyError(
                f"Expected template {shown} to give at most {LONGEST_HTML} bytes, which mail programs show "
                f"uncut, found {len(html.encode())}: shorten it."
            )
    return Copy(subject, body, html, f"template/{template}/{name}", parts)


@cache
def _localised(template: str, channel: str, kind: str, locale: str) -> str:
    """The file of a template, without its ending, that fits a locale best."""
    language = locale.partition("_")[0]
    for suffix in (f".{locale}", f".{language}"):
        if (TEMPLATES / template / f"{channel}{suffix}.{kind}").is_file():
            return f"{channel}{suffix}"
    return channel


def _require(
    name: str, text: str, channel: str, values: dict[str, Any], shown: Callable[[str], str]
) -> None:
    for required in REQUIRED[channel]:
        if shown(str(values.get(required) or "\0")) not in text:
            raise CopyError(
                f"Expected template {name} to say {required}, found it left out: add it."
            )
    code = values.get("coupon_code")
    for term in TERMS:
        if code and code in text and values.get(term) and shown(values[term]) not in text:
            raise CopyError(
                f"Expected template {name} to say {term} where it gives a coupon, since the till asks for "
                'it, found it left out: add {% include "_terms.txt" %}.'
            )


def _render(name: str, values: dict[str, Any]) -> str:
    try:
        return _environment().get_template(name).render(values)
    except TemplateError as error:
        raise CopyError(
            f"Expected template {name} to find all it fills in, found: {error.message}."
        ) from error
