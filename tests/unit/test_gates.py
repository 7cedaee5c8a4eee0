"""A gate that runs although the task before it failed."""

import pytest

from include import gates
from include.errors import BadInput


def test_a_gate_without_a_batch_says_where_to_look():
    with pytest.raises(BadInput, match="found none, as that task failed: see its error"):
        gates.gate(None, rebuild=dict)
