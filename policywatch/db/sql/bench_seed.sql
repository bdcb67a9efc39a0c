-- The rows of a benchmark's scratch database, in proportion to %(n)s changes. Run as a superuser with triggers off:
-- nothing here is an example of how rows are made. Change i is between the snapshots i and i + 53, so that each of
-- the 53 documents has one unbroken history; what is newest is what waits. Equal input gives equal rows.

-- name: documents
INSERT INTO app.policy_documents (platform_id, key, name, health, due_at, last_visit_at, last_good_at, last_change_at)
SELECT p.id, 'document-' || d, 'Document ' || d, CASE WHEN mod(d, 13) = 0 THEN 'degraded' ELSE 'ok' END,
       %(now)s::timestamptz + make_interval(mins => 10 * d - 60), %(now)s::timestamptz - make_interval(mins => 10 * d),
       %(now)s::timestamptz - make_interval(mins => 10 * d), %(now)s::timestamptz - make_interval(hours => d)
FROM generate_series(1, 53) d
JOIN (SELECT id, row_number() OVER (ORDER BY position, id) - 1 AS place FROM app.platforms) p ON p.place = mod(d, 7);

-- name: rules
INSERT INTO app.extraction_rules (hash, definition, author)
SELECT sha256(int8send(d)), jsonb_build_object('select', jsonb_build_array('main'), 'remove', jsonb_build_array('nav', '.v' || d)), 'bench'
FROM generate_series(1, 53) d;

-- name: pages
INSERT INTO app.document_pages (document_id, position, url, rule_id, health, good_capture, last_visit_at, last_good_at)
SELECT d, 1, 'http://platform.test/document-' || d, d, 'ok', %(n)s::bigint + d, %(now)s, %(now)s FROM generate_series(1, 53) d;

-- name: hosts
INSERT INTO app.hosts (host, next_allowed_at) SELECT 'host-' || h || '.test', %(now)s FROM generate_series(1, 12) h;

-- name: contents
-- A version after the first is a zstd frame against the one before: about 0.6 KB each.
INSERT INTO app.contents (sha256, codec, base_sha256, depth, raw_len, payload, stored_at)
SELECT sha256(int8send(s)), 'zstd', CASE WHEN depth > 0 THEN sha256(int8send(s - 53)) END, depth, 60000,
       decode(repeat(md5(s::text), 40), 'hex'), %(now)s
FROM (SELECT s, mod((s - 1) / 53, 32)::integer AS depth FROM generate_series(1, %(n)s::bigint + 53) s) x;

-- name: snapshot_keys
INSERT INTO app.snapshot_keys (id, document_id, fetched_at) OVERRIDING SYSTEM VALUE
SELECT s, 1 + mod(s - 1, 53), %(now)s::timestamptz - interval '1 minute' - (%(n)s::bigint + 53 - s) * (interval '1800 days' / %(n)s::bigint)
FROM generate_series(1, %(n)s::bigint + 53) s;

-- name: snapshots
INSERT INTO app.policy_snapshots (id, fetched_at, document_id, previous_id, source, kind, text_sha256, reader_hash, link_hash, captures, recorded_at)
SELECT k.id, k.fetched_at, k.document_id, nullif(greatest(k.id - 53, 0), 0), CASE WHEN mod(k.id, 10) < 7 THEN 'archive' ELSE 'platform' END,
       CASE WHEN k.id <= 53 THEN 'first' ELSE 'change' END, sha256(int8send(k.id)), sha256(int8send(k.id)), sha256(int8send(mod(k.id, 1000))),
       ARRAY[k.id], k.fetched_at
FROM app.snapshot_keys k;

-- name: newest
UPDATE app.policy_documents SET newest_snapshot = %(n)s::bigint + id;

-- name: captures
-- One good capture for each snapshot, and one unchanged for it.
INSERT INTO app.captures (id, document_id, page_id, fence, at, state, status, headers, final_url, raw_sha256, text_sha256, rule_id, elapsed)
OVERRIDING SYSTEM VALUE
SELECT c, 1 + mod(c - 1, 53), 1 + mod(c - 1, 53), c, %(now)s::timestamptz - (2 * (%(n)s::bigint + 53) - c) * (interval '900 days' / %(n)s::bigint),
       CASE WHEN c <= %(n)s::bigint + 53 THEN 'good' ELSE 'unchanged' END, CASE WHEN c <= %(n)s::bigint + 53 THEN 200 ELSE 304 END,
       '{"content-type": "text/html; charset=utf-8"}', 'http://platform.test/document-' || 1 + mod(c - 1, 53),
       CASE WHEN c <= %(n)s::bigint + 53 THEN sha256(int8send(c)) END, CASE WHEN c <= %(n)s::bigint + 53 THEN sha256(int8send(c)) END,
       1 + mod(c - 1, 53), interval '0.4 s'
FROM generate_series(1, 2 * (%(n)s::bigint + 53)) c;

-- name: change_states
-- A tenth waits, among the newest fifth; a fiftieth of it is snoozed. The rest: noise, history, decided.
INSERT INTO app.change_states (change_id, document_id, detected_at, status, historical, machine_severity, severity, verdict,
                               decided_by, decided_at, snoozed_until, snoozed_by, version)
OVERRIDING SYSTEM VALUE
SELECT i, 1 + mod(i - 1, 53), k.fetched_at, status, status = 'historical', severity, severity,
       CASE WHEN status = 'decided' THEN CASE WHEN mod(h, 10) < 4 THEN 'accepted' WHEN mod(h, 10) < 9 THEN 'no_effect' ELSE 'bad_capture' END END,
       CASE WHEN status = 'decided' THEN 'person-' || 1 + mod(h, 10) END, CASE WHEN status = 'decided' THEN k.fetched_at + interval '3 hours' END,
       CASE WHEN status = 'queued' AND mod(h, 50) = 7 THEN %(now)s::timestamptz + interval '2 days' END,
       CASE WHEN status = 'queued' AND mod(h, 50) = 7 THEN 'person-1' END, CASE WHEN status = 'decided' THEN 2 ELSE 1 END
FROM (SELECT i, h, CASE WHEN i > %(n)s::bigint * 8 / 10 AND mod(i, 2) = 0
                        THEN CASE WHEN mod(h, 100) = 3 THEN 'unconfirmed' ELSE 'queued' END
                   WHEN i > %(n)s::bigint * 999 / 1000 AND mod(h, 40) = 1 THEN 'second_look'
                   WHEN mod(h, 10) < 3 THEN 'noise' WHEN mod(h, 10) = 3 THEN 'historical' ELSE 'decided' END AS status,
             (ARRAY['none', 'none', 'low', 'low', 'low', 'low', 'low', 'low', 'low', 'low', 'low', 'low', 'medium', 'medium', 'medium',
                    'medium', 'medium', 'high', 'high', 'critical'])[1 + mod(h / 7, 20)] AS severity
      FROM (SELECT i, abs(hashint8(i)::bigint) AS h FROM generate_series(1, %(n)s::bigint) i) y) x
JOIN app.snapshot_keys k ON k.id = i + 53;

-- name: changes
-- One to four passages, and every hundredth change forty.
INSERT INTO app.policy_changes (id, detected_at, document_id, before_snapshot, after_snapshot, before_sha256, after_sha256, before_at,
                                after_at, noise_kind, words_added, words_removed, passages, engine)
SELECT s.change_id, s.detected_at, s.document_id, s.change_id, s.change_id + 53, sha256(int8send(s.change_id)), sha256(int8send(s.change_id + 53)),
       s.detected_at - interval '20 days', s.detected_at, CASE WHEN s.status = 'noise' THEN 'link_targets' ELSE 'none' END,
       mod(s.change_id, 90), mod(s.change_id, 70), p.passages, 'bench'
FROM app.change_states s
CROSS JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object('kind', 'reworded', 'section', jsonb_build_array(g || '. Disputes and liability'),
    'before', 'If you do not agree to clause ' || s.change_id || ' you may stop using the services within ' || g || ' days.',
    'after', 'If you do not agree to clause ' || s.change_id || ' you stop using the services at once; ' || g || ' days later it binds you.',
    'before_spans', '[[40, 52]]'::jsonb, 'after_spans', '[[40, 61]]'::jsonb)) AS passages
  FROM generate_series(1, CASE WHEN mod(s.change_id, 100) = 0 THEN 40 ELSE 1 + mod(s.change_id, 4) END) g) p;

-- name: analyses
-- Every twentieth was made anew by a later engine.
INSERT INTO app.change_analyses (change_id, version, at, engine, change_type, severity, confidence, notify, topics, sections,
                                 effective_date, summary, evidence)
SELECT s.change_id, v, s.detected_at, 'bench-' || v, 'dispute_and_liability', s.machine_severity, 0.5 + mod(s.change_id, 50) / 100.0,
       s.rank >= 2, ARRAY[(ARRAY['privacy', 'content', 'payment', 'liability', 'minors', 'advertising'])[1 + mod(s.change_id, 6)]],
       ARRAY['1. Disputes and liability'],
       CASE WHEN mod(s.change_id, 5) = 0 THEN (s.detected_at + interval '30 days')::date END,
       'Whoever does not agree to clause ' || s.change_id || ' has to stop using the services at once.',
       jsonb_build_array(jsonb_build_object('side', '+', 'passage', 0, 'quote', 'stop using the services at once'))
FROM app.change_states s CROSS JOIN LATERAL generate_series(1, CASE WHEN mod(s.change_id, 20) = 0 THEN 2 ELSE 1 END) v;

-- name: verdicts
INSERT INTO app.change_verdicts (change_id, act, at, actor, kind, verdict, note, version)
SELECT s.change_id, gen_random_uuid(), s.decided_at, s.decided_by, 'verdict', s.verdict,
       CASE WHEN mod(s.change_id, 3) = 0 THEN 'seen with legal' END, 2
FROM app.change_states s WHERE s.status = 'decided';

-- name: search
INSERT INTO app.document_search (document_id, snapshot_id, words)
SELECT d.id, d.newest_snapshot, to_tsvector('english', repeat('arbitration privacy content payment services liability ', 50) ||
       (SELECT string_agg('term' || t, ' ') FROM generate_series(d.id, d.id + 2000) t))
FROM app.policy_documents d;

-- name: users
INSERT INTO app.users (name, role)
SELECT 'person-' || u, (ARRAY['viewer', 'reviewer', 'reviewer', 'editor', 'approver'])[1 + mod(u, 5)] FROM generate_series(1, 10) u;

-- name: sessions
INSERT INTO app.user_sessions (id, user_name, kind, client, backend_pid, started_at, heartbeat_at, ended_at, ended_by)
SELECT gen_random_uuid(), 'person-' || 1 + mod(i, 10), CASE WHEN mod(i, 3) = 0 THEN 'desk' ELSE 'command' END, 'bench', 1,
       %(now)s::timestamptz - make_interval(mins => i), %(now)s::timestamptz - make_interval(mins => i - 5),
       CASE WHEN i > 10 THEN %(now)s::timestamptz - make_interval(mins => i - 5) END, CASE WHEN i > 10 THEN 'person-' || 1 + mod(i, 10) END
FROM generate_series(1, greatest(20, %(n)s::integer / 50)) i;

-- name: acts
INSERT INTO app.acts (id, at, actor, action, result)
SELECT gen_random_uuid(), %(now)s::timestamptz - make_interval(mins => i), 'person-' || 1 + mod(i, 10), 'change.verdict', '{"ok": true}'
FROM generate_series(1, greatest(20, %(n)s::integer / 10)) i;

-- name: drafts
-- One per publication (a thousandth of the changes, at least twelve), then thirty before their second person and a hundred open.
INSERT INTO app.guidance_drafts (id, title, author, state, revision, segment_id, created_at, updated_at) OVERRIDING SYSTEM VALUE
SELECT d, 'Guidance ' || d, 'person-' || 1 + mod(d, 10),
       CASE WHEN d <= %(publications)s::bigint - 4 THEN 'closed' WHEN d <= %(publications)s::bigint THEN 'approved'
            WHEN d <= %(publications)s::bigint + 30 THEN 'submitted' ELSE 'open' END,
       2, 1 + mod(d, 4), at, at
FROM (SELECT d, %(now)s::timestamptz - (%(publications)s::bigint + 130 - d) * interval '1 hour' AS at
      FROM generate_series(1, %(publications)s::bigint + 130) d) x;

-- name: revisions
INSERT INTO app.draft_revisions (id, draft_id, number, editor, subject, body_text, body_html, content_hash, at) OVERRIDING SYSTEM VALUE
SELECT 2 * d.id - 2 + v, d.id, v, 'person-' || 1 + mod(d.id, 10), d.title, repeat('The terms of the platform changed; this is what to do. ', 30),
       repeat('<p>The terms of the platform changed; this is what to do.</p> ', 30), sha256(int8send(2 * d.id - 2 + v)), d.created_at
FROM app.guidance_drafts d, generate_series(1, 2) v;

-- name: evidence
INSERT INTO app.draft_evidence (draft_id, change_id, passage, side, quote)
SELECT d.id, 1 + mod(d.id * 37 + e * 1009, %(n)s::bigint), 0, '+', 'stop using the services at once' FROM app.guidance_drafts d, generate_series(1, 3) e
ON CONFLICT DO NOTHING;

-- name: approvals
-- A publication has a tenth to three and a half times the mean of 2,000 recipients; the one that is releasing has most.
INSERT INTO app.approval_requests (id, draft_id, revision_id, content_hash, segment_id, segment_hash, recipient_count, suppressed_count,
                                   approvals_needed, requested_by, requested_at, expires_at, state, decided_at)
OVERRIDING SYSTEM VALUE
SELECT d.id, d.id, 2 * d.id, sha256(int8send(2 * d.id)), d.segment_id, sha256(int8send(d.segment_id)), 
       greatest(1, (ARRAY[3.5, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.2, 0.1])[1 + abs(mod(%(publications)s::bigint - d.id, 10))] * 2 * %(n)s::bigint / %(publications)s::bigint)::integer, 12, 1, d.author,
       d.created_at, CASE WHEN d.state = 'submitted' THEN %(now)s::timestamptz + interval '5 days' ELSE d.created_at + interval '7 days' END,
       CASE WHEN d.state = 'submitted' THEN 'pending' ELSE 'approved' END, CASE WHEN d.state <> 'submitted' THEN d.created_at + interval '1 hour' END
FROM app.guidance_drafts d WHERE d.state <> 'open';

-- name: decisions
INSERT INTO app.approval_decisions (request_id, actor, decision, content_hash, count_seen, act, at)
SELECT q.id, 'person-' || 1 + mod(q.id + 5, 10), 'approve', q.content_hash, q.recipient_count, gen_random_uuid(), q.decided_at
FROM app.approval_requests q WHERE q.state = 'approved';

-- name: publications
-- The last four are on their way: releasing, paused, and two in grace, which have no recipients yet.
INSERT INTO app.guidance_publications (id, draft_id, revision_id, request_id, content_hash, segment_id, state, approved_count, frozen_count,
                                       approved_at, release_at, lapse_at, released_at, ended_at, ended_by, pause_reason)
OVERRIDING SYSTEM VALUE
SELECT q.id, q.draft_id, q.revision_id, q.id, q.content_hash, q.segment_id, s.state, q.recipient_count, CASE WHEN s.state <> 'grace' THEN q.recipient_count END,
       q.decided_at, q.decided_at + interval '5 minutes', q.decided_at + interval '25 hours', CASE WHEN s.state <> 'grace' THEN q.decided_at + interval '6 minutes' END,
       CASE WHEN s.state = 'sent' THEN q.decided_at + interval '2 hours' END, CASE WHEN s.state = 'sent' THEN 'pw_daemon' END,
       CASE WHEN s.state = 'paused' THEN 'the relay refuses' END
FROM app.approval_requests q
CROSS JOIN LATERAL (SELECT CASE %(publications)s::bigint - q.id WHEN 0 THEN 'releasing' WHEN 1 THEN 'paused' WHEN 2 THEN 'grace' WHEN 3 THEN 'grace' ELSE 'sent' END AS state) s
WHERE q.state = 'approved';

-- name: recipients
-- Final states where the publication ended: 96 % sent. Half of what is on its way is still queued.
INSERT INTO app.publication_recipients (publication_id, recipient_hash, state, tries, next_at, first_try_at, sending_at, sent_at, message_id, last_code)
SELECT x.publication, sha256(int8send(x.publication) || int8send(r)), x.state, CASE WHEN x.state IN ('queued', 'suppressed') THEN 0 ELSE 1 END, x.at,
       CASE WHEN x.state NOT IN ('queued', 'suppressed') THEN x.at END, CASE WHEN x.state IN ('sent', 'failed', 'uncertain', 'deferred') THEN x.at END,
       CASE WHEN x.state = 'sent' THEN x.at END, CASE WHEN x.state NOT IN ('queued', 'suppressed') THEN x.publication || '.' || r || '@bench.test' END,
       CASE WHEN x.state = 'sent' THEN '250' END
FROM (SELECT p.id AS publication, r, p.released_at + make_interval(secs => r / 50) AS at,
             CASE WHEN p.state = 'sent' OR mod(r, 2) = 0
                  THEN CASE WHEN mod(r, 100) < 96 THEN 'sent' WHEN mod(r, 100) < 98 THEN 'failed' WHEN mod(r, 1000) = 998 THEN 'uncertain' ELSE 'suppressed' END
                  WHEN mod(r, 41) = 1 THEN 'deferred' ELSE 'queued' END AS state
      FROM app.guidance_publications p, generate_series(1, p.approved_count) r WHERE p.state <> 'grace') x;

-- name: events
-- One for each recipient, and a second one where something came back, cut at two for each change.
INSERT INTO app.delivery_events (at, publication_id, recipient_id, recipient_hash, kind, code)
SELECT r.next_at + interval '1 s' * k, r.publication_id, r.id, r.recipient_hash,
       CASE WHEN k = 1 THEN CASE WHEN r.state IN ('queued', 'claimed', 'sending') THEN 'deferred' ELSE r.state END WHEN mod(r.id, 3) = 0 THEN 'bounce' ELSE 'delivered' END, '250'
FROM app.publication_recipients r, generate_series(1, CASE WHEN mod(r.id, 50) = 0 THEN 2 ELSE 1 END) k LIMIT 2 * %(n)s::bigint;

-- name: suppressions
INSERT INTO app.suppressions (recipient_hash, reason, at, added_by)
SELECT sha256('gone'::bytea || int8send(i)), (ARRAY['unsubscribe', 'hard_bounce', 'soft_bounce', 'complaint'])[1 + mod(i, 4)], %(now)s, 'pw_daemon'
FROM generate_series(1, greatest(10, %(n)s::bigint / 100)) i;

-- name: inbound
INSERT INTO app.inbound_raw (sha256, at, way, payload, state, outcome)
SELECT sha256('mail'::bytea || int8send(i)), %(now)s::timestamptz - make_interval(mins => i::integer), 'lmtp', NULL, 'read', 'bounce'
FROM generate_series(1, greatest(10, %(n)s::bigint / 50)) i;

-- name: requests
INSERT INTO app.requests (kind, arguments, requested_by, requested_at, expires_at, state, result, ended_at)
SELECT (ARRAY['visit', 'count_audience'])[1 + mod(i, 2)], jsonb_build_object('document', 1 + mod(i, 53), 'approval', i), 'person-' || 1 + mod(i, 10),
       %(now)s::timestamptz - make_interval(mins => i), %(now)s::timestamptz + interval '1 hour', CASE WHEN i <= 10 THEN 'waiting' ELSE 'done' END,
       CASE WHEN i > 10 THEN '{"ok": true}'::jsonb END, CASE WHEN i > 10 THEN %(now)s::timestamptz END
FROM generate_series(1, greatest(20, %(n)s::integer / 100)) i;

-- name: alerts
INSERT INTO app.alerts (kind, subject, sentence, opened_at, seen_at, closed_at)
SELECT 'document_failing', 'document ' || i, 'Document ' || i || ' cannot be read.', %(now)s::timestamptz - make_interval(mins => i),
       %(now)s, CASE WHEN i > 10 THEN %(now)s::timestamptz END
FROM generate_series(1, greatest(20, %(n)s::integer / 200)) i;

-- name: workers
INSERT INTO app.workers (id, boot_id, pid, host, heartbeat_at, stopped_at)
SELECT 'worker-' || i, 'boot', 1, 'bench', %(now)s, CASE WHEN i > 1 THEN %(now)s::timestamptz END FROM generate_series(1, 5) i;

-- name: metrics
-- Sixty series, one measure a minute.
INSERT INTO app.system_metrics (at, name, labels, value)
SELECT %(now)s::timestamptz - make_interval(mins => (i / 60)::integer), 'measure_' || mod(i, 20), jsonb_build_object('queue', mod(i, 60) / 20), mod(i, 1000)
FROM generate_series(0, %(n)s::bigint - 1) i;

-- name: audit
INSERT INTO app.audit_log (at, actor, action, object_kind, object_id, outcome, code, before, after, leaf)
SELECT %(now)s::timestamptz - (%(n)s::bigint - i) * (interval '1800 days' / %(n)s::bigint), 'person-' || 1 + mod(i, 10),
       (ARRAY['change.verdict', 'draft.edit', 'approval.approve', 'publication.release', 'session.open'])[1 + mod(i, 5)],
       (ARRAY['change', 'draft', 'approval', 'publication', 'session'])[1 + mod(i, 5)], i::text,
       CASE WHEN mod(i, 100) = 0 THEN 'refused' ELSE 'done' END, CASE WHEN mod(i, 100) = 0 THEN 'PW403' END,
       NULL, jsonb_build_object('version', mod(i, 7), 'verdict', 'accepted', 'change', i), sha256(int8send(i))
FROM generate_series(1, %(n)s::bigint) i;

-- name: seals
INSERT INTO app.audit_seals (epoch, system_identifier, low, high, row_count, first_id, last_id, root, chain, at)
SELECT 1, 1, i::text::xid8, (i + 1)::text::xid8, 1000, 1000 * i, 1000 * i + 999, sha256(int8send(i)), sha256(int8send(i)), %(now)s
FROM generate_series(1, greatest(5, %(n)s::bigint / 1000)) i;

-- name: origin
UPDATE app.system_config SET value = '"bench"', updated_by = 'bench' WHERE key = 'origin';
