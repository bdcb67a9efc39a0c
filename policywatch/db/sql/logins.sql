-- Login roles of the cluster: made by the runner after `up`, never dropped by `down`.

-- name: role
-- administrative: a role that somebody made for other ends; it is left alone.
SELECT rolcanlogin, (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls) AS administrative
FROM pg_catalog.pg_roles WHERE rolname = %(name)s;

-- name: admin_row
SELECT name, must_change_password FROM app.users WHERE name = %(name)s AND role = 'admin' AND state = 'active';

-- name: create_login
CREATE ROLE {name} LOGIN;

-- name: set_verifier
-- {verifier}: made in the client; a password itself never stands in a statement.
ALTER ROLE {name} LOGIN PASSWORD {verifier};

-- name: grant_admin
-- Its role is one that people's acts may later take away and give.
GRANT pw_admin TO {name};

-- name: grant_to_rolemaker
-- PostgreSQL 16 and later: a role with CREATEROLE alters only roles it administers.
GRANT {name} TO pw_rolemaker WITH ADMIN OPTION;

-- name: grant_peer
-- On the embedded server: known by the operating system account.
GRANT pw_peer TO {name};

-- name: must_change
UPDATE app.users SET must_change_password = true, version = version + 1 WHERE name = %(name)s;
