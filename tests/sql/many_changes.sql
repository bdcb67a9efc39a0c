-- 500 queued changes of one document, for tests of the desk. Texts are stored once; every tenth change is critical.
-- Run as the role that administers the database; the current setting policywatch.many names how many (default 500).
WITH platform AS (
  SELECT id FROM app.platforms ORDER BY position, id LIMIT 1
), document AS (
  INSERT INTO app.policy_documents (platform_id, key, name)
  SELECT id, 'tried-terms', 'Tried Terms' FROM platform
  ON CONFLICT (platform_id, key) DO UPDATE SET name = excluded.name
  RETURNING id
), texts AS (
  INSERT INTO app.contents (sha256, raw_len, payload)
  SELECT pg_catalog.sha256(t::bytea), length(t), t::bytea
  FROM (VALUES ('14.2 Any dispute is decided by the courts.'), ('14.2 Any dispute is decided by arbitration.')) v (t)
  ON CONFLICT (sha256) DO UPDATE SET raw_len = excluded.raw_len
  RETURNING sha256
), numbers AS (
  SELECT n, app.pw_now() - make_interval(mins => 5 * n) AS at
  FROM generate_series(1, coalesce(nullif(current_setting('policywatch.many', true), '')::integer, 500)) n
), keys AS (
  INSERT INTO app.snapshot_keys (document_id, fetched_at)
  SELECT document.id, at - interval '12 hours' FROM document, numbers
  UNION ALL SELECT document.id, at FROM document, numbers
  RETURNING id, fetched_at
), states AS (
  INSERT INTO app.change_states (document_id, detected_at, status, machine_severity, severity)
  SELECT document.id, at, 'queued', s, s
  FROM document, numbers, LATERAL (SELECT CASE WHEN n % 10 = 0 THEN 'critical' WHEN n % 3 = 0 THEN 'high' ELSE 'low' END) x (s)
  RETURNING change_id, document_id, detected_at, severity
), changes AS (
  INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256, after_sha256,
                                  before_at, after_at, words_added, words_removed, passages, engine)
  SELECT s.change_id, s.detected_at, s.document_id, b.id, a.id, (SELECT sha256 FROM texts ORDER BY 1 LIMIT 1), (SELECT sha256 FROM texts ORDER BY 1 DESC LIMIT 1),
         s.detected_at - interval '12 hours', s.detected_at, 1, 1,
         jsonb_build_array(
           jsonb_build_object('kind', 'reworded', 'section', jsonb_build_array('14. Disputes'),
             'before', '14.2 Any dispute is decided by the courts.', 'after', '14.2 Any dispute is decided by arbitration.',
             'before_spans', '[[31, 41]]'::jsonb, 'after_spans', '[[31, 42]]'::jsonb),
           jsonb_build_object('kind', 'added', 'section', jsonb_build_array('15. Governing law'), 'before', '',
             'after', '15.3 The place of arbitration is Dublin.', 'before_spans', '[]'::jsonb, 'after_spans', '[]'::jsonb)),
         'tests'
  FROM states s
  JOIN keys a ON a.fetched_at = s.detected_at JOIN keys b ON b.fetched_at = s.detected_at - interval '12 hours'
  RETURNING id
)
INSERT INTO app.change_analyses (change_id, engine, change_type, severity, confidence, notify, summary)
SELECT s.change_id, 'tests', 'dispute_and_liability', s.severity, 0.8, true, 'Disputes go to arbitration now.'
FROM states s;
