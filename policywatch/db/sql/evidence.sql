-- name: captures
-- Newest first, of one document, every state or one.
SELECT id, at, url, state, step, status, quality, signals, cause, robots, final_url, redirects, headers, egress, raw_sha256,
       text_sha256, accepted_by, accepted_at, acceptable
FROM read.captures
WHERE document_id = %(document_id)s AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY at DESC, id DESC LIMIT %(limit)s;

-- name: captures_of_snapshot
-- What a snapshot was composed of, in reading order, with the raw bytes' hash.
SELECT c.id, c.at, c.url, c.status, c.step, c.headers, c.final_url, c.raw_sha256
FROM read.captures c
WHERE c.id IN (SELECT unnest(captures) FROM read.snapshots WHERE document_id = %(document_id)s AND id = %(snapshot)s)
ORDER BY c.position;

-- name: all_snapshots
-- The whole history of a document, oldest first.
SELECT id, fetched_at, source, kind, text_sha256 FROM read.snapshots WHERE document_id = %(document_id)s AND believed ORDER BY id;
