"""One person, one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.guidance.addresses import AddressFault, domain_of, normalise_address, require_sendable


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("  ada@members.test ", "ada@members.test"),
        ("Ada.Love@MEMBERS.Test", "Ada.Love@members.test"),
        ("ada@bücher.test", "ada@xn--bcher-kva.test"),
        ("ada@BÜCHER.test", "ada@xn--bcher-kva.test"),
        ("ada@straße.test", "ada@xn--strae-oqa.test"),
        ("re\u0301ne@members.test", "r\u00e9ne@members.test"),
        ("o'neil+news@members.test", "o'neil+news@members.test"),
    ],
)
def test_an_address_has_one_spelling(written: str, normalised: str) -> None:
    assert normalise_address(written) == normalised
    assert normalise_address(normalised) == normalised


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ada",
        "@members.test",
        "ada@",
        "ada@localhost",
        "ada@192.0.2.1",
        "ada@[192.0.2.1]",
        "a da@members.test",
        "ada@mem bers.test",
        "ada..b@members.test",
        ".ada@members.test",
        '"ada"@members.test',
        "ada@members.test\r\nBcc: eve@evil.test",
        "ada\u202e@members.test",
        "ada\x00@members.test",
        "<ada@members.test>",
        "ada,ben@members.test",
        "a" * 65 + "@members.test",
        "ada@" + "a" * 64 + ".test",
        "ada@-members.test",
        "ada@members..test",
    ],
)
def test_what_is_no_plain_address_is_refused_without_being_repeated(written: str) -> None:
    with pytest.raises(AddressFault) as fault:
        normalise_address(written)

    assert "members" not in str(fault.value) and "ada" not in str(fault.value)


likely = st.one_of(st.text("abcAB.'+-é ß\u0301\u200b", max_size=9), st.text(max_size=5))
almost_addresses = st.builds(
    "{}@{}{}".format, likely, likely, st.sampled_from([".test", ".TEST", ".бг", "", "."])
)


@given(st.one_of(st.text(max_size=60), almost_addresses))
def test_whatever_is_accepted_is_stable_and_has_no_white_space(written: str) -> None:
    try:
        normalised = normalise_address(written)
    except AddressFault:
        return
    assert normalise_address(normalised) == normalised
    assert not any(sign.isspace() for sign in normalised)
    assert domain_of(normalised).isascii() and domain_of(normalised) == domain_of(normalised).lower()


def test_letters_beyond_ascii_before_the_at_cannot_be_mailed() -> None:
    with pytest.raises(AddressFault, match="beyond ASCII"):
        require_sendable("r\u00e9ne@members.test")
