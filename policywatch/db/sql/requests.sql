-- name: claim_requests
-- Work that a person asked for, of the kinds that this daemon serves, a dead server's work is taken over.
WITH taken AS MATERIALIZED (
  SELECT q.id FROM app.requests q
  WHERE (q.state = 'waiting' OR (q.state = 'serving' AND q.lease_until < app.pw_now()))
    AND q.kind = ANY (%(kinds)s) AND q.expires_at > app.pw_now()
  ORDER BY q.requested_at LIMIT %(places)s FOR UPDATE SKIP LOCKED
)
UPDATE app.requests q SET state = 'serving', owner = %(worker)s, lease_until = app.pw_now() + interval '1 minute'
FROM taken WHERE q.id = taken.id
RETURNING q.id, q.kind, q.arguments, q.sealed, q.requested_by, q.version;

-- name: end_request
-- Done or failed, with what came of it.
UPDATE app.requests SET state = %(state)s, result = %(result)s::jsonb, ended_at = app.pw_now(), owner = NULL, lease_until = NULL,
  version = version + 1
WHERE id = %(request)s AND owner = %(worker)s AND state = 'serving'
RETURNING version;

-- name: tell_progress
-- How far it is, for whoever looks; the answer takes its place.
UPDATE app.requests SET result = %(result)s::jsonb WHERE id = %(request)s AND owner = %(worker)s AND state = 'serving'
RETURNING version;

-- name: renew_request
-- Still at it. No row: somebody else is by now, or it expired.
UPDATE app.requests SET lease_until = app.pw_now() + interval '1 minute'
WHERE id = %(request)s AND owner = %(worker)s AND state = 'serving' RETURNING id;

-- name: expire_requests
-- Nobody served them in time; what is being served may finish. Whoever waits for the answer looks now.
WITH expired AS (
  UPDATE app.requests SET state = 'expired', ended_at = app.pw_now(), owner = NULL, lease_until = NULL, version = version + 1
  WHERE (state = 'waiting' OR (state = 'serving' AND lease_until < app.pw_now())) AND expires_at <= app.pw_now()
  RETURNING id, version
)
SELECT id, version, app.hint('request', id, version) FROM expired;

-- name: hint_request
-- Whoever waits for the answer looks now.
SELECT app.hint('request', %(request)s, %(version)s);
