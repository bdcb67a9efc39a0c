-- What the benchmark of collecting asks and changes in its own scratch database, as a superuser.

-- name: clock_table
-- The clock of the database is moved by hand: real time plus an offset.
CREATE TABLE IF NOT EXISTS app.test_clock (shift interval NOT NULL DEFAULT '0');

-- name: clock_row
INSERT INTO app.test_clock SELECT '0' WHERE NOT EXISTS (SELECT FROM app.test_clock);

-- name: clock_grant
GRANT SELECT ON app.test_clock TO PUBLIC;

-- name: clock_function
CREATE OR REPLACE FUNCTION app.pw_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp
AS $$ SELECT pg_catalog.clock_timestamp() + (SELECT shift FROM app.test_clock) $$;

-- name: move_clock
-- Forward alone: to a moment that lies ahead.
UPDATE app.test_clock SET shift = shift + greatest(%(at)s - app.pw_now(), interval '0');

-- name: now
SELECT app.pw_now();

-- name: waiting
-- How the schedule stands: visited just now, due now, and when the next one is due.
SELECT count(*) FILTER (WHERE d.owner IS NOT NULL AND d.lease_until >= app.pw_now()) AS held,
       count(*) FILTER (WHERE d.due_at <= app.pw_now()) AS due,
       min(d.due_at) FILTER (WHERE d.due_at > app.pw_now()) AS next_at
FROM app.policy_documents d WHERE d.state = 'active';

-- name: make_due
-- A pass looks at everything, due or not.
UPDATE app.policy_documents SET due_at = app.pw_now() WHERE state = 'active';

-- name: changes
-- Each change with its place in the queue and both of its texts.
SELECT c.id, p.key || '/' || d.key AS document, s.status, s.same_as, s.reverts, s.alternates, s.looks,
       c.before_sha256, c.after_sha256, c.noise_kind
FROM app.policy_changes c JOIN app.change_states s ON s.change_id = c.id
JOIN app.policy_documents d ON d.id = c.document_id JOIN app.platforms p ON p.id = d.platform_id
ORDER BY c.id;

-- name: snapshots
-- What was believed, since the last question.
SELECT s.id, p.key || '/' || d.key AS document, s.kind, s.partial, s.text_sha256
FROM app.policy_snapshots s JOIN app.policy_documents d ON d.id = s.document_id JOIN app.platforms p ON p.id = d.platform_id
WHERE s.id > %(after)s ORDER BY s.id;

-- name: standing
-- How each document stands: its health, whether it counts as blind, and the text that is believed.
SELECT p.key || '/' || d.key AS document, d.health, d.cause, d.blind_since, d.failures, s.text_sha256, d.last_good_at,
       EXISTS (SELECT FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active' AND g.health <> 'ok') AS partial,
       EXISTS (SELECT FROM app.alerts a WHERE a.closed_at IS NULL AND a.audience = 'operators'
               AND (a.subject = p.key || '/' || d.key OR a.subject LIKE p.key || '/' || d.key || ' %%')) AS alerted
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
LEFT JOIN app.policy_snapshots s ON s.id = d.newest_snapshot
WHERE d.state = 'active' ORDER BY 1;

-- name: captures
-- How the captures since the last question ended.
SELECT coalesce(max(id), %(after)s) AS last, count(*) AS captures, count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'suspect') AS suspect, count(*) FILTER (WHERE status = 304) AS not_modified
FROM app.captures WHERE id > %(after)s;
