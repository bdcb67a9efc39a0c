"""Which language a text is in, as far as it can be told."""

from __future__ import annotations

import pytest

from policywatch.reading.tongue import told, tongue
from tests.reading.own_policies import COOKIES, DATENSCHUTZ, REGLES, TERMS, markdown


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (markdown(TERMS), "en"),
        (markdown(COOKIES), "en"),
        (markdown(DATENSCHUTZ), "de"),
        (markdown(REGLES), "fr"),
        (
            "Usted no debe publicar lo que los demás no quieren, y nosotros podemos borrar las cosas que usted publica.",
            "es",
        ),
        (
            "Você não deve publicar o que os outros não querem, e nós podemos apagar as coisas que você publica.",
            "pt",
        ),
        ("ご家族の方は、亡くなった会員のアカウントの削除を当社に申請することができます。", "ja"),
        ("您不得发布侵犯他人权利的内容，我们可以删除这些内容并暂停您的帐户。", "zh"),
        ("Вы не должны публиковать то, что нарушает права других людей.", "ru"),
    ],
)
def test_a_paragraph_tells_its_language(text: str, language: str) -> None:
    assert tongue(text) == language


@pytest.mark.parametrize(
    "text", ["", "404", "OK Cancel", "TikTok YouTube Instagram " * 20, "[](https://a.test/the/of/and/to)" * 9]
)
def test_names_and_addresses_are_in_no_language(text: str) -> None:
    assert tongue(text) == ""


def test_names_of_services_within_a_german_text_leave_it_german() -> None:
    assert tongue(markdown(DATENSCHUTZ).replace("Harbour", "The Harbour and Friends")) == "de"


@pytest.mark.parametrize(
    ("code", "language"),
    [("en", "en"), ("pt-BR", "pt"), ("nb", "da"), ("zh-Hant", "zh"), ("eu", ""), ("", "")],
)
def test_a_declared_language_is_named_as_texts_in_it_are_told(code: str, language: str) -> None:
    assert told(code) == language
