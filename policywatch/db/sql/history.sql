-- The history of an archive: many versions in one transaction, in the order of the archive.

-- name: platforms
-- Whose names and aliases the services of an archive are matched with.
SELECT id, key, name, aliases FROM app.platforms ORDER BY position, id;

-- name: documents
-- What a version may belong to.
SELECT id, platform_id, key, name, language FROM app.policy_documents ORDER BY id;

-- name: pages
-- Whose rules give the text of recorded pages.
SELECT g.id, g.document_id, d.name AS document_name, p.name AS platform_name, g.url, r.definition AS rule
FROM app.document_pages g
JOIN app.policy_documents d ON d.id = g.document_id
JOIN app.platforms p ON p.id = d.platform_id
JOIN app.extraction_rules r ON r.id = g.rule_id
WHERE g.state = 'active' ORDER BY g.document_id, g.position, g.id;

-- name: add_document
-- Known from an archive alone: listed and read, never visited until a person resumes it. No row: it is there by now.
INSERT INTO app.policy_documents (platform_id, key, name, state, paused_reason, archive)
VALUES (%(platform)s, %(key)s, %(name)s, 'paused', 'known from an archive alone', %(archive)s::jsonb)
ON CONFLICT (platform_id, key) DO NOTHING
RETURNING id;

-- name: document_id
-- The document that another import made meanwhile.
SELECT id FROM app.policy_documents WHERE platform_id = %(platform)s AND key = %(key)s;

-- name: stored_versions
-- What earlier imports stored of these documents: it is passed over, and it is what the next version is held against.
SELECT k.id, k.document_id, k.source_ref, s.fetched_at, s.text_sha256
FROM app.snapshot_keys k
JOIN app.policy_snapshots s ON s.id = k.id AND s.fetched_at = k.fetched_at
WHERE k.document_id = ANY (%(documents)s::integer[]) AND k.source_ref IS NOT NULL;

-- name: predecessors
-- Dated files come in portions (a folder a year, a WARC a crawl): the first of one portion follows the last of another.
SELECT t.document_id, t.path, s.id, s.fetched_at, s.text_sha256
FROM unnest(%(documents)s::integer[], %(paths)s::text[], %(times)s::timestamptz[]) AS t (document_id, path, at)
CROSS JOIN LATERAL (
  SELECT x.id, x.fetched_at, x.text_sha256 FROM app.policy_snapshots x
  WHERE x.document_id = t.document_id AND x.source = 'archive' AND x.origin ? 'file'
    AND lower(x.origin ->> 'path') = lower(t.path) AND x.fetched_at < t.at
  ORDER BY x.fetched_at DESC, x.id DESC LIMIT 1) s;

-- name: suspect_versions
-- Versions that were held back, each was written down once: the next run passes over them.
SELECT object_id AS document, after ->> 'source_ref' AS source_ref
FROM app.audit_log WHERE object_kind = 'suspect_version' AND object_id = ANY (%(documents)s::text[]);

-- name: lock_documents
-- Two imports, or an import and a visit, write the history of a document one after the other.
SELECT d.id, k.id AS newest, k.fetched_at, k.source_ref
FROM app.policy_documents d LEFT JOIN app.snapshot_keys k ON k.id = d.newest_snapshot
WHERE d.id = ANY (%(documents)s::integer[]) ORDER BY d.id FOR UPDATE OF d;

-- name: add_keys
-- Numbers in the order given, so that the order of id is the order of history. A known source_ref gives no row.
INSERT INTO app.snapshot_keys (document_id, fetched_at, source_ref)
SELECT t.document_id, t.fetched_at, t.source_ref
FROM unnest(%(document_id)s::integer[], %(fetched_at)s::timestamptz[], %(source_ref)s::text[])
     WITH ORDINALITY AS t (document_id, fetched_at, source_ref, place)
ORDER BY t.place
ON CONFLICT (document_id, source_ref) DO NOTHING
RETURNING id, document_id, source_ref;

-- name: add_snapshots
-- The versions themselves.
INSERT INTO app.policy_snapshots (id, fetched_at, document_id, previous_id, source, kind, text_sha256, reader_hash, link_hash, origin)
SELECT t.id, t.fetched_at, t.document_id, t.previous_id, 'archive', t.kind, t.text_sha256, t.reader_hash, t.link_hash, t.origin::jsonb
FROM unnest(%(id)s::bigint[], %(fetched_at)s::timestamptz[], %(document_id)s::integer[], %(previous_id)s::bigint[],
            %(kind)s::text[], %(text_sha256)s::bytea[], %(reader_hash)s::bytea[], %(link_hash)s::bytea[], %(origin)s::text[])
     AS t (id, fetched_at, document_id, previous_id, kind, text_sha256, reader_hash, link_hash, origin);

-- name: add_states
-- Anchors of the changes, numbered in the order given; what is imported is historical, also where it is queued.
INSERT INTO app.change_states (document_id, detected_at, status, historical, machine_severity, severity)
SELECT t.document_id, t.detected_at, t.status, true, t.severity, t.severity
FROM unnest(%(document_id)s::integer[], %(detected_at)s::timestamptz[], %(status)s::text[], %(severity)s::text[])
     WITH ORDINALITY AS t (document_id, detected_at, status, severity, place)
ORDER BY t.place
RETURNING change_id, document_id, detected_at;

-- name: add_changes
-- The two snapshots of each and the passages between them.
INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256,
  after_sha256, before_at, after_at, noise_kind, words_added, words_removed, passages, engine)
SELECT t.id, t.detected_at, t.document_id, t.before_snapshot, t.after_snapshot, t.before_sha256, t.after_sha256,
  t.before_at, t.detected_at, t.noise_kind, t.words_added, t.words_removed, t.passages::jsonb, %(engine)s
FROM unnest(%(id)s::bigint[], %(detected_at)s::timestamptz[], %(document_id)s::integer[], %(before_snapshot)s::bigint[],
            %(after_snapshot)s::bigint[], %(before_sha256)s::bytea[], %(after_sha256)s::bytea[], %(before_at)s::timestamptz[],
            %(noise_kind)s::text[], %(words_added)s::integer[], %(words_removed)s::integer[], %(passages)s::text[])
     AS t (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256, after_sha256, before_at,
           noise_kind, words_added, words_removed, passages);

-- name: add_analyses
-- What the machine thinks of each, as its first version.
INSERT INTO app.change_analyses (change_id, engine, change_type, other_types, severity, confidence, notify, topics,
  sections, effective_date, objection_deadline, summary, evidence)
SELECT t.change_id, t.engine, t.change_type, t.other_types, t.severity, t.confidence, t.notify, t.topics,
  t.sections, t.effective_date, t.objection_deadline, t.summary, t.evidence
FROM jsonb_to_recordset(%(analyses)s::jsonb)
     AS t (change_id bigint, engine text, change_type text, other_types text[], severity text, confidence real, notify boolean,
           topics text[], sections text[], effective_date date, objection_deadline date, summary text, evidence jsonb);

-- name: move_newest
-- The document's newest version and, where words changed, the time of its last change (never backwards).
UPDATE app.policy_documents d SET newest_snapshot = t.snapshot,
  last_change_at = greatest(d.last_change_at, t.changed_at), updated_at = app.pw_now()
FROM unnest(%(document_id)s::integer[], %(snapshot)s::bigint[], %(changed_at)s::timestamptz[]) AS t (document_id, snapshot, changed_at)
WHERE d.id = t.document_id;

-- name: unsearchable
-- Documents whose newest version is an archive's and is not the one that is searched.
SELECT d.id AS document_id, d.newest_snapshot, s.text_sha256
FROM app.policy_documents d
JOIN app.snapshot_keys k ON k.id = d.newest_snapshot
JOIN app.policy_snapshots s ON s.id = k.id AND s.fetched_at = k.fetched_at AND s.source = 'archive'
LEFT JOIN app.document_search w ON w.document_id = d.id
WHERE w.snapshot_id IS DISTINCT FROM d.newest_snapshot
ORDER BY d.id;
