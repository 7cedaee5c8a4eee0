"""The words of messages, from approved templates in `templates/<name>/<channel>.txt`.

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

TEMPLATES = Path(__file__).resolve().parent / "templates"

#: What every message must say, by channel: the name of the variable that must come out in the text.
REQUIRED = {
    "email": ("unsubscribe_url", "postal_address", "sender_name"),
    "sms": ("sender_name", "stop_word"),
}

#: What a text message tells people to answer who want no more.
STOP_WORD = "STOP"

_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")


class CopyError(ValueError):
    """One message cannot be written; others can."""


@dataclass(frozen=True)
class Copy:
    """The words of one message."""

    subject: str | None
    body: str
    body_html: str | None
    source: str


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def one_line(text: str) -> str:
    """Text without line breaks or control characters, so that it can start no header of its own."""
    return _SPACE.sub(" ", text).strip()


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write(template: str, channel: str, variables: dict[str, Any]) -> Copy:
    """The message of a template for one customer.

    Parameters
    ----------
    template, channel
        Folder and file of the template.
    variables
        What the template may fill in. Texts lose their line breaks.

    Raises
    ------
    CopyError
        When a variable is missing, or the text lacks what every message must say.
    """
    values = {name: _plain(value) for name, value in variables.items()}
    values["stop_word"] = STOP_WORD
    text = _render(f"{template}/{channel}.txt", values)
    subject = None
    if channel == "email":
        first, _, text = text.partition("\n")
        subject = one_line(first.removeprefix("Subject:"))
    body = text.strip()
    _require(f"{template}/{channel}.txt", body, channel, values, str)
    html = None
    if channel == "email" and (TEMPLATES / template / "email.html").is_file():
        html = _render(f"{template}/email.html", values)
        _require(f"{template}/email.html", html, channel, values, lambda value: str(escape(value)))
    return Copy(subject, body, html, f"template/{template}/{channel}")


def _require(
    name: str, text: str, channel: str, values: dict[str, Any], shown: Callable[[str], str]
) -> None:
    for required in REQUIRED[channel]:
        if shown(str(values.get(required) or "\0")) not in text:
            raise CopyError(
                f"Expected template {name} to say {required}, found it left out: add it."
            )


def _render(name: str, values: dict[str, Any]) -> str:
    try:
        return _environment().get_template(name).render(values)
    except TemplateError as error:
        raise CopyError(
            f"Expected template {name} to find all it fills in, found: {error.message}."
        ) from error
