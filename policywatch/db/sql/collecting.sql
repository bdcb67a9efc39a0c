-- name: claim_due
-- One statement decides: due, active, with a page, not leased, one document of a platform at a time, since
-- its pages mostly share a host. The locked rows are checked again, so that no stale reading counts. What is compared
-- with every due document is gathered once.
WITH due AS MATERIALIZED (
  SELECT DISTINCT ON (d.platform_id) d.id, d.due_at
  FROM app.policy_documents d
  WHERE d.state = 'active' AND d.due_at <= (SELECT app.pw_now())
    AND (d.lease_until IS NULL OR d.lease_until < (SELECT app.pw_now()))
    AND d.platform_id <> ALL (ARRAY(SELECT o.platform_id FROM app.policy_documents o WHERE o.lease_until >= (SELECT app.pw_now())))
    AND (%(only)s::integer[] IS NULL OR d.id IN (SELECT unnest(%(only)s::integer[])))
    AND d.id IN (SELECT g.document_id FROM app.document_pages g WHERE g.state = 'active')
  ORDER BY d.platform_id, d.due_at, d.id
), taken AS MATERIALIZED (
  SELECT x.id FROM app.policy_documents x JOIN due ON due.id = x.id
  WHERE x.state = 'active' AND x.due_at <= app.pw_now()
    AND (x.lease_until IS NULL OR x.lease_until < app.pw_now())
  ORDER BY due.due_at, x.id
  LIMIT %(places)s
  FOR UPDATE OF x SKIP LOCKED
)
UPDATE app.policy_documents d
SET owner = %(worker)s, fence = d.fence + 1, lease_until = app.pw_now() + %(lease)s::interval
FROM taken, app.platforms p
WHERE d.id = taken.id AND p.id = d.platform_id
RETURNING d.id, p.key AS platform, d.key AS document, p.name AS platform_name, d.name AS document_name, d.fence, d.cadence, d.language, d.failures, d.health,
          d.newest_snapshot;

-- name: pages_of
-- The active pages of claimed documents in reading order, each with its rule and its last good capture.
SELECT g.id, g.document_id, g.url, g.render, g.headers, g.rule_id, r.definition AS rule, g.etag, g.last_modified,
       c.id AS good_capture, c.rule_id AS good_rule, c.raw_sha256, c.text_sha256, c.signals ->> 'engine' AS engine, c.signals ->> 'reader' AS reader,
       g.trial, g.trial_rule_id, t.definition AS trial_rule, a.id AS accepted_capture, a.text_sha256 AS accepted_text, p.key AS platform, g.credential,
       g.step, g.step_reason, coalesce(c.step, 'http') AS good_step,
       g.step = 'browser' AND NOT EXISTS (SELECT FROM app.captures y WHERE y.page_id = g.id AND y.at > app.pw_now() - interval '7 days'
         AND (y.step = 'http' OR y.signals ? 'plain')) AS plain_due,
       d.robots_override IS NOT NULL AS overridden, extract(epoch FROM app.pw_now() - g.full_fetch_at)::double precision AS full_age
FROM app.document_pages g
JOIN app.policy_documents d ON d.id = g.document_id
JOIN app.platforms p ON p.id = d.platform_id
JOIN app.extraction_rules r ON r.id = g.rule_id
LEFT JOIN app.extraction_rules t ON t.id = g.trial_rule_id
LEFT JOIN app.captures c ON c.id = g.good_capture
LEFT JOIN LATERAL (SELECT x.id, x.text_sha256 FROM app.captures x
                   WHERE x.page_id = g.id AND x.state = 'suspect' AND x.accepted_at IS NOT NULL
                     AND x.id > coalesce(g.good_capture, 0) AND x.at > coalesce(g.last_good_at, '-infinity')
                   ORDER BY x.at DESC LIMIT 1) a ON true
WHERE g.document_id = ANY (%(documents)s) AND g.state = 'active'
ORDER BY g.document_id, g.position, g.id;

-- name: newest_snapshots
-- The base of the next comparison of each document; waits: a change to it stands and is not settled.
SELECT s.id, s.document_id, s.fetched_at, s.source, s.text_sha256, s.reader_hash, s.link_hash, s.captures, s.origin,
       w.waits, w.waits OR EXISTS (SELECT FROM app.document_variants v WHERE v.document_id = d.id) AS open
FROM app.policy_documents d
JOIN app.snapshot_keys k ON k.id = d.newest_snapshot
JOIN app.policy_snapshots s ON s.id = k.id AND s.fetched_at = k.fetched_at
CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM app.change_states c
                                   WHERE c.document_id = d.id AND c.second_look_at IS NOT NULL) AS waits) w
WHERE d.id = ANY (%(documents)s);

-- name: captures_of
-- What the captures behind a snapshot hold, for reading them again under another rule.
SELECT c.id, c.page_id, c.raw_sha256, c.final_url, c.headers ->> 'content-type' AS content_type, c.step
FROM app.captures c WHERE c.id = ANY (%(captures)s);

-- name: renew_lease
-- A finished page is progress, only then, and only for the holder of the fence.
UPDATE app.policy_documents SET lease_until = app.pw_now() + %(lease)s::interval
WHERE id = %(document)s AND owner = %(worker)s AND fence = %(fence)s;

-- name: put_back
-- The visit did not take place (its host asks to wait, the daemon stops), due again after `wait`.
UPDATE app.policy_documents SET owner = NULL, lease_until = NULL, due_at = app.pw_now() + %(wait)s::interval,
  cause = coalesce(%(cause)s, cause)
WHERE id = %(document)s AND owner = %(worker)s AND fence = %(fence)s;

-- name: finish_visit
-- The first statement of a finish: it proves the fence and locks the document. No row: the result is late.
UPDATE app.policy_documents SET
  owner = NULL, lease_until = NULL, due_at = app.pw_now() + %(wait)s::interval,
  health = %(health)s, cause = %(cause)s,
  failures = CASE WHEN %(good)s THEN 0 ELSE failures + 1 END,
  failing_since = CASE WHEN %(good)s THEN NULL ELSE coalesce(failing_since, app.pw_now()) END,
  last_visit_at = app.pw_now(),
  last_good_at = CASE WHEN %(good)s THEN app.pw_now() ELSE last_good_at END,
  updated_at = app.pw_now()
WHERE id = %(document)s AND owner = %(worker)s AND fence = %(fence)s
RETURNING newest_snapshot, failures, version;

-- name: add_capture
-- Key (page, fence): a second result of the same visit cannot be stored at all.
INSERT INTO app.captures (document_id, page_id, fence, state, status, headers, redirects, final_url, raw_sha256,
  text_sha256, rule_id, conditional, quality, signals, cause, egress, robots, step, elapsed)
VALUES (%(document)s, %(page)s, %(fence)s, %(state)s, %(status)s, %(headers)s::jsonb, %(redirects)s::jsonb,
  %(final_url)s, %(raw_sha256)s, %(text_sha256)s, %(rule)s, %(conditional)s, %(quality)s, %(signals)s::jsonb, %(cause)s,
  %(egress)s, %(robots)s, %(step)s,
  %(elapsed)s::interval)
RETURNING id;

-- name: mark_page_good
-- The validators are the server's own words, of good captures alone.
UPDATE app.document_pages SET health = 'ok', cause = NULL, failing_since = NULL,
  failures = 0, suspects = 0, suspect_capture = NULL,
  etag = %(etag)s, last_modified = %(last_modified)s, good_capture = %(capture)s,
  full_fetch_at = app.pw_now(), last_visit_at = app.pw_now(), last_good_at = app.pw_now()
WHERE id = %(page)s;

-- name: mark_page_unchanged
-- 304 or the same bytes: all that is known of the page stays.
UPDATE app.document_pages SET health = 'ok', cause = NULL, failing_since = NULL,
  failures = 0, suspects = 0, suspect_capture = NULL,
  last_visit_at = app.pw_now(), last_good_at = app.pw_now()
WHERE id = %(page)s;

-- name: mark_page_failing
-- The last good capture and its validators stay, only the fault is noted.
UPDATE app.document_pages SET health = %(health)s, cause = %(cause)s,
  failing_since = coalesce(failing_since, app.pw_now()), last_visit_at = app.pw_now(), failures = failures + 1,
  suspects = CASE WHEN %(suspect)s::bigint IS NULL THEN suspects ELSE suspects + 1 END,
  suspect_capture = coalesce(%(suspect)s, suspect_capture)
WHERE id = %(page)s;

-- name: mark_step
-- What read the page now; nothing is written where it is as it was.
UPDATE app.document_pages SET step = %(step)s, step_reason = %(reason)s
WHERE id = %(page)s AND (step, step_reason) IS DISTINCT FROM (%(step)s, %(reason)s);

-- name: mark_page_accepted
-- A person's word makes a suspect capture the last good one; no validator of it is ever sent.
UPDATE app.document_pages SET good_capture = %(capture)s, etag = NULL, last_modified = NULL, health = 'ok', cause = NULL,
  failing_since = NULL, failures = 0, suspects = 0, suspect_capture = NULL, last_visit_at = app.pw_now(),
  last_good_at = app.pw_now()
WHERE id = %(page)s;

-- name: due_ids
-- What is due at this moment and can be visited.
SELECT d.id FROM app.policy_documents d
WHERE d.state = 'active' AND d.due_at <= (SELECT app.pw_now())
  AND EXISTS (SELECT FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active');

-- name: make_due
-- Documents by platform and key (NULL is all of them) become due now.
UPDATE app.policy_documents d SET due_at = app.pw_now()
FROM app.platforms p
WHERE p.id = d.platform_id AND d.state = 'active'
  AND (%(platform)s::text IS NULL OR p.key = %(platform)s)
  AND (%(document)s::text IS NULL OR d.key = %(document)s)
  AND EXISTS (SELECT FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active')
RETURNING d.id;

-- name: next_due_in
-- Seconds until the next document is due and free, NULL where none is watched.
SELECT extract(epoch FROM min(greatest(d.due_at, coalesce(d.lease_until, d.due_at))) - app.pw_now())::double precision
FROM app.policy_documents d
WHERE d.state = 'active' AND EXISTS (SELECT FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active');

-- name: waiting_of
-- Of some documents: which are held by a visit, and in how many seconds the others are due.
SELECT d.id, p.key AS platform, d.key AS document, coalesce(d.lease_until >= app.pw_now(), false) AS held,
       greatest(extract(epoch FROM d.due_at - app.pw_now()), 0)::double precision AS due_in
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE d.id = ANY (%(only)s);
