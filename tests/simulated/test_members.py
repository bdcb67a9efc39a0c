"""Pretend members are many, different, and always the same."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

from policywatch.settings import load
from policywatch.simulated.members import COLUMNS, csv_text, expected_count, pretend_members
from policywatch.simulated.texts import PLATFORMS
from policywatch.simulated.world import demo_settings, settings_text


def test_members_have_addresses_of_their_own_that_lead_nowhere() -> None:
    members = pretend_members(60)

    assert len({member.address for member in members}) == 60
    assert all(member.address.endswith("@members.test") for member in members)
    assert members == pretend_members(60)
    assert {member.kind for member in members} == {"journalist", "creator", "newsroom"}


def test_the_file_holds_one_row_a_member() -> None:
    rows = list(csv.reader(csv_text(pretend_members(12)).splitlines()))

    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 13


def test_the_expected_audience_is_counted_column_by_column() -> None:
    members = pretend_members(60)
    journalists = [member for member in members if member.kind == "journalist"]

    assert expected_count(members, {}) == 60
    assert expected_count(members, {"kind": ["journalist"]}) == len(journalists)
    assert expected_count(members, {"kind": ["journalist"], "platforms": ["x"]}) == sum(
        "x" in member.platforms for member in journalists
    )


def test_the_settings_of_the_demo_name_seven_platforms_and_nothing_real(tmp_path: Path) -> None:
    settings = demo_settings(smtp_port=2525, members=tmp_path / "members.csv", grace="2 s")
    read_back = json.loads(settings_text(settings))
    written = tmp_path / "policywatch.yaml"
    written.write_text(settings_text(settings), encoding="utf-8")
    loaded = load(written, env={})

    assert read_back == settings
    assert list(loaded.platforms) == [platform.key for platform in PLATFORMS]
    assert loaded.guidance.grace_period == timedelta(seconds=2)
    addresses = [
        page["url"]
        for platform in settings["platforms"].values()
        for document in platform["documents"].values()
        for page in document["pages"]
    ]
    assert len(addresses) == 21
    assert all(".test/" in address for address in addresses)
