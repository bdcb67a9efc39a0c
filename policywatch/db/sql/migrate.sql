-- The migration runner's own statements. What a migration does stands in migrations/.

-- name: try_lock
-- Polled in autocommit: a waiter in pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY in the
-- winner would wait for it for ever.
SELECT pg_catalog.pg_try_advisory_lock(%(key)s) AS locked;

-- name: unlock
SELECT pg_catalog.pg_advisory_unlock(%(key)s) AS unlocked;

-- name: tables_there
-- recorded: the runner's own tables; others: somebody's tables in app, which belong to a migration.
-- person: who may not look into app, and reads what is recorded through the views of schema read.
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'app' AND c.relname = 'schema_migrations') AS recorded,
       EXISTS (SELECT FROM pg_catalog.pg_namespace n
               WHERE n.nspname = 'app' AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')) AS person,
       EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'app' AND c.relkind IN ('r', 'p')
                 AND c.relname NOT IN ('schema_migrations', 'api_files')) AS others;

-- name: bootstrap
-- In the first migration's transaction: a failed first step leaves nothing behind.
CREATE SCHEMA IF NOT EXISTS app;
CREATE TABLE IF NOT EXISTS app.schema_migrations (
  version     integer PRIMARY KEY,
  name        text NOT NULL,
  sha256      bytea NOT NULL CHECK (octet_length(sha256) = 32),
  applied_at  timestamptz,
  app_version text NOT NULL
);
COMMENT ON TABLE app.schema_migrations IS 'Numbered migrations of this database; applied_at NULL: begun outside a transaction and not finished.';
CREATE TABLE IF NOT EXISTS app.api_files (
  name       text PRIMARY KEY,
  sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
  applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE app.api_files IS 'Files of migrations/api as they were last applied.';

-- name: applied
SELECT version, name, sha256, applied_at, app_version FROM app.schema_migrations ORDER BY version;

-- name: api_applied
SELECT name, sha256 FROM app.api_files ORDER BY name;

-- name: applied_seen
SELECT version, name, sha256, applied_at, app_version FROM read.migrations ORDER BY version;

-- name: api_seen
SELECT name, sha256 FROM read.api_files ORDER BY name;

-- name: wishes
-- Read by 001; for this transaction only.
SELECT pg_catalog.set_config('policywatch.admin_name', %(admin_name)s, true) AS admin_name,
       pg_catalog.set_config('policywatch.timescale', %(timescale)s, true) AS timescale,
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, true) AS lock_timeout,
       pg_catalog.set_config('client_min_messages', 'warning', true) AS quiet;

-- name: quiet
SELECT pg_catalog.set_config('client_min_messages', 'warning', true) AS quiet,
       pg_catalog.set_config('lock_timeout', '10s', true) AS lock_timeout;

-- name: record
INSERT INTO app.schema_migrations (version, name, sha256, applied_at, app_version)
VALUES (%(version)s, %(name)s, %(sha256)s, CASE WHEN %(finished)s THEN pg_catalog.clock_timestamp() END, %(app_version)s);

-- name: finish
UPDATE app.schema_migrations SET applied_at = pg_catalog.clock_timestamp() WHERE version = %(version)s;

-- name: forget
DELETE FROM app.schema_migrations WHERE version = %(version)s;

-- name: forget_api
DELETE FROM app.api_files;

-- name: drop_api
-- Before a step back: views and acts hold on to the columns that it takes away. The next up makes them again.
DROP SCHEMA IF EXISTS act CASCADE;
DROP SCHEMA IF EXISTS read CASCADE;
DROP VIEW IF EXISTS app.change_rows, app.publication_rows;
DO $$
DECLARE kept boolean := false;
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    kept := EXISTS (SELECT FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'app' AND view_name = 'delivery_daily');
  END IF;
  IF kept THEN
    DROP MATERIALIZED VIEW app.delivery_daily;
  ELSE
    DROP VIEW IF EXISTS app.delivery_daily;
  END IF;
END $$;

-- name: record_api
INSERT INTO app.api_files (name, sha256) VALUES (%(name)s, %(sha256)s);

-- name: drop_bootstrap
-- After the last down file. RESTRICT: what a down file forgot is told instead of dropped.
DROP TABLE app.schema_migrations, app.api_files;
DROP SCHEMA app;

-- name: made
-- Whether 001 is the shipped one, with people and rights (the runner's own tests use a small folder).
SELECT to_regprocedure('app.secure_database()') IS NOT NULL AND to_regclass('app.users') IS NOT NULL AS made;

-- name: secure
-- Database-level rights are in no dump and in no template: again after every up.
SELECT app.secure_database();

-- name: clock_source
-- The clock as 001 makes it, or what a test or the demo put in its place.
SELECT btrim(p.prosrc) AS source FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'app' AND p.proname = 'pw_now' AND p.pronargs = 0;

-- name: timescale_version
SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb';

-- name: timescale_facts
-- loaded: the loader's setting, which everybody may read; null where the library is not preloaded. series: hypertables,
-- counted by a text, since the statement must stand where the extension does not.
SELECT (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') AS version,
       EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'timescaledb') AS offered,
       pg_catalog.current_setting('timescaledb.disable_load', true) IS NOT NULL AS loaded,
       pg_catalog.current_setting('timescaledb.license', true) AS license,
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') THEN
         (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM timescaledb_information.hypertables
                                               WHERE hypertable_schema = ''app''', false, true, '')))[1]::text::integer
       ELSE 0 END AS series;

-- name: timescale_create
CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;

-- name: as_owner
-- Chunks and jobs then belong to the owner of the tables.
SET LOCAL ROLE pw_owner;

-- name: make_series
SELECT app.make_series() AS made;

-- name: not_as_owner
RESET ROLE;

-- name: series_noted
UPDATE app.system_config SET value = to_jsonb(%(version)s::text), updated_at = app.pw_now(), updated_by = session_user
WHERE key = 'timescaledb' AND value IS DISTINCT FROM to_jsonb(%(version)s::text);

-- name: series_told
SELECT app.write_audit('config.timescale', 'config', 'timescaledb', 'done', NULL, NULL,
                       jsonb_build_object('version', %(version)s::text, 'edition', app.series_edition(), 'made', %(made)s::integer));
