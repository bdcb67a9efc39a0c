-- The digest of a day: what waits, what happened since the last one, who gets it, and that it goes out once.

-- name: state
-- Now, whether nothing may be sent, and when the last digest of each audience went out.
SELECT app.pw_now() AS at,
       (SELECT value = 'true'::jsonb FROM app.system_config WHERE key = 'frozen') AS frozen,
       (SELECT max(at) FROM app.digests WHERE audience = 'operators' AND state = 'sent') AS operators,
       (SELECT max(at) FROM app.digests WHERE audience = 'reviewers' AND state = 'sent') AS reviewers;

-- name: decided
-- Whether the day of an audience is over, one way or the other. A failure before the first mail may be tried again.
SELECT EXISTS (SELECT FROM app.digests WHERE audience = %(audience)s AND day = %(day)s
               AND NOT (state = 'failed' AND recipients = 0 AND at <= app.pw_now() - interval '1 hour'));

-- name: figures
-- Counts alone: they are the same for everybody, whatever part of the platforms a person sees.
WITH clock AS MATERIALIZED (SELECT app.pw_now() AS at), waits AS (
  SELECT count(*) AS changes, count(*) FILTER (WHERE severity = 'critical') AS critical FROM app.change_states, clock
  WHERE status IN ('queued', 'unconfirmed') AND (snoozed_until IS NULL OR snoozed_until <= clock.at)
), sources AS (
  SELECT count(*) AS documents, count(*) FILTER (WHERE blind_since IS NOT NULL) AS blind,
         count(*) FILTER (WHERE health = 'late') AS late
  FROM app.policy_documents WHERE state = 'active'
), found AS (
  SELECT count(*) AS changes FROM app.change_states
  WHERE detected_at > %(since)s AND NOT historical AND status <> 'noise'
), decided AS (
  SELECT count(DISTINCT change_id) AS changes FROM app.change_verdicts WHERE at > %(since)s AND verdict IS NOT NULL
), published AS (
  SELECT count(*) AS sent FROM app.guidance_publications WHERE state = 'sent' AND ended_at > %(since)s
), told AS (
  SELECT count(*) FILTER (WHERE closed_at IS NULL AND acked_at IS NULL) AS open,
         count(*) FILTER (WHERE opened_at > %(since)s) AS opened, count(*) FILTER (WHERE closed_at > %(since)s) AS closed
  FROM app.alerts WHERE audience = 'operators' AND (closed_at IS NULL OR closed_at > %(since)s)
)
SELECT waits.changes AS waiting, waits.critical, (SELECT count(*) FROM app.approval_requests, clock
         WHERE state = 'pending' AND expires_at > clock.at) AS approvals,
       sources.documents, sources.blind, sources.late, found.changes AS found, decided.changes AS decided,
       published.sent AS published, told.open AS alerts, told.opened, told.closed
FROM waits, sources, found, decided, published, told;

-- name: open_alerts
-- What operators are to read of: opened since the last digest, or recalled since then; the gravest first.
SELECT level, sentence, opened_at, reminders FROM app.alerts
WHERE closed_at IS NULL AND acked_at IS NULL AND audience = 'operators'
  AND (opened_at > %(since)s OR (reminders > 0 AND remind_at - interval '1 day' * 2 ^ least(reminders, 10) > %(since)s))
ORDER BY array_position(ARRAY['critical', 'warning', 'notice'], level), opened_at LIMIT %(most)s;

-- name: reviewers
-- Who reads changes and guidance, and has an address.
SELECT mail FROM app.users WHERE state = 'active' AND role IN ('reviewer', 'editor', 'approver') AND mail <> '' ORDER BY id;

-- name: claim
-- The row is there before the first mail; who gets no row sends nothing. A failed day before any mail is taken up again.
INSERT INTO app.digests AS g (audience, day, figures) VALUES (%(audience)s, %(day)s, %(figures)s::jsonb)
ON CONFLICT (audience, day) DO UPDATE SET state = 'sending', cause = NULL, figures = excluded.figures, at = app.pw_now()
  WHERE g.state = 'failed' AND g.recipients = 0 AND g.at <= app.pw_now() - interval '1 hour'
RETURNING g.id;

-- name: count_one
-- Before each mail leaves: what is counted is never sent again.
UPDATE app.digests SET recipients = recipients + 1 WHERE id = %(digest)s AND state = 'sending';

-- name: finish
UPDATE app.digests SET state = %(state)s, cause = %(cause)s WHERE id = %(digest)s AND state = 'sending';

-- name: give_up_stale
-- A daemon ended while it sent them.
UPDATE app.digests SET state = 'failed', cause = 'the daemon ended while it was sent'
WHERE state = 'sending' AND at <= app.pw_now() - interval '1 hour';
