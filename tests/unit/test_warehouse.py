"""COPY's text format, made while it is read."""

import io

from hypothesis import given
from hypothesis import strategies as st

from include import warehouse


@given(
    st.lists(st.tuples(st.none() | st.text(st.characters(exclude_characters="\0")), st.integers())),
    st.integers(min_value=1, max_value=7),
)
def test_text_is_the_same_whatever_pieces_it_is_read_in(records, size):
    whole = warehouse._TextReader(records).read()
    reader, pieces = warehouse._TextReader(records), io.StringIO()
    while piece := reader.read(size):
        assert len(piece) <= size
        pieces.write(piece)
    assert pieces.getvalue() == whole
    assert whole.count("\n") == len(records)


def test_what_copy_would_take_for_its_own_signs_is_escaped():
    assert warehouse._TextReader([("a\tb\\N\n", None)]).read() == "a\\tb\\\\N\\n\t\\N\n"


def test_nested_values_become_literals():
    assert warehouse._nested(["a", 'b"c']) == '{"a","b\\"c"}'
    assert warehouse._nested({"b": 1, "a": None}) == '{"a": null, "b": 1}'
