-- What commands list and show, from the views of schema read. Optional filters: NULL means all.

-- name: me
SELECT name, role, must_change_password, server_time FROM read.me;

-- name: platforms
SELECT platform, name, aliases, state, documents, ok, failing, blind, never, paused, last_visit_at, last_good_at, last_change_at,
       next_visit_at, unreviewed
FROM read.platform_status;

-- name: queue_counts
SELECT undecided, critical, snoozed, oldest FROM read.queue_counts;

-- name: workers
SELECT id, host, pid, program, started_at, heartbeat_at, stopped_at, alive, silent_for, progress
FROM read.workers WHERE alive OR %(all)s ORDER BY alive DESC, heartbeat_at DESC;

-- name: config
SELECT key, value, updated_at, updated_by FROM read.config ORDER BY key;

-- name: documents
SELECT id, platform, platform_name, document, document_name, state, health, cause, failures, failing_since, last_visit_at, last_good_at,
       last_change_at, due_at, pages, pages_failing, pages_blind, blind_since, step, paused_reason, version
FROM read.documents
WHERE (%(platform)s::text IS NULL OR platform = %(platform)s) AND (%(document)s::text IS NULL OR document = %(document)s)
ORDER BY platform, document;

-- name: pages
SELECT id, position, url, render, state, health, cause, failing_since, last_visit_at, last_good_at, blind_since, failures, step,
       step_reason, robots, rule
FROM read.document_pages WHERE document_id = %(document_id)s ORDER BY position;

-- name: all_pages
-- Page by page, as its document stands among the others; the next try is that of the document.
SELECT d.platform, d.document, g.position, g.url, CASE WHEN d.state IN ('paused', 'archived') THEN d.state ELSE g.health END AS state,
       g.blind_since, g.step, g.last_visit_at, g.last_good_at, d.last_change_at, g.failing_since, d.due_at, g.robots, g.failures, g.cause
FROM read.document_pages g JOIN read.documents d ON d.id = g.document_id
WHERE g.state = 'active' AND (%(platform)s::text IS NULL OR d.platform = %(platform)s)
ORDER BY d.platform, d.document, g.position, g.id;

-- name: snapshots
-- Newest first: the view's order, cut where the index is still in order.
SELECT s.* FROM (SELECT id, fetched_at, source, kind, partial, text_sha256, recorded_at
                 FROM read.snapshots WHERE document_id = %(document_id)s AND believed LIMIT %(limit)s) s ORDER BY s.id DESC;

-- name: snapshot_at
-- The text believed at a time: by the order of history (the view's), not of commit dates.
SELECT id, fetched_at, source, kind, text_sha256 FROM read.snapshots
WHERE document_id = %(document_id)s AND believed AND (%(at)s::timestamptz IS NULL OR fetched_at <= %(at)s)
LIMIT 1;

-- name: search
SELECT platform, document, ts_rank(words, q) AS rank, snapshot_id
FROM read.document_search, websearch_to_tsquery('english', %(words)s) q
WHERE words @@ q ORDER BY rank DESC, platform, document LIMIT %(limit)s;

-- name: changes
-- Newest first: the view's order, cut where the index is still in order.
SELECT x.* FROM (
  SELECT change_id, platform, document, document_name, status, historical, noise_kind, severity, machine_severity, verdict,
         decided_by, decided_at, snoozed_until, claimed_by, version, detected_at, before_at, after_at, words_added, words_removed,
         change_type, confidence, notify, topics, sections, effective_date, objection_deadline, summary, reverts,
         alternates, same_as, pages_seen[1] AS pages_judged, pages_seen[2] AS pages_total
  FROM read.changes
  WHERE (%(platform)s::text IS NULL OR platform = %(platform)s)
    AND (%(document)s::text IS NULL OR document = %(document)s)
    AND status = ANY (%(statuses)s::text[])
    AND (%(historical)s::boolean IS NULL OR historical = %(historical)s)
    AND (%(noise)s::boolean IS NULL OR (noise_kind <> 'none') = %(noise)s)
  LIMIT %(limit)s) x ORDER BY x.change_id DESC;

-- name: changes_by_severity
-- The most severe first, then the newest: one severity after the other, each in the view's order, until there are enough.
SELECT x.* FROM (
  SELECT p.place, c.* FROM generate_series(0, 4) p (place) CROSS JOIN LATERAL (
    SELECT change_id, platform, document, document_name, status, historical, noise_kind, severity, machine_severity, verdict,
         decided_by, decided_at, snoozed_until, claimed_by, version, detected_at, before_at, after_at, words_added, words_removed,
         change_type, confidence, notify, topics, sections, effective_date, objection_deadline, summary, reverts,
         alternates, same_as, pages_seen[1] AS pages_judged, pages_seen[2] AS pages_total
    FROM read.changes
    WHERE place = p.place::smallint AND (%(platform)s::text IS NULL OR platform = %(platform)s)
    AND (%(document)s::text IS NULL OR document = %(document)s)
    AND status = ANY (%(statuses)s::text[])
    AND (%(historical)s::boolean IS NULL OR historical = %(historical)s)
    AND (%(noise)s::boolean IS NULL OR (noise_kind <> 'none') = %(noise)s)
    LIMIT %(limit)s) c
  LIMIT %(limit)s) x ORDER BY x.place, x.change_id DESC;

-- name: upcoming
-- Changes whose terms take effect, or whose objection ends, from today on: the nearest date first.
SELECT change_id, platform, document, severity, verdict, effective_date, objection_deadline, summary FROM read.upcoming_changes
ORDER BY least(coalesce(objection_deadline, effective_date), coalesce(effective_date, objection_deadline)), change_id LIMIT %(limit)s;

-- name: change
SELECT c.change_id, c.platform, c.platform_name, c.document, c.document_name, c.status, c.historical, c.noise_kind, c.severity,
       c.machine_severity, c.verdict, c.decided_by, c.decided_at, c.snoozed_until, c.claimed_by, c.same_as, c.version, c.detected_at,
       c.before_at, c.after_at, c.before_snapshot, c.after_snapshot, c.words_added, c.words_removed, c.change_type, c.other_types,
       c.confidence, c.notify, c.topics, c.sections, c.effective_date, c.objection_deadline, c.summary, c.evidence, c.engine, c.reverts, c.alternates, c.looks,
       c.pages_seen[1] AS pages_judged, c.pages_seen[2] AS pages_total, p.passages
FROM read.changes c JOIN read.change_passages p USING (change_id) WHERE c.change_id = %(change)s;

-- name: change_history
SELECT at, actor, kind, verdict, severity, until, note, version FROM read.change_history WHERE change_id = %(change)s ORDER BY id;

-- name: drafts
SELECT id, title, author, state, revision, segment, changes, updated_at, returned_reason, version
FROM read.drafts WHERE %(all)s OR state <> 'closed' ORDER BY updated_at DESC LIMIT %(limit)s;

-- name: draft
SELECT id, title, author, state, revision, segment, segment_name, changes, created_at, updated_at, subject, body_text, body_html,
       content_hash, editor, revised_at, returned_reason, version
FROM read.drafts WHERE id = %(draft)s;

-- name: draft_evidence
SELECT change_id, passage, side, quote FROM read.draft_evidence WHERE draft_id = %(draft)s ORDER BY change_id, passage, side;

-- name: approvals
SELECT id, draft_id, title, author, requested_by, requested_at, expires_at, state, segment, recipient_count, suppressed_count,
       count_fault, approvals_given, approvals_needed, mine, reason, version
FROM read.approvals WHERE %(all)s OR state = 'pending' ORDER BY id DESC LIMIT %(limit)s;

-- name: approval
SELECT id, draft_id, title, author, requested_by, requested_at, expires_at, state, decided_at, reason, version, content_hash,
       revision, subject, body_text, body_html, segment, segment_name, segment_version, segment_hash, recipient_count,
       suppressed_count, count_fault, approvals_needed, approvals_given, approved_by, mine, grace_period
FROM read.approvals WHERE id = %(approval)s;

-- name: publications
-- What is on its way first, then the newest: the view's order, cut where the index is still in order.
SELECT p.* FROM (
  SELECT id, draft_id, title, state, place, segment, approved_count, frozen_count, approved_at, release_at, released_at, ended_at,
         ended_by, pause_reason, recipients, queued, sending, sent, deferred, failed, uncertain, suppressed, cancelled, version, server_time
  FROM read.publications WHERE (%(publication)s::bigint IS NULL OR id = %(publication)s) LIMIT %(limit)s) p
ORDER BY p.place, p.id DESC;

-- name: recipients
SELECT id, hash, state, tries, next_at, sending_at, sent_at, last_code, last_text FROM read.recipients
WHERE publication_id = %(publication)s AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id LIMIT %(limit)s;

-- name: segments
SELECT key, name, version, criteria, definition_hash FROM read.segments WHERE current ORDER BY key;

-- name: users
SELECT name, role, state, os_user, must_change_password, created_at, created_by FROM read.users ORDER BY name;

-- name: sessions
SELECT id, user_name, kind, client, started_at, heartbeat_at, ended_at, ended_by FROM read.sessions
WHERE %(all)s OR ended_at IS NULL ORDER BY started_at DESC LIMIT %(limit)s;

-- name: alerts
SELECT id, kind, subject, audience, level, sentence, opened_at, seen_at, times, acked_by, acked_at, closed_at, remind_at, reminders
FROM read.alerts
WHERE %(all)s OR closed_at IS NULL ORDER BY id DESC LIMIT %(limit)s;

-- name: digests
-- The last one of each audience.
SELECT DISTINCT ON (audience) audience, day, state, cause, recipients, at FROM read.digests ORDER BY audience, day DESC;

-- name: request
SELECT id, kind, state, result, requested_at, ended_at FROM read.requests WHERE id = %(request)s;

-- name: requests
-- What waits for the daemon, and what it let expire lately.
SELECT id, kind, requested_by, requested_at, expires_at, state, ended_at FROM read.requests
WHERE state IN ('waiting', 'serving') OR (state = 'expired' AND ended_at > (SELECT server_time FROM read.me) - interval '1 hour')
ORDER BY requested_at LIMIT 200;

-- name: has_history
-- Is there anything to compare with?
SELECT EXISTS (SELECT FROM read.snapshots);

-- name: archives
-- Repositories that are followed live, failing ones first.
SELECT repository, documents, head, cause, failures, failing_since, last_good_at, due_at
FROM read.archives ORDER BY cause IS NULL, repository;
