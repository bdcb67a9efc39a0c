"""What a person reads when the settings are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from policywatch import settings
from policywatch.errors import SettingsError

ENV = {"HOME": "/nonexistent"}


def fault_of(tmp_path: Path, text: str | bytes, env: dict[str, str] | None = None) -> SettingsError:
    path = tmp_path / "policywatch.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        settings.load(path, ENV | (env or {}))
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence", "remedy"),
    [
        ("guidance:\n  grace_periud: 5 min", 2, 3, 'unknown key "grace_periud" in guidance', "Did you mean grace_period?"),
        ("guidanse: {}", 1, 1, 'unknown key "guidanse" at the top', "Did you mean guidance?"),
        ("a: 1", 1, 1, 'unknown key "a" at the top', "Known there: database,"),
        ("guidance:\n  grace_period: ten", 2, 17, 'guidance.grace_period is "ten"; it must be a duration', "grace_period: 5 min"),
        ("guidance:\n  approvals_needed: 0", 2, 21, "must be greater than or equal to 1", "approvals_needed: 1"),
        ("mail:\n  port: many", 2, 9, 'mail.port is "many"; it must be a whole number', "port: 25"),
        ("mail: {tls: startls}", 1, 13, "must be 'none', 'starttls' or 'tls'", "Did you mean starttls?"),
        ("mail: {host: relay.example}", 1, 7, "mail: tls must be starttls or tls", ""),
        ("mail: {sender: nobody}", 1, 16, "mail.sender", "policywatch@localhost"),
        ("mail: {user: bob}", 1, 7, "user and password must be given together", ""),
        ("database: {mode: dsn}", 1, 11, "database needs dsn", ""),
        ("database: {dsn: mysql://x}", 1, 17, "must begin with postgresql://", ""),
        ("fetch: {max_raw: 8 MegaByte}", 1, 18, "must be a size", "max_raw: 8 MiB"),
        ("metrics: {listen: 0.0.0.0:9187}", 1, 19, "must be a loopback address", "127.0.0.1:9187"),
        ("members: 5", 1, 10, "must hold keys and values", ""),
        ("desk:\n  scroll:", 2, 10, "desk.scroll is empty", "scroll: half"),
        ("segments: {x: {name: X, criteria: {kindd: a}}}", 1, 36, '"kindd" cannot be a key here', ""),
        ("segments: {Our Own: {name: X}}", 1, 12, '"Our Own" cannot be a key here', "small letters"),
        ("segments: {x: {criteria: {}}}", 1, 15, "segments.x needs the key name", "Add name."),
        ("catalogue: none\nplatforms: {x: {documents: {}}}", 2, 16, "platforms.x needs the key name", ""),
        ("platforms: {x: {documents: {new: {name: New}}}}", 1, 34, "needs pages, or an archive", ""),
        ("retention: {addresses: 31 d}", 1, 12, "at most 30 d", ""),
    ],
)  # fmt: skip
def test_a_fault_says_where_it_is_what_was_expected_and_how_to_mend_it(
    tmp_path: Path, text: str, line: int, column: int, sentence: str, remedy: str
) -> None:
    fault = fault_of(tmp_path, text)

    assert (fault.line, fault.column) == (line, column), fault
    assert fault.file == str(tmp_path / "policywatch.yaml")
    assert sentence in fault.sentence
    assert remedy in fault.remedy


PAGE = "platforms: {x: {documents: {a: {name: A, pages: [{url: %s, select: %s}]}}}}"


@pytest.mark.parametrize(
    ("url", "select", "sentence"),
    [
        ("ftp://example.org/", "main", "must be an address"),
        ("https://bob:secret@example.org/", "main", "without a user name or password"),
        ("https:///terms", "main", "must be an address"),
        ("https://example.org/", "[]", "needs at least one selector"),
        ("https://example.org/", "{start_before: h1}", "needs exactly one of end_before and end_after"),
        ("https://example.org/", "{start_befor: h1, end_after: h2}", 'unknown key "start_befor"'),
        ("https://example.org/", "5", "select"),
    ],
)
def test_a_page_that_could_not_be_read_is_refused(
    tmp_path: Path, url: str, select: str, sentence: str
) -> None:
    fault = fault_of(tmp_path, PAGE % (f'"{url}"', select))

    assert sentence in fault.sentence
    assert "platforms.x.documents.a.pages.1" in fault.key


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, "mail:\n  port: x\nfetch:\n  concurrency: 0\ndesk:\n  colour: red\n")

    assert isinstance(fault, settings.SettingsFaults)
    assert [one.line for one in fault.faults] == [2, 4, 6]
    assert fault.line == 2
    assert "Further faults: 2" in fault.remedy
    assert 'line 6, column 3: unknown key "colour" in desk' in fault.remedy


@pytest.mark.parametrize(
    "text",
    [
        "mail: {user: bob, tls: tls, password: hunter2}",
        "mail: {user: bob, tls: tls, password: 4711}",
        "mail: {user: bob, tls: tls, password: {secret: 'Hunter2!'}}",
        "database: {mode: dsn, dsn: 'postgresql://bob:hunter2@db/x'}",
        "database: {mode: dsn, dsn: 'host=db password=hunter2'}",
        "database: {mode: dsn, dsn: 'postgresql://db/x?password=hunter2'}",
        "database: {daemon_password: hunter2}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    fault = fault_of(tmp_path, text)

    assert "secret" in str(fault)
    assert "hunter2" not in str(fault).lower()
    assert "4711" not in str(fault)


def test_a_literal_secret_is_answered_with_the_reference_to_write(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, "mail:\n  user: bob\n  tls: tls\n  password: hunter2\n")

    assert (fault.line, fault.column) == (4, 13)
    assert "password: {secret: mail-password}" in fault.remedy
    assert "POLICYWATCH_SECRET_MAIL_PASSWORD" in fault.remedy


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("POLICYWATCH_MAIL__PROT", "POLICYWATCH_MAIL__PORT"),
        ("POLICYWATCH_CONFG", "POLICYWATCH_CONFIG"),
        ("POLICYWATCH_DATABSE_URL", "POLICYWATCH_DATABASE_URL"),
        ("POLICYWATCH_GUIDANC__EXPIRY", "POLICYWATCH_GUIDANCE"),
    ],
)
def test_a_variable_that_is_no_setting_is_a_fault_with_a_suggestion(
    tmp_path: Path, name: str, suggestion: str
) -> None:
    fault = fault_of(tmp_path, "", {name: "7"})

    assert fault.file == f"environment variable {name}"
    assert fault.line is None
    assert suggestion in fault.remedy


def test_a_wrong_value_in_the_environment_names_its_variable(tmp_path: Path) -> None:
    fault = fault_of(tmp_path, "", {"POLICYWATCH_MAIL__PORT": "many"})

    assert fault.file == "environment variable POLICYWATCH_MAIL__PORT"
    assert 'mail.port is "many"' in fault.sentence


@pytest.mark.parametrize(
    ("text", "line", "sentence", "remedy"),
    [
        ("a: b: c", 1, "not valid YAML", "quotes"),
        ("mail:\n\tport: 1", 2, "not valid YAML", ""),
        ("mail: [1, 2", None, "not valid YAML", "brackets"),
        ("x: !!python/object:os.system {}", 1, "the tag", "Remove it"),
        ("mail: {}\nmail: {}", 2, "'mail' stands here for the second time (first in line 1)", "Keep one"),
        ("mail:\n  port: 1\n  port: 2", 3, "'port' stands here for the second time", "Keep one"),
        ("a: &a [*a]", 1, "alias *a has no anchor", ""),
        ("a: {<<: {b: 1}}", 1, "merge keys", "Write the keys out"),
        ("? [a]\n: b", 1, "a key must be a word", ""),
        ("mail: {}\n---\nmail: {}", 2, "second document", "---"),
        ("- mail", 1, "sections", ""),
        ("mail", 1, "sections", ""),
        ("[" * 100, 1, "nested deeper than 24", "Flatten"),
        ("[" * 100_000, 1, "nest", ""),
        ("a: \x07", None, "not valid YAML", ""),
        (b"mail: {}\nfetch: {contact: \xff}", 2, "not UTF-8", "Save it as UTF-8"),
        (b"#" * (1024 * 1024 + 1), None, "larger than 1024 KiB", ""),
    ],
)
def test_what_is_no_acceptable_yaml_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, line: int | None, sentence: str, remedy: str
) -> None:
    fault = fault_of(tmp_path, text)

    assert sentence in fault.sentence
    assert remedy in fault.remedy
    if line is not None:
        assert fault.line == line


def test_aliases_cannot_grow_a_small_file_into_a_large_one(tmp_path: Path) -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]

    fault = fault_of(tmp_path, "\n".join(lines))

    assert "aliases grow this beyond" in fault.sentence


def test_a_pipe_or_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (pipe, tmp_path):
        with pytest.raises(SettingsError, match="not a regular file"):
            settings.load(path, ENV)


def test_plain_words_stay_words_where_old_yaml_made_booleans_of_them(tmp_path: Path) -> None:
    path = tmp_path / "policywatch.yaml"
    path.write_text(
        "database: {timescale: off}\nfetch: {second_look: off}\nanalysis: {llm: off}\ndesk: {mouse: on}\n"
    )

    loaded = settings.load(path, ENV)

    assert loaded.database.timescale == "off"
    assert loaded.fetch.second_look is None
    assert loaded.desk.mouse is True
