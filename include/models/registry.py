"""Models as bytes that can be stored, compared and loaded without running foreign code.

A model is written with skops: a description in JSON and plain arrays, no pickle. What a file may hold is
listed here, type by type; loading refuses everything else. Equal models give equal bytes, and a version
is derived from what the model was made of, so that training twice on the same data is one version.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from skops import io as skops_io

from include.errors import BadInput

#: Types beyond skops' own safe list that our models hold: number types, and the node tables of trees: arrays
#: with a class around them. None of them runs code of a file when it is loaded, and none is a class of ours:
#: what is stored goes by no module's path, and outlives its move.
TRUSTED = (
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.LogLink",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)

#: The first moment a zip file can name: a stamp of its own would make equal models differ.
_STAMP = (1980, 1, 1, 0, 0, 0)


def dumps(model: Any) -> bytes:
    """A model as bytes; equal models give equal bytes."""
    return _canonical(skops_io.dumps(model))


def loads(stored: bytes) -> Any:
    """A model from bytes.

    Raises
    ------
    BadInput
        When the bytes are no model file, or hold a type that is not listed in `TRUSTED`.
    """
    try:
        unknown = sorted(set(skops_io.get_untrusted_types(data=stored)) - set(TRUSTED))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadInput(
            f"Expected a model file, found {len(stored)} bytes that are none ({error}): train again."
        ) from None
    if unknown:
        raise BadInput(
            f"Expected a model of known types, found {', '.join(unknown)}: the file was not written by "
            "this project, or by another version of it; train again instead of loading it."
        )
    return skops_io.loads(stored, trusted=list(TRUSTED))


def version(kind: str, anchor: str, manifest: Mapping[str, Any]) -> str:
    """The name of a model: its kind, its anchor day and a hash of what it was made of.

    Parameters
    ----------
    manifest
        What decides the model: data window and content hash, features, settings, seed, code. Measured
        things (metrics, seconds) do not belong in it.
    """
    return f"{kind}-{anchor}-{digest(manifest)[:12]}"


def digest(content: Any) -> str:
    """A hash of anything that JSON can hold, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(stored: bytes) -> bytes:
    """The same file with its objects numbered in order instead of by their place in memory."""
    numbers: dict[str, str] = {}

    def number(place: str) -> str:
        return numbers.setdefault(place, str(len(numbers)))

    def rename(node: Any) -> Any:
        if isinstance(node, list):
            return [rename(item) for item in node]
        if not isinstance(node, dict):
            return node
        renamed: dict[str, Any] = {}
        for key, item in node.items():
            if key == "__id__":
                renamed[key] = int(number(str(item)))
            elif key == "file" and isinstance(item, str):
                place, dot, ending = item.partition(".")
                renamed[key] = number(place) + dot + ending
            else:
                renamed[key] = rename(item)
        return renamed

    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        schema = rename(json.loads(archive.read("schema.json")))
        files = {"schema.json": json.dumps(schema, separators=(",", ":")).encode()}
        for name in archive.namelist():
            if name != "schema.json":
                place, dot, ending = name.partition(".")
                files[number(place) + dot + ending] = archive.read(name)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name, _STAMP)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return target.getvalue()
