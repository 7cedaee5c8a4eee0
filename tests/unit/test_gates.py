"""A gate that runs although the task before it failed."""

import pytest

from include.errors import BadInput
from include.steps import gate


def test_a_gate_without_a_batch_says_where_to_look():
    with pytest.raises(BadInput, match="found none, as that task failed: see its error"):
        gate.gate(None, rebuild=dict)
