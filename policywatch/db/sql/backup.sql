-- What a manifest records, and how a restored database wakes.

-- name: count_rows
-- The counts of every table of schema app in one statement, by the server itself.
SELECT c.relname AS relation,
       (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM app.%I', c.relname), false, true, '')))[1]::text::bigint AS rows
FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname;

-- name: export_snapshot
SELECT pg_export_snapshot() AS snapshot;

-- name: facts
SELECT current_database() AS database, current_setting('server_version') AS server_version,
       (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       (SELECT max(version) FROM app.schema_migrations) AS schema_version,
       (SELECT value #>> '{}' FROM app.system_config WHERE key = 'install_id') AS install_id,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
       app.pw_now() AS at;

-- name: newest_seal
-- Of the audit log in the snapshot of the dump: an anchor outside of the database.
SELECT id AS n, epoch, at, row_count AS rows, coalesce(last_id, 0) AS last_id, chain FROM app.audit_seals ORDER BY id DESC LIMIT 1;

-- name: wake_frozen
-- A restored database sends nothing until two people thaw it; what may have gone out after the dump is unknown.
SELECT app.wake_frozen(%(reason)s) AS uncertain;

-- name: secure_database
SELECT app.secure_database();

-- name: timescale_offered
-- Whether the server can make the extension in the version of the dump.
SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions
               WHERE name = 'timescaledb' AND version = %(version)s) AS offered;

-- name: timescale_make
-- {version}: the same as in the dump; a newer one would not find its catalogue.
CREATE EXTENSION timescaledb VERSION {version};

-- name: timescale_before
-- Its triggers and background jobs rest while a dump comes in.
DO $$ BEGIN PERFORM timescaledb_pre_restore(); END $$;

-- name: timescale_after
DO $$ BEGIN PERFORM timescaledb_post_restore(); END $$;

-- name: quiet
-- Roles that are there already, and memberships, are told as notices.
SELECT pg_catalog.set_config('client_min_messages', 'warning', true) AS quiet;

-- name: superuser
-- A dump gives functions to pw_rolemaker, which may make none in that schema: only a superuser may do that for it.
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user;
