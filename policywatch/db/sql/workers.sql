-- name: beat
-- The daemon lives, its progress stands beside.
INSERT INTO app.workers (id, boot_id, pid, host, program, progress)
VALUES (%(worker)s, %(boot)s, %(pid)s, %(host)s, %(program)s, %(progress)s::jsonb)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = app.pw_now(), progress = excluded.progress, stopped_at = NULL;

-- name: stop_worker
-- A clean end.
UPDATE app.workers SET stopped_at = app.pw_now(), heartbeat_at = app.pw_now() WHERE id = %(worker)s;

-- name: forget_workers
-- Daemons that have been silent for a week.
DELETE FROM app.workers WHERE heartbeat_at < app.pw_now() - interval '7 days';

-- name: expire_approvals
-- Questions that nobody answered in time.
SELECT app.expire_approvals();

-- name: end_stale_sessions
-- Desks and commands that stopped without a word, each end has its audit row.
WITH ended AS (
  UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = session_user, ended_how = 'silent'
  WHERE ended_at IS NULL AND heartbeat_at < app.pw_now() - %(silence)s::interval
  RETURNING id
), noted AS MATERIALIZED (
  SELECT app.write_audit('session.expire', 'session', ended.id::text) FROM ended
)
SELECT count(*) FROM noted;

-- name: forget_measures
-- Older than the retention of metrics, in the way of the edition: rows a batch at a time, whole chunks, or by the server itself.
SELECT way, gone FROM app.forget_metrics(%(keep)s::interval, %(most)s);

-- name: clock
-- The one clock of all daemons.
SELECT app.pw_now();

-- name: config_value
-- One fact of this database.
SELECT value FROM app.system_config WHERE key = %(key)s;

-- name: open_alert
-- One open row per kind and subject, raised again it counts.
INSERT INTO app.alerts (kind, subject, audience, level, sentence)
VALUES (%(kind)s, %(subject)s, %(audience)s, %(level)s, %(sentence)s)
ON CONFLICT (kind, subject) WHERE closed_at IS NULL
DO UPDATE SET times = app.alerts.times + 1, seen_at = app.pw_now(), sentence = excluded.sentence, level = excluded.level
RETURNING id;

-- name: close_alert
-- The matter is over.
UPDATE app.alerts SET closed_at = app.pw_now() WHERE kind = %(kind)s AND subject = %(subject)s AND closed_at IS NULL;

-- name: write_audit
-- Actor, time and hash are the database's.
SELECT app.write_audit(%(action)s, %(kind)s, %(id)s, %(outcome)s, %(code)s, %(before)s::jsonb, %(after)s::jsonb);

-- name: hint
-- A hint to look, never data.
SELECT app.hint(%(kind)s, %(id)s, %(version)s);
