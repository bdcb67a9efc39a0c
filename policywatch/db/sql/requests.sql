-- name: claim_requests
-- Work that a person asked for, of the kinds that this daemon serves, a dead server's work is taken over.
WITH taken AS MATERIALIZED (
  SELECT q.id FROM app.requests q
  WHERE (q.state = 'waiting' OR (q.state = 'serving' AND q.lease_until < app.pw_now()))
    AND q.kind = ANY (%(kinds)s) AND q.expires_at > app.pw_now()
  ORDER BY q.requested_at LIMIT %(places)s FOR UPDATE SKIP LOCKED
)
UPDATE app.requests q SET state = 'serving', owner = %(worker)s, lease_until = app.pw_now() + interval '2 minutes'
FROM taken WHERE q.id = taken.id
RETURNING q.id, q.kind, q.arguments, q.sealed, q.requested_by, q.version;

-- name: end_request
-- Done or failed, with what came of it.
UPDATE app.requests SET state = %(state)s, result = %(result)s::jsonb, ended_at = app.pw_now(), owner = NULL, lease_until = NULL,
  version = version + 1
WHERE id = %(request)s AND owner = %(worker)s AND state = 'serving'
RETURNING version;

-- name: expire_requests
-- Nobody served them in time.
UPDATE app.requests SET state = 'expired', ended_at = app.pw_now(), owner = NULL, lease_until = NULL, version = version + 1
WHERE state IN ('waiting', 'serving') AND expires_at <= app.pw_now()
RETURNING id, version;

-- name: hint_request
-- Whoever waits for the answer looks now.
SELECT app.hint('request', %(request)s, %(version)s);
