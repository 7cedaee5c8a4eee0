"""Gateways that are spoken to in their own form: each a file of `config/gateways`, or of the shop's own.

A profile says the address, the headers, the body and how answers are read, and where that is documented.
`delivery.gateways` of the policy names one for each channel that has its own.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from include.channels import Outgoing
from include.channels.answers import Meaning, of_http
from include.errors import BadInput
from include.policy import ROOT, Delivery
from include.policy.base import Section, Text

#: Where profiles are that are named without a folder.
FOLDER = ROOT / "config" / "gateways"

#: What a body and headers may hold of a message and of the policy, in braces.
_PLACE = re.compile(r"\{(\w+)\}")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SUCCESS = range(200, 300)

Json = dict[str, Any] | list[Any] | str | int | float | bool | None


class Reading(Section):
    """How answers are read.

    Attributes
    ----------
    name
        Where an answer that is a success says its own name for the message: keys and places with dots.
    code
        Where an answer says the gateway's own code.
    taken
        The codes that an answer of success holds; left out, every one of them is.
    means
        Code -> what it means, before the status of HTTP is asked.
    """

    name: Text
    code: Text | None = None
    taken: list[str] | None = None
    means: dict[str, Meaning] = Field(default_factory=dict)


class Profile(Section):
    """A gateway. `{to}` and its like stand for the message, `${NAME}` for a variable of the environment."""

    documentation: Annotated[list[Annotated[str, Field(pattern=r"^https://")]], Field(min_length=1)]
    channels: Annotated[list[Literal["email", "sms", "push"]], Field(min_length=1)]
    address: Text
    #: Whether the gateway drops a second copy of a message by its Idempotency-Key.
    drops_copies: bool = False
    send_headers: dict[str, Text]
    body: dict[str, Json]
    answers: Reading
    #: Of the policy: who sends.
    sender: dict[str, str] = Field(default_factory=dict, exclude=True)

    def content(self, message: Outgoing) -> Any:
        """The body for a message; what of it the message does not have is left out."""
        return _filled(self.body, self._places(message))

    def headers(self, message: Outgoing) -> dict[str, str]:
        """The headers for a message."""
        places = self._places(message)
        return {name: str(_filled(value, places)) for name, value in self.send_headers.items()}

    def meaning(self, status: int, told: Any) -> tuple[Meaning | None, str | None]:
        """What an answer means (None: taken), and the gateway's own code in it."""
        read = self.answers
        found = _at(told, read.code) if read.code else None
        code = None if found is None else str(found)
        if code is not None and code in read.means:
            return read.means[code], code
        if status in _SUCCESS:
            taken = read.taken is None or code in read.taken
            return (None if taken else "unknown"), code
        return of_http(status), code

    def name_in(self, told: Any) -> Any:
        """The gateway's name for a message that it took."""
        return _at(told, self.answers.name)

    def _places(self, message: Outgoing) -> dict[str, str | None]:
        return self.sender | message.told() | {"unsubscribe_url": message.unsubscribe_url}


PLACES = (
    "message_id", "channel", "campaign", "to", "subject", "text", "html", "unsubscribe_url",
    "sender_name", "sender_address",
)  # fmt: skip


def of_channel(channel: str, delivery: Delivery) -> Profile | None:
    """The profile that the policy names for a channel; None where it names none.

    Raises
    ------
    BadInput
        When there is no such file, it is no profile, or a variable that it asks for is not set.
    """
    name = delivery.gateways.of(channel)
    if name is None:
        return None
    path = Path(name) if "/" in name else FOLDER / f"{name}.yml"
    profile = read(path if path.is_absolute() else ROOT / path)
    if channel not in profile.channels:
        raise BadInput(
            f"Expected a gateway for {channel} under delivery.gateways, found {path.name}, which takes "
            f"{' and '.join(profile.channels)}: name another."
        )
    sender = {"sender_name": delivery.sender_name, "sender_address": delivery.sender_address}
    return profile.model_copy(update={"sender": sender})


def read(path: Path) -> Profile:
    """The profile in a file, with the environment's variables in their places."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yml")))
        raise BadInput(
            f"Expected a gateway's profile in {path}, found no file: correct delivery.gateways of the "
            f"policy; shipped are {there}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f"{path}:{line + 1}" if line is not None else str(path)
        raise BadInput(
            f"Expected a gateway's profile in {where}, found no YAML: correct it."
        ) from error
    try:
        profile = Profile.model_validate(_with_variables(document, path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{path}: {place}: {first['msg']}; correct it.") from error
    for place in sorted(set(_PLACE.findall(str(profile.body) + str(profile.send_headers)))):
        if place not in PLACES:
            raise BadInput(
                f"Expected one of {', '.join(PLACES)} in braces in {path}, found {{{place}}}: correct it."
            )
    return profile


def _with_variables(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _with_variables(inner, path) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_variables(inner, path) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        held = os.environ.get(found[1], "")
        if not held:
            raise BadInput(
                f"Expected the variable {found[1]} that {path.name} asks for, found none: set it in the "
                "environment of the scheduler."
            )
        return held

    return _VARIABLE.sub(variable, value)


def _filled(value: Any, places: dict[str, str | None]) -> Any:
    """A body with its places filled; a key whose whole value is one that is missing is left out."""
    if isinstance(value, dict):
        filled = {key: _filled(inner, places) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not None}
    if isinstance(value, list):
        return [_filled(inner, places) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _PLACE.fullmatch(value)
    if whole:
        return places.get(whole[1])
    return _PLACE.sub(lambda found: places.get(found[1]) or "", value)


def _at(told: Any, path: str) -> Any:
    """What stands at a path as `errors.0.code`; None where nothing does."""
    for step in path.split("."):
        if isinstance(told, dict):
            told = told.get(step)
        elif isinstance(told, list) and step.isdigit() and int(step) < len(told):
            told = told[int(step)]
        else:
            return None
    return told
