"""A YAML text as a validated model, each fault in one sentence with the line where it stands."""

import difflib
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import date, time
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from include.policy.base import Place, PolicyError

#: Places of a document and levels of one: a policy has some hundreds and six. Aliases of aliases (`*name`)
#: can say more than any machine holds.
MOST_PLACES, DEEPEST = 50_000, 40

Model = TypeVar("Model", bound=BaseModel)


def parse(
    text: str,
    name: str,
    model: type[Model],
    contradictions: Callable[[Model], Iterable[tuple[Place, str]]],
) -> Model:
    """The model in a YAML text.

    Parameters
    ----------
    name : str
        The file that errors speak of.
    contradictions : callable
        Place and sentence of what each section allows and the whole does not; asked only about
        documents whose sections are right.

    Raises
    ------
    PolicyError
        With one sentence for each thing that is wrong.
    """
    lines, document = _document(text, name)
    try:
        parsed = model.model_validate(document)
    except ValidationError as error:
        errors: list[dict[str, Any]] = [dict(e) for e in error.errors(include_url=False)]
        meant = {_meant(e, model) for e in errors}
        # A key that is misspelt is one fault, not one too many and one too few.
        errors = [e for e in errors if not (e["type"] == "missing" and tuple(e["loc"]) in meant)]
        found = [_from_pydantic(e, document, model) for e in errors]
    else:
        found = list(contradictions(parsed))
    if found:
        placed = sorted((lines.of(path), sentence, path) for path, sentence in found)
        raise PolicyError(
            [f"{name}:{line}: {_dotted(path)}{sentence}" for line, sentence, path in placed]
        )
    return parsed


class _Lines:
    """The line of every path in a YAML document."""

    def __init__(self) -> None:
        self.known: dict[Place, int] = {(): 1}

    def of(self, path: Place) -> int:
        while path not in self.known:
            path = path[:-1]
        return self.known[path]


def _document(text: str, name: str) -> tuple[_Lines, Any]:
    """The YAML document and the lines of its parts.

    Raises
    ------
    PolicyError
        When the text is not YAML, holds a key twice, or is not a mapping.
    """
    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        lines, twice = _Lines(), []
        if node is not None:
            for path, line, again in _walk(node, ()):
                if again:
                    twice.append((line, path))
                lines.known.setdefault(path, line)
                if len(lines.known) > MOST_PLACES or len(path) > DEEPEST:
                    raise PolicyError(
                        [
                            f"{name}:{line}: expected at most {MOST_PLACES:,} keys and values in at most "
                            f"{DEEPEST} levels, found more, by aliases (*) within what they stand for: write "
                            "them out."
                        ]
                    )
        document = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "text that is not YAML"
        told = (
            f"expected YAML, found: {problem}; check indentation, colons and quotes on this line and the "
            "one above."
        )
        written = text.splitlines()[line - 1 : line]
        if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
            told = "expected spaces at the beginning of the line, found a tab; put spaces in its place."
        raise PolicyError([f"{name}:{line}: {told}"]) from error
    except ValueError as error:  # 2017-02-30, which YAML takes for a date
        wrong = next(_impossible(loader_class, node), None)
        line, value = (wrong.start_mark.line + 1, wrong.value) if wrong else (1, str(error))
        raise PolicyError(
            [f"{name}:{line}: expected a date that exists, found {value} ({error}); correct it."]
        ) from error
    finally:
        loader.dispose()
    if twice:
        raise PolicyError(
            [
                (
                    f"{name}:{line}: {_dotted(path)}expected each key once, found it a second time; "
                    "remove one of the two."
                )
                for line, path in twice
            ]
        )
    if not isinstance(document, dict):
        raise PolicyError(
            [
                (
                    f"{name}:1: expected sections such as shop, segments and campaigns, found "
                    f"{'nothing' if document is None else repr(document)[:60]}; "
                    "start from config/policy.yml."
                )
            ]
        )
    return lines, document


def _walk(node: yaml.Node, path: Place) -> Iterator[tuple[Place, int, bool]]:
    """Every path with its line, and whether its key stands there a second time."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1, str(key.value) in seen
            seen.add(str(key.value))
            yield from _walk(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1, False
            yield from _walk(value, (*path, index))


def _impossible(loader_class: Any, node: Any) -> Iterator[yaml.ScalarNode]:
    """Scalars that look like a date or number and are none."""
    if isinstance(node, yaml.ScalarNode):
        loader = loader_class("")
        try:
            loader.construct_object(node)
        except ValueError:
            yield node
        finally:
            loader.dispose()
    elif isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                yield from _impossible(loader_class, part)


def _dotted(path: Place) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return f"{text}: " if text else ""


def _quoted(value: Any) -> str:
    text = repr(value) if not isinstance(value, date | time) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _from_pydantic(
    error: dict[str, Any], document: Any, root: type[BaseModel]
) -> tuple[Place, str]:
    """The place and the sentence of one of pydantic's errors."""
    path = _existing(tuple(error["loc"]), document, root, missing=error["type"] == "missing")
    kind = error["type"]
    if kind == "missing":
        return path[:-1], (
            f"expected the key '{path[-1]}', found none; add it, as the project's config/policy.yml does."
        )
    if kind == "extra_forbidden":
        keys = _keys_at(tuple(error["loc"])[:-1], root)
        meant = _meant(error, root)
        advice = f"write '{meant[-1]}'" if meant else "remove it"
        return path, f"expected one of the keys {', '.join(keys)}; found '{path[-1]}'; {advice}."
    expected = str(error["msg"])
    if kind == "string_pattern_mismatch":
        expected = _PATTERNS.get(error["ctx"]["pattern"], expected)
    elif kind in ("union_tag_not_found", "union_tag_invalid"):
        key = str(error["ctx"]["discriminator"]).strip("'")
        known = [tag for model in _models_at(tuple(error["loc"]), root) for tag in _tags(model)]
        tags = error["ctx"].get("expected_tags") or ", ".join(f"'{tag}'" for tag in known)
        wrong = error["ctx"].get("tag")
        return path, f"expected `{key}` to be one of {tags}; found {_quoted(wrong)}; correct it."
    for start in ("Input should be ", "Value error, "):
        expected = expected.removeprefix(start)
    expected = expected[0].lower() + expected[1:]
    return path, f"expected {expected}, found {_quoted(error['input'])}; correct the value."


def _meant(error: dict[str, Any], root: type[BaseModel]) -> Place | None:
    """The place of the known key that an unknown one looks like; None where there is none."""
    *above, key = error["loc"]
    if error["type"] != "extra_forbidden":
        return None
    close = difflib.get_close_matches(str(key), _keys_at(tuple(above), root), n=1)
    return (*above, close[0]) if close else None


_PATTERNS = {
    r"^[a-z][a-z0-9_]{1,39}$": "a name of small letters, digits and underscores",
    r"^[A-Z]{3}$": "a currency code of three capital letters",
    r"^[^@\s]+@[^@\s]+$": "an e-mail address",
    r"^https?://\S+$": "a web address",
}


def _existing(loc: Place, document: Any, root: type[BaseModel], *, missing: bool) -> Place:
    """The location without the names of union members, which the file does not have."""
    path: list[str | int] = []
    here = document
    for position, part in enumerate(loc):
        members = _models_at(loc[:position], root)
        if len(members) > 1 and any(part in _tags(model) for model in members):
            continue  # even where the member has a key of the same name
        last = position == len(loc) - 1
        keyed = isinstance(here, dict) and part in here
        listed = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if keyed or listed:
            here = here[part]
        elif not (last and missing):
            continue
        path.append(part)
    return tuple(path)


def _keys_at(loc: Place, root: type[BaseModel]) -> list[str]:
    """The keys that the policy knows at a place."""
    models = _models_at(loc, root)
    return list(models[0].model_fields) if models else []


def _models_at(loc: Place, root: type[BaseModel]) -> list[Any]:
    """The models that may stand at a place; of a union, the one that its tag names."""
    here: list[Any] = [root]
    for part in loc:
        if isinstance(part, int):
            continue
        below = [
            model
            for owner in here
            if part in owner.model_fields
            for model in _models_in(owner.model_fields[part].annotation)
        ]
        here = below or [model for model in here if part in _tags(model)]
    return here


def _tags(model: type[BaseModel]) -> list[Any]:
    """The values of a model's fields that can only be one thing."""
    fixed = [f.annotation for f in model.model_fields.values()]
    return [get_args(a)[0] for a in fixed if get_origin(a) is Literal and len(get_args(a)) == 1]


def _models_in(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
