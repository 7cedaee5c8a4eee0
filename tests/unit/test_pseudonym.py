"""Customer numbers become keyed hashes."""

import hashlib
import hmac

import pytest

from include.errors import BadInput
from include.persons import pseudonym


def test_it_is_hmac_sha256_cut_to_128_bits():
    expected = hmac.new(b"k" * 32, b"1029", hashlib.sha256).hexdigest()[:32]
    assert pseudonym.pseudonym("1029", b"k" * 32).hex == expected


def test_another_key_makes_everyone_a_stranger():
    assert pseudonym.pseudonym("1", b"a" * 16) != pseudonym.pseudonym("1", b"b" * 16)


@pytest.mark.parametrize("text", ["", "abcd", "not hexadecimal at all, but long"])
def test_a_missing_or_weak_key_is_refused(text, monkeypatch, tmp_path):
    monkeypatch.setenv("REGULARS_HOME", str(tmp_path))
    monkeypatch.setenv("REGULARS_PSEUDONYM_KEY", text)
    with pytest.raises(BadInput, match="openssl rand -hex 32"):
        pseudonym.key()


def test_the_key_comes_from_the_state_folder_too(monkeypatch, tmp_path):
    monkeypatch.delenv("REGULARS_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("REGULARS_HOME", str(tmp_path))
    (tmp_path / "pseudonym.key").write_text("ab" * 32 + "\n")
    assert pseudonym.key() == b"\xab" * 32
