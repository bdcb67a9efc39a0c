-- name: add_key
-- The anchor of a snapshot, a known source_ref gives no row, which makes an import idempotent.
INSERT INTO app.snapshot_keys (document_id, fetched_at, source_ref)
VALUES (%(document)s, coalesce(%(fetched_at)s::timestamptz, app.pw_now()), %(source_ref)s)
ON CONFLICT (document_id, source_ref) DO NOTHING
RETURNING id, fetched_at;

-- name: add_snapshot
-- Insert-only: what we believe at a time is never rewritten.
INSERT INTO app.policy_snapshots (id, fetched_at, document_id, previous_id, source, kind, partial, text_sha256,
  reader_hash, link_hash, captures, origin)
VALUES (%(id)s, %(fetched_at)s, %(document)s, %(previous)s, %(source)s, %(kind)s, %(partial)s, %(text_sha256)s,
  %(reader_hash)s, %(link_hash)s, %(captures)s::bigint[], %(origin)s::jsonb);

-- name: set_newest
-- The base of the next comparison.
UPDATE app.policy_documents SET newest_snapshot = %(snapshot)s,
  last_change_at = CASE WHEN %(changed)s THEN app.pw_now() ELSE last_change_at END
WHERE id = %(document)s;

-- name: add_state
-- The change's anchor and place in the queue.
INSERT INTO app.change_states (document_id, detected_at, status, historical, machine_severity, severity, second_look_at, looks,
  reverts, same_as)
VALUES (%(document)s, coalesce(%(detected_at)s::timestamptz, app.pw_now()), %(status)s, %(historical)s, %(severity)s, %(severity)s,
  app.pw_now() + %(second_look)s::interval, %(looks)s, %(reverts)s, %(same_as)s)
RETURNING change_id, detected_at;

-- name: add_change
-- The two snapshots and the passages between them.
INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256,
  after_sha256, before_at, after_at, noise_kind, words_added, words_removed, passages, engine)
VALUES (%(id)s, %(detected_at)s, %(document)s, %(before_snapshot)s, %(after_snapshot)s, %(before_sha256)s,
  %(after_sha256)s, %(before_at)s, %(after_at)s, %(noise_kind)s, %(words_added)s, %(words_removed)s,
  %(passages)s::jsonb, %(engine)s);

-- name: add_analysis
-- What the machine thinks of it, versioned and append-only.
INSERT INTO app.change_analyses (change_id, version, engine, change_type, other_types, severity, confidence, notify,
  topics, sections, effective_date, objection_deadline, summary, evidence)
VALUES (%(change)s, %(version)s, %(engine)s, %(change_type)s, %(other_types)s::text[], %(severity)s, %(confidence)s,
  %(notify)s, %(topics)s::text[], %(sections)s::text[], %(effective_date)s, %(objection_deadline)s, %(summary)s,
  %(evidence)s::jsonb);

-- name: index_text
-- Full text of the newest snapshot. A tsvector holds 1 MB, so of a giant text only the first part is searched.
INSERT INTO app.document_search (document_id, snapshot_id, words)
VALUES (%(document)s, %(snapshot)s, to_tsvector('english', left(%(text)s, 250000)))
ON CONFLICT (document_id) DO UPDATE
SET snapshot_id = excluded.snapshot_id, words = excluded.words, updated_at = app.pw_now()
WHERE app.document_search.snapshot_id <= excluded.snapshot_id;
