"""Triggers of campaigns, one module each: keys, finder, query, occasion, template, line in the docs.

`KINDS` has every trigger by the name that `when` calls it, found by looking into this folder: a module here
is a trigger. `AnyTrigger` is what a campaign's `trigger` may be.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from include.policy.trigger import Trigger

__all__ = ["KINDS", "AnyTrigger", "kinds"]


def kinds() -> dict[str, type[Trigger]]:
    """Every trigger by its name, which is that of its module; in the order of names.

    Raises
    ------
    TypeError
        When a module defines none, or more than one, or calls it otherwise.
    """
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{name}")
        own = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Trigger)
            and value.__module__ == module.__name__
        ]
        if len(own) != 1 or _called(own[0]) != name:
            told = ", ".join(f"{kind.__name__} (when: {_called(kind)})" for kind in own) or "none"
            raise TypeError(
                f"Expected one subclass of Trigger with when: Literal['{name}'] in "
                f"include/policy/triggers/{name}.py, found {told}: correct it."
            )
        found[name] = own[0]
    return found


def _called(kind: type[Trigger]) -> str | None:
    """The one value that `when` may have."""
    values = getattr(kind.model_fields["when"].annotation, "__args__", (None,))
    return values[0] if len(values) == 1 else None


KINDS = kinds()

if TYPE_CHECKING:
    AnyTrigger = Trigger
else:
    AnyTrigger = Annotated[Union[tuple(KINDS.values())], Field(discriminator="when")]  # noqa: UP007
