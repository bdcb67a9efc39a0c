-- What the desk reads, from the views of schema read. The server's time is that of read.me: people reach no function of app.

-- name: standing
-- The first line of every screen: an empty queue is healthy only where every active document was read in the last day.
SELECT m.name AS person, m.role, m.must_change_password, m.server_time, d.documents, d.documents_good, d.oldest_good_at,
       d.last_change_at, d.next_visit_at, d.documents_blind,
       (SELECT max(heartbeat_at) FROM read.workers WHERE stopped_at IS NULL) AS daemon_seen_at,
       (SELECT progress #>> '{settings,fault}' FROM read.workers WHERE alive AND progress #>> '{settings,fault}' IS NOT NULL
        ORDER BY heartbeat_at DESC LIMIT 1) AS settings_fault,
       coalesce((SELECT value = 'true'::jsonb FROM read.config WHERE key = 'frozen'), false) AS frozen
FROM read.me m,
     (SELECT count(*) AS documents,
             count(*) FILTER (WHERE last_good_at > (SELECT server_time FROM read.me) - interval '24 hours') AS documents_good,
             count(*) FILTER (WHERE blind_since IS NOT NULL) AS documents_blind, min(last_good_at) AS oldest_good_at, max(last_change_at) AS last_change_at, min(due_at) AS next_visit_at
      FROM read.documents WHERE state NOT IN ('paused', 'archived')) d;

-- name: counts
SELECT undecided, critical, snoozed, oldest FROM read.queue_counts;

-- name: queue_page
-- By keyset, in the order of the view and of its index: the most severe first, then the oldest. The page is cut inside,
-- where the index is still in order; the order is said once more outside.
SELECT q.*, q.pages_seen[1] AS pages_judged, q.pages_seen[2] AS pages_total, CASE WHEN q.claimed_until > (SELECT server_time FROM read.me) THEN q.claimed_by END AS taken_by
FROM (SELECT change_id, version, platform, document_name, detected_at, severity, machine_severity, rank, place, summary,
             words_added, words_removed, verdict, decided_by, decided_at, snoozed_until, claimed_by, claimed_until, status,
             reverts, alternates, pages_seen
      FROM read.recent_unreviewed_changes
      WHERE (place, detected_at, change_id)
          > (coalesce(4 - %(rank)s::integer, -1)::smallint, coalesce(%(at)s::timestamptz, '-infinity'), coalesce(%(after)s::bigint, 0))
      LIMIT %(most)s) q
ORDER BY q.place, q.detected_at, q.change_id;

-- name: queue_rows
SELECT change_id, version, platform, document_name, detected_at, severity, machine_severity, rank, summary, words_added,
       words_removed, verdict, decided_by, decided_at, snoozed_until, status, reverts, alternates,
       pages_seen[1] AS pages_judged, pages_seen[2] AS pages_total,
       CASE WHEN claimed_until > (SELECT server_time FROM read.me) THEN claimed_by END AS taken_by
FROM read.changes WHERE change_id = ANY (%(ids)s::bigint[]);

-- name: change
SELECT c.change_id, c.version, c.platform, c.document_name, c.detected_at, c.severity, c.machine_severity, c.summary,
       c.words_added, c.words_removed, c.verdict, c.decided_by, c.decided_at, c.snoozed_until, c.before_at, c.after_at,
       c.change_type, c.confidence, c.topics, c.effective_date, c.objection_deadline, c.engine, p.passages,
       c.status, c.reverts, c.alternates, c.same_as, c.pages_seen[1] AS pages_judged, c.pages_seen[2] AS pages_total,
       CASE WHEN c.claimed_until > (SELECT server_time FROM read.me) THEN c.claimed_by END AS taken_by
FROM read.changes c JOIN read.change_passages p ON p.change_id = c.change_id
WHERE c.change_id = %(change_id)s;

-- name: change_notes
SELECT at, actor, kind, verdict, severity, note FROM read.change_history
WHERE change_id = %(change_id)s AND note IS NOT NULL AND note <> '' ORDER BY at;

-- name: segments
SELECT key FROM read.segments WHERE current ORDER BY key;

-- name: drafts
SELECT id, title, author, state, revision, version, updated_at, subject, body_text, segment, changes, editor, returned_reason
FROM read.drafts WHERE state <> 'closed' ORDER BY id DESC LIMIT 500;

-- name: draft
SELECT id, title, author, state, revision, version, updated_at, subject, body_text, segment, changes, editor, returned_reason
FROM read.drafts WHERE id = %(draft_id)s;

-- name: approvals
-- With who edited the text and which accepted changes it rests on: what an approver must see before a yes.
SELECT a.id, a.version, a.draft_id, a.title, a.author, a.requested_at, a.expires_at, encode(a.content_hash, 'hex') AS content_hash,
       a.subject, a.body_text, a.revision, a.segment, a.segment_version, a.recipient_count, a.suppressed_count, a.count_fault,
       a.approvals_needed, a.approvals_given, a.mine, a.grace_period,
       (SELECT array_agg(DISTINCT r.editor) FROM read.draft_revisions r WHERE r.draft_id = a.draft_id) AS editors,
       (SELECT array_agg(format('C-%%s accepted by %%s', c.change_id, c.decided_by) ORDER BY c.change_id)
        FROM read.changes c
        WHERE c.change_id = ANY (ARRAY(SELECT e.change_id FROM read.draft_evidence e WHERE e.draft_id = a.draft_id))) AS based_on
FROM read.pending_approvals a ORDER BY a.requested_at, a.id;

-- name: publications
-- What is on its way first, then the newest: the view's order, cut where the index is still in order.
SELECT p.id, p.version, p.draft_id, p.subject, p.state, p.segment, p.approved_count, p.frozen_count, p.release_at,
       p.ended_at, p.pause_reason, p.queued, p.sending, p.sent, p.deferred, p.failed, p.uncertain,
       (SELECT string_agg(DISTINCT who, ', ') FROM read.approvals a, unnest(a.approved_by) who
        WHERE a.draft_id = p.draft_id AND a.state IN ('approved', 'voided')) AS approved_by
FROM (SELECT * FROM read.publications LIMIT 200) p
ORDER BY p.place, p.id DESC;
