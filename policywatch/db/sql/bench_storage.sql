-- What the benchmark of the storage asks of its scratch database, as its owner.

-- name: sizes
-- All of contents on disk: rows, what TOAST took of them, indexes.
SELECT pg_catalog.pg_total_relation_size(c.oid) AS total, pg_catalog.pg_relation_size(c.oid) AS rows,
       coalesce(pg_catalog.pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS toast, pg_catalog.pg_indexes_size(c.oid) AS indexes
FROM pg_catalog.pg_class c WHERE c.oid = 'app.contents'::regclass;

-- name: contents
SELECT count(*) AS bodies, coalesce(sum(raw_len), 0)::bigint AS raw, coalesce(sum(octet_length(payload)), 0)::bigint AS payload,
       max(depth) AS depth FROM app.contents;

-- name: versions
-- Every version with its commit and file: those that are history, and those that were held back as suspect.
SELECT s.origin ->> 'commit' AS commit, s.origin ->> 'path' AS path, s.text_sha256
FROM app.policy_snapshots s WHERE s.source = 'archive'
UNION ALL
SELECT split_part(a.after ->> 'source_ref', ':', 1), a.after ->> 'path', decode(a.after ->> 'text_sha256', 'hex')
FROM app.audit_log a WHERE a.object_kind = 'suspect_version';
