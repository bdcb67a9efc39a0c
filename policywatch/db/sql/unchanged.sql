-- name: finish_unchanged
-- Most visits end so: every page answers that it is as it was, and nothing else is open. One statement for any number
-- of documents: it proves each fence, keeps the captures, frees the documents. What is not in the answer was not plain
-- (or is another's by now) and nothing of it was written: the full finish decides about it.
WITH asked AS (
  SELECT * FROM unnest(%(documents)s::integer[], %(fences)s::bigint[], %(bases)s::bigint[], %(waits)s::interval[])
    AS a(document, fence, base, wait)
), looks AS (
  SELECT * FROM unnest(%(pages)s::integer[], %(of)s::integer[], %(captures)s::bigint[], %(statuses)s::integer[],
    %(headers)s::text[], %(redirects)s::text[], %(addresses)s::text[], %(conditional)s::boolean[], %(elapsed)s::double precision[],
    %(egress)s::text[], %(robots)s::text[])
    AS k(page, document, capture, status, headers, redirects, address, conditional, elapsed, egress, robots)
), ours AS MATERIALIZED (
  SELECT d.id, a.fence, a.wait FROM app.policy_documents d JOIN asked a ON a.document = d.id
  WHERE d.owner = %(worker)s AND d.fence = a.fence AND d.newest_snapshot = a.base
    AND d.health = 'ok' AND d.failures = 0 AND d.blind_since IS NULL
    AND NOT EXISTS (SELECT FROM app.change_states c
                    WHERE c.document_id = d.id AND c.status IN ('second_look', 'unconfirmed'))
    AND NOT EXISTS (SELECT FROM looks k LEFT JOIN app.document_pages g ON g.id = k.page
                    WHERE k.document = d.id AND (g.id IS NULL OR g.health <> 'ok' OR g.failures <> 0 OR g.suspects <> 0
                      OR g.good_capture IS DISTINCT FROM k.capture OR g.trial <> 'good' OR g.trial_rule_id IS NOT NULL
                      OR g.step IN ('browser', 'archive') OR g.blind_since IS NOT NULL))
  ORDER BY d.id FOR UPDATE OF d
), kept AS (
  INSERT INTO app.captures (document_id, page_id, fence, state, status, headers, redirects, final_url, rule_id, conditional,
    egress, robots, elapsed)
  SELECT o.id, g.id, o.fence, 'unchanged', k.status, k.headers::jsonb, k.redirects::jsonb, k.address, g.rule_id, k.conditional,
         k.egress, k.robots, make_interval(secs => k.elapsed)
  FROM ours o JOIN looks k ON k.document = o.id JOIN app.document_pages g ON g.id = k.page
), marked AS (
  UPDATE app.document_pages g SET last_visit_at = app.pw_now(), last_good_at = app.pw_now(), robots = coalesce(k.robots, g.robots)
  FROM ours o JOIN looks k ON k.document = o.id WHERE g.id = k.page
)
UPDATE app.policy_documents d SET
  owner = NULL, lease_until = NULL, due_at = app.pw_now() + o.wait, cause = NULL,
  failing_since = NULL, last_visit_at = app.pw_now(), last_good_at = app.pw_now(), updated_at = app.pw_now()
FROM ours o WHERE d.id = o.id
RETURNING d.id;

-- name: note_page
-- What a look shows beside text and health: the verdict of robots.txt, whether the whole body came, the validators
-- that came with the very bytes of the last good capture, and that a page which can be read has moved for good.
UPDATE app.document_pages SET robots = coalesce(%(robots)s, robots),
  full_fetch_at = CASE WHEN %(full)s THEN app.pw_now() ELSE full_fetch_at END,
  etag = CASE WHEN %(same)s THEN %(etag)s ELSE etag END,
  last_modified = CASE WHEN %(same)s THEN %(last_modified)s ELSE last_modified END,
  health = CASE WHEN %(moved)s::text IS NULL THEN health ELSE 'moved' END,
  cause = CASE WHEN %(moved)s::text IS NULL THEN cause ELSE left('moved for good to ' || %(moved)s, 1000) END
WHERE id = %(page)s;

-- name: note_moved
-- A document that can be read, a page of which has its place elsewhere from now on.
UPDATE app.policy_documents SET health = 'moved', cause = left(%(address)s || ' moved for good to ' || %(moved)s, 1000)
WHERE id = %(document)s;
