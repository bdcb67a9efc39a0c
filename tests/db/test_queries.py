"""Named statements: how a file is read, and that every statement there is used and understood by the server."""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from policywatch.db.queries import Query, load, load_text, sql_files
from tests.databases import Scratch

ROOT = Path(__file__).parents[2]
PYTHON = [
    path
    for folder in ("policywatch", "tui", "daemon")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "__pycache__" not in path.parts
]
ALL = [query for name in sql_files() for query in load(name).values()]


def test_a_statement_has_its_name_its_reason_and_no_semicolon() -> None:
    text = "-- About.\n\n-- name: one\n-- Because.\n-- And so.\nSELECT %(a)s,\n  %(b)s, %(a)s;\n\n-- name: two\nSELECT 2;\n"
    sql = load_text("here", text)
    assert sql.one == Query("here.one", "SELECT %(a)s,\n  %(b)s, %(a)s", "Because. And so.")
    assert sql.one.parameters == ("a", "b")
    assert list(sql) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT 1;\n", "line 1: SQL before the first"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n", "the name a stands twice"),
        ("-- name: a\n-- only words\n", "a has no statement"),
        ("-- name: A B\nSELECT 1;\n", "is no name"),
    ],
)
def test_a_faulty_file_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load_text("here", text)


def test_a_missing_name_or_file_is_told_with_what_there_is() -> None:
    with pytest.raises(
        AttributeError, match=r"acts.sql has no statement named fly; it has: .*approve_request"
    ):
        _ = load("acts").fly
    with pytest.raises(LookupError, match=r"sql/nothing.sql does not exist"):
        load("nothing")


def _uses() -> dict[tuple[str, str], Path]:
    """Every `file.statement` that a module names: of each `x = load("file")`, the attributes of x."""
    found: dict[tuple[str, str], Path] = {}
    for path in PYTHON:
        if "load(" not in (source := path.read_text(encoding="utf-8")):
            continue
        tree = ast.parse(source)
        names = {
            target.id: str(node.value.args[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name | ast.Attribute)
            and (node.value.func.id if isinstance(node.value.func, ast.Name) else node.value.func.attr)
            == "load"
            and node.value.args
            and isinstance(node.value.args[0], ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and str(node.value.args[0].value) in sql_files()
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in names
            ):
                found[names[node.value.id], node.attr] = path
    return found


def test_every_statement_that_code_names_exists() -> None:
    missing = [
        f"{path.name}: {file}.{name}" for (file, name), path in _uses().items() if name not in load(file)
    ]
    assert missing == []


def test_every_statement_is_used() -> None:
    used = {f"{file}.{name}" for file, name in _uses()}
    assert sorted(q.name for q in ALL if q.name not in used) == []


def test_no_module_outside_the_door_holds_a_statement() -> None:
    shouted = re.compile(r"\b(SELECT\s.+\sFROM|INSERT INTO|UPDATE\s\w+\.\w+\sSET|DELETE FROM)\b")
    guilty = list[str]()
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and shouted.match(node.value.lstrip())
            ):
                guilty.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert guilty == []


def test_every_file_of_statements_is_shipped() -> None:
    folder = files("policywatch.db.sql")
    assert all((folder / f"{name}.sql").is_file() for name in sql_files())


def numbered(query: Query) -> str:
    """The statement as PREPARE takes it: `%(name)s` as $n, `%%` as %."""
    places = {name: f"${n}" for n, name in enumerate(query.parameters, 1)}
    text = re.sub(r"%\((\w+)\)[sbt]", lambda m: places[m[1]], query.text)
    return text.replace("%%", "%")


def plain(query: Query) -> str:
    """The statement without its comments, for its first word."""
    return re.sub(r"--[^\n]*\n|/\*.*?\*/", " ", query.text + "\n", flags=re.DOTALL).strip()


@pytest.mark.needs_db
@pytest.mark.parametrize(
    "query",
    [
        q
        for q in ALL
        if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|MERGE)\b", plain(q), re.IGNORECASE)
    ],
    ids=lambda q: q.name,
)
def test_a_statement_can_be_prepared_against_the_schema(query: Query, module_database: Scratch) -> None:
    if query.name.startswith("bench_collect."):
        module_database.replace_clock()  # the benchmark moves the clock of a database of its own
    with psycopg.connect(module_database.superuser, autocommit=True) as connection:
        connection.execute(sql.SQL("PREPARE statement AS " + numbered(query)))


@pytest.mark.needs_db
def test_a_copy_statement_knows_its_table(module_database: Scratch) -> None:
    with psycopg.connect(module_database.superuser, autocommit=True) as connection:
        for query in ALL:
            if re.match(r"COPY\b", plain(query), re.IGNORECASE):
                with connection.cursor() as cursor, cursor.copy(sql.SQL(query.text)):
                    pass  # nothing is fed
