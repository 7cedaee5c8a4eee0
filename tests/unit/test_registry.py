"""Stored models: equal bytes for equal models, and nothing foreign is ever loaded."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from skops import io as skops_io

from include.errors import BadInput
from include.models import registry


class Foreign:
    """A class that no model of ours holds."""


def test_equal_models_are_equal_bytes_and_come_back_whole():
    def model() -> dict[str, object]:
        fitted = LogisticRegression().fit(np.arange(8.0).reshape(-1, 1), [0, 0, 0, 1, 0, 1, 1, 1])
        return {"model": fitted, "numbers": np.arange(3), "name": "x", "none": None}

    stored = registry.dumps(model())
    assert registry.dumps(model()) == stored
    back = registry.loads(stored)
    assert back["model"].coef_ == pytest.approx(model()["model"].coef_)  # type: ignore[attr-defined]
    assert back["none"] is None


def test_a_file_with_a_foreign_type_is_refused_before_it_is_loaded():
    with pytest.raises(BadInput, match="Foreign"):
        registry.loads(skops_io.dumps({"model": Foreign()}))


def test_a_pickle_is_no_model_and_is_not_run():
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("a stored file ran code",)

    with pytest.raises(BadInput, match="no model|are none"):
        registry.loads(pickle.dumps(Bomb()))


@pytest.mark.parametrize("junk", [b"", b"nothing", b"PK\x03\x04 cut off"])
def test_junk_is_refused_in_words(junk: bytes):
    with pytest.raises(BadInput, match="train again"):
        registry.loads(junk)


def test_an_archive_without_a_model_is_refused():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("something.txt", "else")
    with pytest.raises(BadInput, match="train again"):
        registry.loads(target.getvalue())


def test_a_version_is_what_the_model_was_made_of():
    one = registry.version("value", "2017-10-01", {"a": 1, "b": [1, 2]})
    assert one == registry.version("value", "2017-10-01", {"b": [1, 2], "a": 1})
    assert one != registry.version("value", "2017-10-01", {"a": 2, "b": [1, 2]})
    assert one.startswith("value-2017-10-01-")


def test_a_stored_model_names_no_class_of_ours_so_a_move_of_a_module_concerns_none():
    assert not [name for name in registry.TRUSTED if name.partition(".")[0] == "include"]
