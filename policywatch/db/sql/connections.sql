-- Connections of people, as the daemon keeps order among them.

-- name: end_backends
-- Connections of ended sessions, of disabled people, and those that hold the database up.
SELECT pid, login, reason FROM app.end_backends(%(idle)s, %(statement)s);

-- name: other_accounts
-- People who are known by an account of the operating system that is named otherwise.
SELECT name, os_user FROM app.users WHERE os_user IS NOT NULL AND os_user <> name ORDER BY name;
