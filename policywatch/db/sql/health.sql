-- The health of sources as a whole: who is blind, who was not visited in time, and which alerts that opens or closes.
-- Visits note what they see of a page; here is what follows from the time that went by. All by the database's clock.

-- name: try_lock
-- One daemon judges at a time; the others have nothing to add.
SELECT pg_try_advisory_xact_lock(hashtext('policywatch.health'));

-- name: look
-- Blind is a page that cannot be read and had no good capture for two (`blind_after`) cadences, never one that was only
-- not looked at: that is late. A document is blind since its first page was. The rows: every document that is blind, was, or turns late.
WITH clock AS MATERIALIZED (SELECT app.pw_now() AS at), page AS MATERIALIZED (
  SELECT g.id, g.document_id, g.position, g.url, g.cause, g.blind_since AS was, g.last_good_at,
         CASE WHEN d.state = 'active' AND g.state = 'active' AND g.failing_since IS NOT NULL
                   AND coalesce(g.last_good_at, g.failing_since) + %(blind_after)s * d.cadence <= clock.at
              THEN coalesce(g.blind_since, coalesce(g.last_good_at, g.failing_since) + %(blind_after)s * d.cadence) END AS since
  FROM app.document_pages g JOIN app.policy_documents d ON d.id = g.document_id CROSS JOIN clock
  WHERE g.failing_since IS NOT NULL OR g.blind_since IS NOT NULL
), marked AS (
  UPDATE app.document_pages g SET blind_since = page.since FROM page
  WHERE g.id = page.id AND page.was IS DISTINCT FROM page.since
), blind AS (
  SELECT document_id, min(since) AS since, count(*) AS pages, min(last_good_at) AS last_good_at,
         (array_agg(cause ORDER BY position, id))[1] AS cause, (array_agg(url ORDER BY position, id))[1] AS url
  FROM page WHERE since IS NOT NULL GROUP BY document_id
), document AS MATERIALIZED (
  SELECT d.id, p.key || '/' || d.key AS name, d.blind_since AS was, blind.since, blind.pages AS pages_blind, blind.cause,
         blind.url, blind.last_good_at, d.version, a.sentence AS told,
         d.state = 'active' AND (d.health IN ('ok', 'never') OR d.health = 'moved' AND d.failing_since IS NULL)
           AND greatest(d.last_visit_at, d.updated_at, d.created_at) + %(blind_after)s * d.cadence <= clock.at
           AND EXISTS (SELECT FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active') AS late
  FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id LEFT JOIN blind ON blind.document_id = d.id
  LEFT JOIN app.alerts a ON a.kind = 'source_blind' AND a.closed_at IS NULL AND a.subject = p.key || '/' || d.key
  CROSS JOIN clock
  WHERE blind.since IS NOT NULL OR d.blind_since IS NOT NULL OR a.id IS NOT NULL
     OR greatest(d.last_visit_at, d.updated_at, d.created_at) + %(blind_after)s * d.cadence <= clock.at
), changed AS (
  UPDATE app.policy_documents d SET blind_since = x.since,
    health = CASE WHEN x.late THEN 'late' ELSE d.health END,
    cause = CASE WHEN x.late THEN 'not visited for ' || %(blind_after)s || ' cadences' ELSE d.cause END
  FROM document x WHERE d.id = x.id AND (x.was IS DISTINCT FROM x.since OR x.late)
)
SELECT x.id, x.name, x.was, x.since, coalesce(x.pages_blind, 0) AS pages_blind, x.cause, x.url, x.last_good_at, x.version,
       x.late, x.told,
       (SELECT count(*) FROM app.document_pages g WHERE g.document_id = x.id AND g.state = 'active') AS pages
FROM document x WHERE x.was IS NOT NULL OR x.since IS NOT NULL OR x.told IS NOT NULL OR x.late
ORDER BY x.name;

-- name: late
-- How many documents are late now, and since when the first of them should have been visited.
SELECT count(*) AS documents, min(coalesce(last_visit_at, created_at) + cadence) AS since, app.pw_now() AS at
FROM app.policy_documents WHERE state = 'active' AND health = 'late';

-- name: doubt
-- A change that waits for its second look while a page of its document cannot be read: as soon as the document is blind
-- people see it unconfirmed. It stays a candidate, so the next look that reads the page settles it.
UPDATE app.change_states s SET status = 'unconfirmed', version = s.version + 1, updated_at = app.pw_now()
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE s.status = 'second_look' AND s.document_id = d.id AND d.state = 'active' AND d.blind_since IS NOT NULL
  AND s.detected_at + %(blind_after)s * d.cadence <= app.pw_now()
RETURNING s.change_id, s.version, s.severity, p.key || '/' || d.key AS document,
  coalesce((SELECT a.summary FROM app.change_analyses a WHERE a.change_id = s.change_id ORDER BY a.version DESC LIMIT 1), '') AS summary;

-- name: close_settled
-- Nobody else closes these: a change that a person decided, a document that is watched no more, what somebody has read.
UPDATE app.alerts a SET closed_at = app.pw_now()
WHERE a.closed_at IS NULL AND (
  a.kind = 'change' AND EXISTS (
    SELECT FROM app.change_states s WHERE a.subject = 'C-' || s.change_id AND s.status NOT IN ('queued', 'unconfirmed', 'second_look'))
  OR a.kind = 'document_failing' AND EXISTS (
    SELECT FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
    WHERE a.subject = p.key || '/' || d.key AND d.state <> 'active')
  OR a.kind = 'not_compared' AND a.acked_at IS NOT NULL)
RETURNING a.id;

-- name: remind
-- After 1, 2, 4, 8 ... days as long as nobody acknowledged it.
UPDATE app.alerts a SET reminders = a.reminders + 1,
  remind_at = app.pw_now() + interval '1 day' * 2 ^ least(a.reminders + 1, 10)
WHERE a.closed_at IS NULL AND a.acked_at IS NULL AND coalesce(a.remind_at, a.opened_at + interval '1 day') <= app.pw_now()
RETURNING a.id, a.kind, a.subject, a.reminders;
