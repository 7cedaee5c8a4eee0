"""What a model is made of besides the data, with a hash of it: the recipe.

Settings, code and libraries of a kind of model are its method; the method on one anchor day is a recipe. A
model of the recipe in force stands and is not trained again. `include.models.code` says what counts as code.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from include.models import code, registry


def method(
    entries: Sequence[str],
    settings: Mapping[str, Any],
    libraries: Sequence[str] = ("numpy", "scikit-learn", "scipy"),
    **more: Any,
) -> dict[str, Any]:
    """How a kind of model is made on any day.

    Parameters
    ----------
    entries
        The modules that read, fit and judge it, by dotted name; what they import is followed.
    settings
        What the policy and the project chose.
    libraries
        Distributions whose version decides figures.
    more
        Numbers beside the settings, by name.
    """
    return {
        "settings": dict(settings),
        **more,
        "code": code.identity(tuple(entries)),
        "libraries": {name: version(name) for name in libraries},
    }


def recipe(anchor: str, made_by: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A method on an anchor day, with the hash of both as `recipe`."""
    made_of = {"anchor": anchor, **made_by, **more}
    return made_of | {"recipe": registry.digest(made_of)}
