-- What the benchmark of the database asks and changes in its own scratch database, as a superuser.

-- name: facts
-- Only a superuser seeds: triggers are off for it while it does.
SELECT current_setting('server_version') AS server_version, r.rolsuper AS superuser, current_setting('shared_buffers') AS shared_buffers,
       (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') AS timescaledb
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user;

-- name: quick
-- For one connection that seeds: no triggers, no waiting for the disk, memory for sorting.
SELECT set_config('session_replication_role', 'replica', false), set_config('synchronous_commit', 'off', false),
       set_config('maintenance_work_mem', '512MB', false), set_config('work_mem', '128MB', false);

-- name: indexes
-- Those that no constraint rests on: taken away before the rows come, made again after.
SELECT i.indexrelid::regclass::text AS name, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition, c.relname AS relation
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
ORDER BY c.relname, 1;

-- name: drop_index
DROP INDEX {schema}.{name};

-- name: vacuum
-- What autovacuum would have done long ago in a database of that age.
VACUUM (ANALYZE);

-- name: size
SELECT pg_catalog.pg_database_size(current_database()) AS bytes;

-- name: rows
SELECT c.relname AS relation, greatest(c.reltuples, 0)::bigint AS rows FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1;

-- name: views
SELECT viewname AS view FROM pg_catalog.pg_views WHERE schemaname = 'read' ORDER BY 1;

-- name: first_rows
-- {view}: what a person with psql asks first.
TABLE read.{view} LIMIT 200;

-- name: guidance_metrics
-- All of them, as a person asks for figures.
SELECT * FROM read.guidance_metrics;

-- name: floor
SELECT 1;

-- name: explain
-- Put before a measured statement.
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)

-- name: places
-- Rows of the queue in its order, as the desk's marks: pages are asked from the first to the last.
SELECT rank, detected_at AS at, change_id AS after FROM app.change_states WHERE status IN ('queued', 'unconfirmed')
ORDER BY place, detected_at, change_id;

-- name: recount
-- Triggers were off: the counters are made from the rows.
SELECT app.recount();

-- name: create_daemon
CREATE ROLE {name} LOGIN IN ROLE pw_daemon;

-- name: unlock_admin
-- The bench is nobody's account: its password is made and forgotten here.
UPDATE app.users SET must_change_password = false WHERE name = %(name)s;

-- name: drop_role
DROP ROLE IF EXISTS {name};
