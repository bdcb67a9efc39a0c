-- Views of schema read. All are security barriers; columns are named, so that a prepared statement survives ALTER TABLE.
-- Each asks may_read() (015_scope.sql): a login that is no active person of this database sees no row.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.me WITH (security_barrier) AS
SELECT u.name, u.role, u.must_change_password, u.platforms, app.pw_now() AS server_time
FROM app.users u WHERE u.name = session_user AND u.state = 'active';

-- What read.changes and the queue have in common; nobody is granted it. Their barriers stand around it, each with an
-- order of its own: an order asked for outside a barrier reaches no index, one inside does.
-- LIMIT 1 says what the planner cannot know of two columns that vary together: that each row finds exactly one.
DROP VIEW IF EXISTS app.change_rows;
CREATE VIEW app.change_rows AS
SELECT s.change_id, p.key AS platform, p.name AS platform_name, d.key AS document, d.name AS document_name,
       s.document_id, s.status, s.historical, s.severity, s.machine_severity, s.rank, s.place, s.verdict, s.decided_by,
       s.decided_at, s.snoozed_until, s.snoozed_by, s.claimed_by, s.claimed_until, s.assignee, s.same_as, s.version,
       s.detected_at, c.before_at, c.after_at, c.before_snapshot, c.after_snapshot, c.noise_kind,
       c.words_added, c.words_removed, jsonb_array_length(c.passages) AS passage_count,
       a.change_type, a.other_types, a.confidence, a.notify, a.topics, a.sections, a.effective_date,
       a.objection_deadline, a.summary, a.evidence, a.engine, s.reverts, s.alternates, s.looks,
       (SELECT ARRAY[(x.origin ->> 'judged')::integer, (x.origin ->> 'pages')::integer] FROM app.policy_snapshots x
        WHERE x.id = c.after_snapshot AND x.fetched_at = c.after_at AND x.partial) AS pages_seen -- judged, of all; NULL: all
FROM app.change_states s
CROSS JOIN LATERAL (SELECT * FROM app.policy_changes x WHERE x.id = s.change_id AND x.detected_at = s.detected_at LIMIT 1) c
JOIN app.policy_documents d ON d.id = s.document_id
JOIN app.platforms p ON p.id = d.platform_id
LEFT JOIN LATERAL (SELECT * FROM app.change_analyses x WHERE x.change_id = s.change_id
                   ORDER BY x.version DESC LIMIT 1) a ON true;

CREATE VIEW read.changes WITH (security_barrier) AS
SELECT c.* FROM app.change_rows c WHERE (SELECT app.may_read()) ORDER BY c.change_id DESC;

CREATE VIEW read.recent_unreviewed_changes WITH (security_barrier) AS
SELECT c.* FROM app.change_rows c
WHERE c.status IN ('queued', 'unconfirmed') AND (c.snoozed_until IS NULL OR c.snoozed_until <= (SELECT app.pw_now()))
  AND (SELECT app.may_read())
ORDER BY c.place, c.detected_at, c.change_id;
COMMENT ON VIEW read.recent_unreviewed_changes IS
  'Changes needing review: the queue without what is snoozed, the most severe first, then the oldest.';

CREATE VIEW read.upcoming_changes WITH (security_barrier) AS
SELECT c.* FROM app.change_rows c
WHERE c.change_id = ANY (ARRAY(
        SELECT x.change_id FROM app.change_analyses x WHERE x.effective_date >= (SELECT app.pw_now()::date)
        UNION SELECT x.change_id FROM app.change_analyses x WHERE x.objection_deadline >= (SELECT app.pw_now()::date)))
  AND NOT c.historical AND c.noise_kind = 'none'
  AND greatest(c.effective_date, c.objection_deadline) >= (SELECT app.pw_now()::date)
  AND (SELECT app.may_read());
COMMENT ON VIEW read.upcoming_changes IS 'Changes whose terms take effect, or whose objection ends, from today (UTC) on.';

CREATE VIEW read.queue_counts WITH (security_barrier) AS
SELECT w.waiting - z.snoozed AS undecided, w.critical - z.critical AS critical, z.snoozed,
       (SELECT s.detected_at FROM app.change_states s
        WHERE s.status IN ('queued', 'unconfirmed') AND (s.snoozed_until IS NULL OR s.snoozed_until <= (SELECT app.pw_now()))
        ORDER BY s.detected_at LIMIT 1) AS oldest
FROM (SELECT coalesce(sum(c.waiting), 0)::bigint AS waiting,
             coalesce(sum(c.waiting) FILTER (WHERE c.severity = 'critical'), 0)::bigint AS critical FROM app.queue_counts c) w,
     (SELECT count(*) AS snoozed, count(*) FILTER (WHERE s.severity = 'critical') AS critical FROM app.change_states s
      WHERE s.status IN ('queued', 'unconfirmed') AND s.snoozed_until > (SELECT app.pw_now())) z
WHERE (SELECT app.may_read());

CREATE VIEW read.change_passages WITH (security_barrier) AS
SELECT c.id AS change_id, c.passages, c.before_sha256, c.after_sha256 FROM app.policy_changes c
WHERE (SELECT app.may_read()) AND ((SELECT app.sees_all()) OR c.document_id IN (SELECT unnest(app.my_documents())));

CREATE VIEW read.change_history WITH (security_barrier) AS
SELECT v.id, v.change_id, v.at, v.actor, v.kind, v.verdict, v.severity, v.until, v.note, v.version FROM app.change_verdicts v
WHERE (SELECT app.may_read());

CREATE VIEW read.contents WITH (security_barrier) AS
SELECT c.sha256, c.codec, c.base_sha256, c.depth, c.raw_len, c.payload FROM app.contents c
WHERE (SELECT app.may_read()) AND ((SELECT app.sees_all()) OR app.content_in_scope(c.sha256));

CREATE VIEW read.documents WITH (security_barrier) AS
SELECT d.id, p.key AS platform, p.name AS platform_name, d.key AS document, d.name AS document_name, d.language,
       d.cadence, CASE WHEN d.state = 'active' THEN d.health ELSE d.state END AS state, d.health, d.cause, d.failures,
       d.failing_since, d.last_visit_at, d.last_good_at, d.last_change_at, d.due_at, d.paused_reason, d.archive,
       d.newest_snapshot, d.version,
       (SELECT count(*) FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active') AS pages,
       (SELECT count(*) FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active'
          AND g.failing_since IS NOT NULL) AS pages_failing,
       d.blind_since, (SELECT count(*) FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active'
          AND g.blind_since IS NOT NULL) AS pages_blind,
       (SELECT string_agg(DISTINCT g.step, ' ') FROM app.document_pages g WHERE g.document_id = d.id AND g.state = 'active') AS step
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE (SELECT app.may_read());

CREATE VIEW read.document_pages WITH (security_barrier) AS
SELECT g.id, g.document_id, g.position, g.url, g.render, g.state, g.health, g.cause, g.failing_since, g.last_visit_at,
       g.last_good_at, g.blind_since, g.failures, g.step, g.step_reason, g.robots, r.definition AS rule FROM app.document_pages g JOIN app.extraction_rules r ON r.id = g.rule_id
WHERE (SELECT app.may_read());

CREATE VIEW read.snapshots WITH (security_barrier) AS
SELECT s.id, s.document_id, s.fetched_at, s.previous_id, s.source, s.kind, s.partial, s.text_sha256, s.origin, s.recorded_at, s.captures,
       NOT EXISTS (SELECT FROM app.policy_changes c JOIN app.change_states t ON t.change_id = c.id
                   WHERE c.after_snapshot = s.id AND (t.status IN ('second_look', 'unconfirmed', 'undone')
                     OR (t.verdict = 'bad_capture' AND NOT EXISTS (SELECT FROM app.policy_snapshots n WHERE n.previous_id = s.id)
                         AND NOT EXISTS (SELECT FROM app.policy_documents d WHERE d.newest_snapshot = s.id)))) AS believed
FROM app.policy_snapshots s
WHERE (SELECT app.may_read()) AND ((SELECT app.sees_all()) OR s.document_id IN (SELECT unnest(app.my_documents())))
ORDER BY s.document_id, s.id DESC;

CREATE VIEW read.document_search WITH (security_barrier) AS
SELECT w.document_id, w.snapshot_id, w.words, d.key AS document, p.key AS platform
FROM app.document_search w JOIN app.policy_documents d ON d.id = w.document_id JOIN app.platforms p ON p.id = d.platform_id
WHERE (SELECT app.may_read());

CREATE VIEW read.platform_status WITH (security_barrier) AS
SELECT p.key AS platform, p.name, p.aliases, p.state,
       count(d.id) AS documents,
       count(d.id) FILTER (WHERE d.state = 'active' AND d.health = 'ok') AS ok,
       count(d.id) FILTER (WHERE d.state = 'active' AND d.health NOT IN ('ok', 'never')) AS failing,
       count(d.id) FILTER (WHERE d.state = 'active' AND d.health = 'never') AS never,
       count(d.id) FILTER (WHERE d.state = 'paused') AS paused,
       count(d.id) FILTER (WHERE d.state = 'active' AND d.blind_since IS NOT NULL) AS blind,
       max(d.last_visit_at) AS last_visit_at, max(d.last_good_at) AS last_good_at, max(d.last_change_at) AS last_change_at,
       min(d.due_at) FILTER (WHERE d.state = 'active') AS next_visit_at,
       (SELECT coalesce(sum(c.waiting), 0)::bigint FROM app.queue_counts c JOIN app.policy_documents x ON x.id = c.document_id
        WHERE x.platform_id = p.id) AS unreviewed
FROM app.platforms p LEFT JOIN app.policy_documents d ON d.platform_id = p.id AND d.state <> 'archived'
WHERE (SELECT app.may_read())
GROUP BY p.id ORDER BY p.position, p.id;
COMMENT ON VIEW read.platform_status IS 'Current monitoring status of each platform.';

CREATE VIEW read.segments WITH (security_barrier) AS
SELECT s.id, s.key, s.version, s.name, s.criteria, s.definition_hash, s.current FROM app.member_segments s
WHERE (SELECT app.may_read());

CREATE VIEW read.drafts WITH (security_barrier) AS
SELECT d.id, d.title, d.author, d.state, d.revision, d.version, d.created_at, d.updated_at,
       r.subject, r.body_text, r.body_html, r.content_hash, r.editor, r.at AS revised_at, s.key AS segment, s.name AS segment_name,
       (SELECT array_agg(DISTINCT e.change_id ORDER BY e.change_id) FROM app.draft_evidence e WHERE e.draft_id = d.id) AS changes,
       (SELECT q.reason FROM app.approval_requests q WHERE q.draft_id = d.id AND q.state = 'returned'
        ORDER BY q.id DESC LIMIT 1) AS returned_reason
FROM app.guidance_drafts d
LEFT JOIN app.draft_revisions r ON r.draft_id = d.id AND r.number = d.revision
LEFT JOIN app.member_segments s ON s.id = d.segment_id
WHERE (SELECT app.may_read());

CREATE VIEW read.draft_revisions WITH (security_barrier) AS
SELECT r.id, r.draft_id, r.number, r.editor, r.subject, r.body_text, r.body_html, r.content_hash, r.at FROM app.draft_revisions r
WHERE (SELECT app.may_read());

CREATE VIEW read.draft_evidence WITH (security_barrier) AS
SELECT e.draft_id, e.change_id, e.passage, e.side, e.quote
FROM app.draft_evidence e JOIN app.guidance_drafts d ON d.id = e.draft_id
WHERE (SELECT app.may_read());

CREATE VIEW read.approvals WITH (security_barrier) AS
SELECT q.id, q.draft_id, d.title, d.author, q.requested_by, q.requested_at, q.expires_at, q.state, q.decided_at, q.reason,
       q.version, q.content_hash, r.number AS revision, r.subject, r.body_text, r.body_html, s.key AS segment,
       s.name AS segment_name, s.version AS segment_version, q.segment_hash, q.recipient_count, q.suppressed_count,
       q.count_fault, q.approvals_needed,
       (SELECT count(*) FROM app.approval_decisions x WHERE x.request_id = q.id AND x.decision = 'approve') AS approvals_given,
       (SELECT array_agg(x.actor ORDER BY x.id) FROM app.approval_decisions x WHERE x.request_id = q.id AND x.decision = 'approve') AS approved_by,
       d.author = session_user OR EXISTS (SELECT FROM app.draft_revisions e WHERE e.draft_id = d.id AND e.editor = session_user) AS mine,
       (SELECT (value #>> '{}')::interval FROM app.system_config WHERE key = 'grace_period') AS grace_period
FROM app.approval_requests q
JOIN app.guidance_drafts d ON d.id = q.draft_id
JOIN app.draft_revisions r ON r.id = q.revision_id
JOIN app.member_segments s ON s.id = q.segment_id
WHERE (SELECT app.may_read());

CREATE VIEW read.pending_approvals WITH (security_barrier) AS
SELECT * FROM read.approvals a WHERE a.state = 'pending' AND a.expires_at > (SELECT app.pw_now());
COMMENT ON VIEW read.pending_approvals IS 'Actions awaiting approval; mine marks those that the reader may not approve.';

-- What read.guidance_metrics and read.publications have in common; as app.change_rows.
DROP VIEW IF EXISTS app.publication_rows;
CREATE VIEW app.publication_rows AS
SELECT p.id, p.draft_id, d.title, r.subject, p.state, p.place, p.approved_at, p.release_at, p.lapse_at, p.released_at, p.ended_at,
       p.ended_by, p.pause_reason, p.approved_count, p.frozen_count, p.version, s.key AS segment, s.name AS segment_name,
       coalesce(c.recipients, 0) AS recipients, coalesce(c.queued, 0) AS queued, coalesce(c.sending, 0) AS sending,
       coalesce(c.sent, 0) AS sent, coalesce(c.deferred, 0) AS deferred, coalesce(c.failed, 0) AS failed,
       coalesce(c.uncertain, 0) AS uncertain, coalesce(c.suppressed, 0) AS suppressed, coalesce(c.cancelled, 0) AS cancelled,
       c.first_sent_at, c.last_sent_at
FROM app.guidance_publications p
JOIN app.guidance_drafts d ON d.id = p.draft_id
JOIN app.draft_revisions r ON r.id = p.revision_id
JOIN app.member_segments s ON s.id = p.segment_id
LEFT JOIN LATERAL (
  SELECT sum(r.recipients)::bigint AS recipients, sum(r.recipients) FILTER (WHERE r.state IN ('queued', 'claimed'))::bigint AS queued,
         sum(r.recipients) FILTER (WHERE r.state = 'sending')::bigint AS sending,
         sum(r.recipients) FILTER (WHERE r.state = 'sent')::bigint AS sent,
         sum(r.recipients) FILTER (WHERE r.state = 'deferred')::bigint AS deferred,
         sum(r.recipients) FILTER (WHERE r.state = 'failed')::bigint AS failed,
         sum(r.recipients) FILTER (WHERE r.state = 'uncertain')::bigint AS uncertain,
         sum(r.recipients) FILTER (WHERE r.state = 'suppressed')::bigint AS suppressed,
         sum(r.recipients) FILTER (WHERE r.state = 'cancelled')::bigint AS cancelled,
         min(r.first_sent_at) AS first_sent_at, max(r.last_sent_at) AS last_sent_at
  FROM app.publication_counts r WHERE r.publication_id = p.id) c ON true;

CREATE VIEW read.guidance_metrics WITH (security_barrier) AS
SELECT p.id AS publication_id, p.draft_id, p.title, p.state, p.approved_count, p.frozen_count, p.released_at, p.ended_at,
       p.recipients, p.queued, p.sending, p.sent, p.deferred, p.failed, p.uncertain, p.suppressed, p.cancelled,
       p.first_sent_at, p.last_sent_at
FROM app.publication_rows p WHERE (SELECT app.may_read());
COMMENT ON VIEW read.guidance_metrics IS 'Publication performance metrics.';

CREATE VIEW read.publications WITH (security_barrier) AS
SELECT p.id, p.draft_id, p.title, p.subject, p.state, p.approved_at, p.release_at, p.lapse_at, p.released_at, p.ended_at,
       p.ended_by, p.pause_reason, p.approved_count, p.frozen_count, p.version, p.segment, p.segment_name,
       p.recipients, p.queued, p.sending, p.sent, p.deferred, p.failed, p.uncertain, p.suppressed, p.cancelled,
       p.first_sent_at, p.last_sent_at, app.pw_now() AS server_time, p.place
FROM app.publication_rows p WHERE (SELECT app.may_read()) ORDER BY p.place, p.id DESC;

CREATE VIEW read.recipients WITH (security_barrier) AS
SELECT r.id, r.publication_id, encode(substring(r.recipient_hash FROM 1 FOR 4), 'hex') AS hash, r.state, r.tries, r.next_at,
       r.sending_at, r.sent_at, r.last_code, r.last_text FROM app.publication_recipients r
WHERE (SELECT app.may_read());

CREATE VIEW read.delivery_events WITH (security_barrier) AS
SELECT e.id, e.at, e.publication_id, e.recipient_id, encode(substring(e.recipient_hash FROM 1 FOR 4), 'hex') AS hash,
       e.kind, e.code, e.detail FROM app.delivery_events e
WHERE (SELECT app.may_read())
  AND ((SELECT app.sees_all()) OR e.publication_id IN (SELECT p.id FROM app.guidance_publications p));

CREATE VIEW read.requests WITH (security_barrier) AS
SELECT q.id, q.kind, q.arguments, q.requested_by, q.requested_at, q.expires_at, q.state, q.result, q.version, q.ended_at FROM app.requests q
WHERE (SELECT app.may_read());

CREATE VIEW read.alerts WITH (security_barrier) AS
SELECT a.id, a.kind, a.subject, a.audience, a.level, a.sentence, a.opened_at, a.seen_at, a.times, a.acked_by, a.acked_at, a.closed_at,
       a.remind_at, a.reminders FROM app.alerts a
WHERE (SELECT app.may_read());

CREATE VIEW read.workers WITH (security_barrier) AS
SELECT w.id, w.host, w.pid, w.program, w.started_at, w.heartbeat_at, w.stopped_at, w.progress,
       w.stopped_at IS NULL AND w.heartbeat_at > app.pw_now() - interval '30 seconds' AS alive,
       app.pw_now() - w.heartbeat_at AS silent_for FROM app.workers w
WHERE (SELECT app.may_read());

CREATE VIEW read.users WITH (security_barrier) AS
SELECT u.name, u.role, u.state, u.os_user, u.platforms, u.must_change_password, u.created_at, u.created_by FROM app.users u
WHERE (SELECT app.may_read());

CREATE VIEW read.user_addresses WITH (security_barrier) AS
SELECT u.name, u.mail FROM app.users u
WHERE (SELECT app.may_read('{admin}'));

CREATE VIEW read.sessions WITH (security_barrier) AS
SELECT s.id, s.user_name, s.kind, s.client, s.started_at, s.heartbeat_at, s.ended_at, s.ended_by, s.ended_how FROM app.user_sessions s
WHERE (SELECT app.may_read()) AND (s.user_name = session_user OR (SELECT app.may_read('{admin,auditor}')));

CREATE VIEW read.config WITH (security_barrier) AS
SELECT c.key, c.value, c.updated_at, c.updated_by FROM app.system_config c
WHERE (SELECT app.may_read());

CREATE VIEW read.metrics WITH (security_barrier) AS
SELECT m.at, m.name, m.labels, m.value FROM app.system_metrics m
WHERE (SELECT app.may_read());

CREATE VIEW read.audit WITH (security_barrier) AS
SELECT a.id, a.at, a.actor, a.session_id, a.action, a.object_kind, a.object_id, a.outcome, a.code, a.before, a.after,
       a.xid::text AS xid, a.leaf FROM app.audit_log a
WHERE (SELECT app.may_read('{admin,auditor}')) ORDER BY a.id DESC;

-- What a program examines before it works on this database as a person.
CREATE VIEW read.migrations WITH (security_barrier) AS
SELECT m.version, m.name, m.sha256, m.applied_at, m.app_version FROM app.schema_migrations m;

CREATE VIEW read.api_files WITH (security_barrier) AS
SELECT f.name, f.sha256 FROM app.api_files f;

GRANT EXECUTE ON FUNCTION app.pw_now() TO pw_viewer, pw_auditor;  -- functions in a view run with the rights of its reader
GRANT SELECT ON ALL TABLES IN SCHEMA read TO pw_viewer, pw_auditor;
REVOKE SELECT ON read.audit, read.user_addresses FROM pw_viewer;
REVOKE SELECT ON read.user_addresses FROM pw_auditor;  -- addresses are for administrators and the daemon alone
GRANT SELECT ON read.audit, read.user_addresses TO pw_admin;
RESET ROLE;
