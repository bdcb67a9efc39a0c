"""Which account of the operating system is which person on an embedded server: its pg_ident.conf follows app.users.

Only whoever keeps the server can write the file: the daemon does when people change, and so does the command of
the keeper. On an administrator's server the line is told, and theirs to write.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from policywatch.db.accounts import own_name
from policywatch.db.embedded import Server
from policywatch.db.queries import load
from policywatch.db.refusals import away
from policywatch.db.serverfiles import ACCOUNT, ident, write
from policywatch.db.serverplace import Place

__all__ = ["ACCOUNT", "know_people", "lines_for"]

_sql = load("server")


def know_people(server: Server, people: Mapping[str, str]) -> bool:
    """Let people in by accounts of other names (login -> account); True where the server's file changed. Blocks."""
    place = Place(server.state_folder)
    facts = place.facts()
    if facts is None or place.knows_people(server.dbname, people) or not server.is_keeper():
        return False
    asked = server.conninfo("postgres", "postgres")
    with place.lock():
        text = ident({facts.creator, "root", own_name()}, place.people_with(server.dbname, people))
        write(server.state_folder / "server" / "pg_ident.conf", text)
        try:
            with psycopg.connect(asked, autocommit=True, connect_timeout=5) as connection:
                connection.execute(_sql.read_files_again.text)
        except psycopg.Error as error:
            raise away(asked, error) from error
        place.keep_people(server.dbname, people)  # last: cut off before, it is done again
    return True


def lines_for(login: str, account: str) -> list[str]:
    """What the administrator of another server adds so that the account needs no password there."""
    return [
        f'pg_ident.conf: pw "{account}" "{login}"',
        f'pg_hba.conf:   local all "{login}" peer map=pw   (before the lines that ask for a password)',
    ]
