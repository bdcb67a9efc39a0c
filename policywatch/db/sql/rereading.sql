-- What the daemon reads of kept captures, to read them again by other rules.

-- name: document_of
-- A watched document by its keys.
SELECT d.id, p.key AS platform, d.key AS document, p.name AS platform_name, d.name AS document_name, d.fence, d.cadence, d.language,
       d.failures, d.health, d.newest_snapshot
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE p.key = %(platform)s AND d.key = %(document)s AND d.state <> 'archived';

-- name: kept_captures
-- The good captures of a document's active pages whose bytes are kept, the oldest first.
SELECT c.id, c.page_id, c.raw_sha256, c.text_sha256, c.final_url, c.headers ->> 'content-type' AS content_type
FROM app.captures c JOIN app.document_pages g ON g.id = c.page_id
WHERE c.document_id = %(document)s AND g.state = 'active' AND c.raw_sha256 IS NOT NULL AND c.text_sha256 IS NOT NULL
  AND (c.state = 'good' OR c.accepted_at IS NOT NULL)
ORDER BY c.page_id, c.fence;

-- name: lock_belief
-- Nobody moves the belief while a technical snapshot is stored.
SELECT d.newest_snapshot FROM app.policy_documents d WHERE d.id = %(document)s FOR UPDATE;

-- name: past_changes
-- The pages behind past changes, before and after, as they came; the newest changes.
SELECT s.change_id, coalesce(s.verdict = 'accepted', false) AS accepted, y.page_id, x.raw_sha256 AS before, y.raw_sha256 AS after,
       x.headers ->> 'content-type' AS before_type, y.headers ->> 'content-type' AS after_type, y.final_url
FROM (SELECT * FROM app.change_states t WHERE t.document_id = %(document)s AND t.status <> 'noise'
      ORDER BY t.change_id DESC LIMIT %(most)s) s
JOIN app.policy_changes c ON c.id = s.change_id AND c.detected_at = s.detected_at
JOIN app.policy_snapshots b ON b.id = c.before_snapshot AND b.fetched_at = c.before_at
JOIN app.policy_snapshots a ON a.id = c.after_snapshot AND a.fetched_at = c.after_at
JOIN app.captures x ON x.id = ANY (b.captures)
JOIN app.captures y ON y.id = ANY (a.captures) AND y.page_id = x.page_id AND y.id <> x.id
WHERE x.raw_sha256 IS NOT NULL AND y.raw_sha256 IS NOT NULL
ORDER BY s.change_id, y.page_id;
