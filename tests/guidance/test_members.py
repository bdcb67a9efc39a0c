"""A bad row of the members file costs one member and not the file."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.guidance import Member
from policywatch.errors import UsageError
from policywatch.guidance.members import parse_members

HEADING = "email,name,kind,platforms\n"


def test_rows_become_members() -> None:
    parsed = parse_members(
        HEADING + 'ada@members.test,"Love, Ada",journalist,x; tiktok\n\nBen@Members.test,,creator,\n'
    )

    assert not parsed.faults and parsed.merged == 0
    assert parsed.columns == ("name", "kind", "platforms")
    ada, ben = parsed.members
    assert (ada.address, ben.address) == ("ada@members.test", "Ben@members.test")
    assert ada.values("platforms") == ("x", "tiktok")
    assert ada.values("name") == ("Love, Ada",)
    assert ben.values("platforms") == () and ben.values("nothing") == ()


def test_a_bad_row_is_named_and_skipped_and_the_rest_goes_on() -> None:
    parsed = parse_members(
        HEADING
        + "ada@members.test,Ada,journalist,x\n"
        + "no address,Ben,creator,x\n"
        + 'carl@members.test,"Carl,creator,x\n'
        + "dana@members.test,Dana\n"
        + "eve@members.test\x00,Eve,creator,x\n"
        + "r\u00e9ne@members.test,Rene,creator,x\n"
        + "fay@members.test,Fay,creator,x"
    )

    assert [member.address for member in parsed.members] == ["ada@members.test", "fay@members.test"]
    assert [str(fault) for fault in parsed.faults] == [
        "line 3: the address has no @",
        "line 4: the quotes of the row do not match; a cell may not hold a line break",
        "line 5: the row has 2 cells, the heading has 4",
        "line 6: the row holds a control character",
        "line 7: the part before the @ holds letters beyond ASCII, which most mail servers refuse",
    ]


def test_the_same_person_twice_is_one_member_with_both_values() -> None:
    parsed = parse_members(
        HEADING + "ada@members.test,Ada,journalist,x\nada@MEMBERS.test ,Ada,journalist,tiktok;x\n"
    )

    [ada] = parsed.members
    assert ada.values("platforms") == ("x", "tiktok")
    assert parsed.merged == 1


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", {}, "is empty"),
        ("\n \n", {}, "is empty"),
        ("name,kind\nAda,x\n", {}, "no column with addresses"),
        ("address,kind,kind\n", {}, "kind twice"),
        (HEADING, {"email": "E-Mail"}, "no column 'E-Mail'"),
        ('address,"kind\n', {}, "heading"),
    ],
)
def test_a_file_that_cannot_be_members_is_refused(text: str, columns: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as fault:
        parse_members(text, columns)

    assert fault.value.remedy


def test_columns_can_have_names_of_the_file_and_other_separators() -> None:
    text = "\ufeffMitgliedsnr;E-Mail;Gruppe\r\n1;ada@members.test;journalist|creator\r\n"

    parsed = parse_members(text, {"email": "E-Mail", "kind": "Gruppe", "name": "name"})

    [ada] = parsed.members
    assert ada.values("kind") == ("journalist", "creator")
    assert parsed.columns == ("mitgliedsnr", "kind")


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 2 rows"):
        parse_members(HEADING + "a@b.test,,,\n" * 3, max_rows=2)


def test_a_member_shows_no_address_in_a_traceback() -> None:
    assert "ada" not in repr(Member("ada@members.test"))


cells = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)


@given(st.lists(st.tuples(cells, cells, cells), max_size=12))
def test_every_row_is_a_member_a_fault_or_merged(rows: list[tuple[str, str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([("address", "kind", "country"), *rows])

    parsed = parse_members(out.getvalue())

    written = [line for line in out.getvalue().split("\n")[1:] if line.strip()]
    assert len(parsed.members) + len(parsed.faults) + parsed.merged == len(written)
    assert len({member.address for member in parsed.members}) == len(parsed.members)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading(text: str) -> None:
    parsed = parse_members(HEADING + text)

    assert all(member.address.isascii() for member in parsed.members)
