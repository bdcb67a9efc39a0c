-- Version repositories that are followed live: who looks when, what their documents are, what was seen.

-- name: declare
-- A row for every repository that the settings name.
INSERT INTO app.archives (repository) SELECT unnest(%(repositories)s::text[]) ON CONFLICT (repository) DO NOTHING;

-- name: claim_due
-- One repository that is due and free, of those that the settings name. The fence is ours until it is taken again.
UPDATE app.archives a SET owner = %(worker)s, fence = a.fence + 1, lease_until = app.pw_now() + %(lease)s::interval
WHERE a.repository = (
  SELECT x.repository FROM app.archives x
  WHERE x.repository = ANY (%(repositories)s::text[]) AND x.due_at <= app.pw_now()
    AND (x.lease_until IS NULL OR x.lease_until < app.pw_now())
  ORDER BY x.due_at, x.repository LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING a.repository, a.fence, a.head, a.failures;

-- name: finish
-- The end of a look, good where there is no cause. No row: another took the repository meanwhile.
UPDATE app.archives SET owner = NULL, lease_until = NULL, due_at = app.pw_now() + %(wait)s::interval,
  head = coalesce(%(head)s, head), cause = %(cause)s,
  failures = CASE WHEN %(cause)s::text IS NULL THEN 0 ELSE failures + 1 END,
  failing_since = CASE WHEN %(cause)s::text IS NULL THEN NULL ELSE coalesce(failing_since, app.pw_now()) END,
  last_good_at = CASE WHEN %(cause)s::text IS NULL THEN app.pw_now() ELSE last_good_at END
WHERE repository = %(repository)s AND owner = %(worker)s AND fence = %(fence)s
RETURNING failures;

-- name: is_ours
-- Whether the fence holds, so that what follows in this transaction is no late result.
SELECT repository FROM app.archives WHERE repository = %(repository)s AND owner = %(worker)s AND fence = %(fence)s FOR SHARE;

-- name: make_due
-- Look soon.
UPDATE app.archives SET due_at = app.pw_now() WHERE repository = ANY (%(repositories)s::text[]) AND lease_until IS NULL;

-- name: documents
-- The active documents of a repository; blocked: it has pages, and none of them could be read lately, or not all of them
-- can be since it stands in: a text with stand-ins is not put in its place.
SELECT d.id, p.key AS platform, d.key AS document, p.name AS platform_name, d.name AS document_name, d.language,
  d.archive ->> 'path' AS path, d.archive_commit, d.newest_snapshot, g.pages > 0 AS has_pages,
  g.failing > 0 AND (g.pages = g.failing OR EXISTS (
    SELECT FROM app.snapshot_keys k JOIN app.policy_snapshots s ON s.id = k.id AND s.fetched_at = k.fetched_at
    WHERE k.id = d.newest_snapshot AND s.source = 'archive' AND s.origin @> '{"live": true}')) AS blocked, coalesce(g.good_at, d.last_good_at) AS last_look
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
CROSS JOIN LATERAL (
  SELECT count(*) AS pages, count(*) FILTER (WHERE x.failing_since IS NOT NULL) AS failing, max(x.last_good_at) AS good_at
  FROM app.document_pages x WHERE x.document_id = d.id AND x.state = 'active') g
WHERE d.state = 'active' AND d.archive ->> 'repository' = %(repository)s AND (%(document)s::integer IS NULL OR d.id = %(document)s)
ORDER BY d.id;

-- name: lock_document
-- Whoever writes the history of a document holds it.
SELECT d.id FROM app.policy_documents d WHERE d.id = %(document)s FOR UPDATE;

-- name: note_seen
-- How far its archive was read.
UPDATE app.policy_documents SET archive_commit = coalesce(%(commit)s, archive_commit), archive_seen_at = app.pw_now()
WHERE id = %(document)s;

-- name: note_good
-- A document that is read from its archive alone was looked at; platform pages have their own health.
UPDATE app.policy_documents SET health = 'ok', cause = NULL, failures = 0, failing_since = NULL,
  last_visit_at = app.pw_now(), last_good_at = app.pw_now() WHERE id = %(document)s;

-- name: note_failing
-- The same, where nothing could be seen.
UPDATE app.policy_documents SET health = %(health)s, cause = %(cause)s, failures = failures + 1,
  failing_since = coalesce(failing_since, app.pw_now()), last_visit_at = app.pw_now() WHERE id = %(document)s;

-- name: mark_step
-- The pages' words come from the archive until one of them can be read again.
UPDATE app.document_pages SET step = 'archive', step_reason = left('read from the archive: ' || coalesce(cause, 'it cannot be read'), 500)
WHERE document_id = %(document)s AND state = 'active' AND failing_since IS NOT NULL;

-- name: stored
-- A version of an archive that is in the history already.
SELECT s.id, s.fetched_at, s.text_sha256 FROM app.snapshot_keys k
JOIN app.policy_snapshots s ON s.id = k.id AND s.fetched_at = k.fetched_at
WHERE k.document_id = %(document)s AND k.source_ref = %(source_ref)s;

-- name: now
-- The one clock.
SELECT app.pw_now() AS now;

-- name: archives
-- How the followed repositories stand.
SELECT repository, due_at, head, failures, cause, failing_since, last_good_at FROM app.archives ORDER BY repository;
