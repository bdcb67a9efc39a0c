"""A mail holds exactly what was approved, and nothing can break out of its place in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.guidance import Revision
from policywatch.errors import PolicyWatchError, UsageError
from policywatch.guidance.addresses import AddressFault
from policywatch.guidance.rendering import Letter, Sender, revise

SENDER = Sender("guidance@policywatch.test", "PolicyWatch")
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=timezone(timedelta(hours=1)))
ID = "<0123456789abcdef@policywatch.test>"
TEXT = "Hello,\n\n# X: Terms\n\nNew & old: see http://x.test/a?b=1&c=2.\n\n> a quote with http://evil.test/\n\n* one\n* two\n"


def letter(subject: str = "X has changed", text: str = TEXT, sender: Sender = SENDER) -> Letter:
    return Letter(revise(subject, text), sender, NOON)


def test_a_mail_carries_text_and_html_as_approved() -> None:
    revision = revise("Größeres ändert sich — 5 € ✓", TEXT + "Ä\n")
    message = Letter(revision, SENDER, NOON).message("ada@members.test", ID)

    text, html = message.iter_parts()
    assert (message["From"], message["To"]) == ("PolicyWatch <guidance@policywatch.test>", "ada@members.test")
    assert message["Subject"] == "Größeres ändert sich — 5 € ✓"
    assert message["Message-ID"] == ID
    assert message["Date"] == "Fri, 27 Nov 2026 11:00:00 +0000"
    assert message.get_content_type() == "multipart/alternative"
    assert text.get_content().replace("\r\n", "\n") == revision.text
    assert html.get_content().replace("\r\n", "\n") == revision.html
    assert not message.defects


def test_the_html_is_made_of_the_text() -> None:
    html = revise("s", TEXT).html

    assert "<h2>X: Terms</h2>" in html
    assert (
        '<p>New &amp; old: see <a href="http://x.test/a?b=1&amp;c=2">http://x.test/a?b=1&amp;c=2</a>.</p>'
        in html
    )
    assert "<ul><li>one</li><li>two</li></ul>" in html
    assert re.search(r"<blockquote[^>]*><p>a quote with http://evil.test/</p></blockquote>", html)


def test_nothing_in_a_mail_is_loaded_from_elsewhere_or_counted() -> None:
    html = revise("s", TEXT + '<img src="http://evil.test/p.gif">').html

    assert not re.search(r"<(img|script|link|iframe|object|form|style)\b", html)
    assert set(re.findall(r'href="([^"]*)"', html)) == {
        "http://x.test/a?b=1&amp;c=2",
        "http://evil.test/p.gif",
    }


def test_the_same_arguments_give_the_same_octets() -> None:
    assert letter().to("ada@members.test", ID) == letter().to("ada@members.test", ID)


def test_mails_of_one_letter_differ_in_their_head_alone() -> None:
    one = letter()
    ada, ben = one.to("ada@members.test", ID), one.to("ben@members.test", ID)

    assert ada.partition(b"From:")[2] == ben.partition(b"From:")[2]
    assert b"ben" not in ada


def test_every_line_can_be_carried() -> None:
    mail = letter(subject="word " * 55, text="x" * 5000 + "\n.\nFrom me\n").to("ada@members.test", ID)

    assert max(map(len, mail.split(b"\r\n"))) <= 998
    assert b"\n" not in mail.replace(b"\r\n", b"") and b"\r" not in mail.replace(b"\r\n", b"")
    mail.decode("ascii")


def test_unsubscribing_stands_in_the_head_where_it_is_offered() -> None:
    offered = letter().message(
        "ada@members.test", ID, unsubscribe=("https://u.test/x?t=1", "mailto:u@u.test?subject=stop")
    )

    ways = "".join(str(offered["List-Unsubscribe"]).split())
    assert ways == "<https://u.test/x?t=1>,<mailto:u@u.test?subject=stop>"
    assert offered["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert letter().message("ada@members.test", ID)["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    "way", ["https://u.test/\r\nBcc: eve@evil.test", "http://u.test", "https://u.test/>", "https://u .test"]
)
def test_an_unsubscribe_address_cannot_break_out(way: str) -> None:
    with pytest.raises(PolicyWatchError, match="unsubscribing"):
        letter().to("ada@members.test", ID, unsubscribe=(way,))


@pytest.mark.parametrize(
    "address",
    [
        "ada@members.test\r\nBcc: eve@evil.test",
        "ada@members.test\n",
        "ada@members.test, eve@evil.test",
        "réne@members.test",
        "Ada <ada@members.test>",
        "",
    ],
)
def test_an_address_cannot_break_out(address: str) -> None:
    with pytest.raises(AddressFault):
        letter().to(address, ID)


@pytest.mark.parametrize("name", ["<a@b>\r\nBcc: eve@evil.test", "a@b", "<a b@c>", "<é@c.test>", ID + "\n"])
def test_a_message_id_cannot_break_out(name: str) -> None:
    with pytest.raises(PolicyWatchError, match="Message-ID"):
        letter().to("ada@members.test", name)


@pytest.mark.parametrize(
    "sender",
    [
        Sender("guidance"),
        Sender("g@policywatch.test", "Name\r\nBcc: eve@evil.test"),
        Sender("g@policywatch.test", reply_to="x\ny@z.test"),
    ],
)
def test_a_sender_that_cannot_stand_in_a_header_is_a_fault_of_the_settings(sender: Sender) -> None:
    with pytest.raises(UsageError, match=r"mail\.") as fault:
        letter(sender=sender)

    assert fault.value.exit_code == 2


@pytest.mark.parametrize(
    "subject", ["", " ", "a\nb", "a\r\nBcc: eve@evil.test", "a\x00", "x" * 301, "a\u2028b", "a\u202eb"]
)
def test_a_subject_that_cannot_be_mailed_is_refused(subject: str) -> None:
    with pytest.raises(UsageError, match="The subject"):
        revise(subject, TEXT)


def test_a_revision_that_came_from_elsewhere_is_checked_again() -> None:
    with pytest.raises(UsageError, match="The subject"):
        Letter(Revision("a\nBcc: eve@evil.test", "text\n", "<p>text</p>"), SENDER, NOON)


visible = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
KNOWN = {"to", "message-id", "from", "subject", "date", "mime-version", "content-type", "reply-to"}


@given(visible, visible, visible)
def test_whatever_is_accepted_adds_no_header_and_loses_no_sign(subject: str, text: str, name: str) -> None:
    try:
        revision = revise(subject, text)
        mail = Letter(revision, Sender("g@policywatch.test", name, "r@policywatch.test"), NOON)
    except UsageError:
        return
    message = message_from_bytes(mail.to("ada@members.test", ID), policy=SMTP)

    assert {key.lower() for key in message.keys()} <= KNOWN  # noqa: SIM118
    assert len(message.get_all("to", [])) == 1
    body, html = message.iter_parts()
    assert body.get_content().replace("\r\n", "\n") == revision.text
    assert html.get_content().replace("\r\n", "\n") == revision.html


@given(st.text(max_size=200))
def test_no_text_becomes_markup(text: str) -> None:
    try:
        html = revise("s", text).html
    except UsageError:
        return
    tags = set(re.findall(r"<(/?[a-z0-9]+)", html.partition("<body")[2].partition("</body>")[0]))
    assert tags <= {
        f"{end}{tag}" for end in ("", "/") for tag in ("p", "h2", "h3", "h4", "ul", "li", "blockquote", "a")
    }


def test_a_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Letter(revise("s", TEXT), SENDER, NOON.astimezone(UTC).replace(tzinfo=None))
