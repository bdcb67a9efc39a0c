-- What the demo asks as the owner of its own throwaway database, to follow the story and to count it afterwards.

-- name: set_origin
-- The simulated daemon refuses every database that is not marked as made for it.
UPDATE app.system_config SET value = to_jsonb(%(origin)s::text), updated_at = app.pw_now(), updated_by = session_user
WHERE key = 'origin';

-- name: clock
-- The clock that decides.
SELECT app.pw_now();

-- name: unsettled
-- Documents that were not visited since a moment, or are visited just now.
SELECT p.key || '/' || d.key AS page FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE d.state = 'active' AND (d.owner IS NOT NULL OR d.last_visit_at IS NULL OR d.last_visit_at < %(since)s)
ORDER BY 1;

-- name: unhealthy
-- Documents that could not be read, with the reason.
SELECT p.key || '/' || d.key AS page, coalesce(d.cause, d.health) AS cause
FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
WHERE d.state = 'active' AND d.health <> 'ok' ORDER BY 1;

-- name: found
-- Changes that reached the reviewers, in the order they were found.
SELECT s.change_id, p.key AS platform, d.key AS document
FROM app.change_states s JOIN app.policy_documents d ON d.id = s.document_id JOIN app.platforms p ON p.id = d.platform_id
WHERE s.change_id > %(after)s AND s.status NOT IN ('noise', 'historical') ORDER BY s.change_id;

-- name: figures
-- The story in numbers. A visit is one fence of a document; its second one in order is the second pass.
WITH second AS (
  SELECT conditional, status FROM (
    SELECT conditional, status, row_number() OVER (PARTITION BY page_id ORDER BY fence) AS turn FROM app.captures) c
  WHERE turn = 2)
SELECT
  (SELECT count(*) FROM app.platforms WHERE state = 'active') AS platforms,
  (SELECT count(*) FROM app.policy_documents WHERE state = 'active') AS documents,
  (SELECT count(DISTINCT (document_id, fence)) FROM app.captures) AS visits,
  (SELECT count(*) FROM app.change_states WHERE status NOT IN ('noise', 'historical')) AS changes_found,
  (SELECT count(*) FROM app.change_states WHERE status = 'noise') AS noise,
  (SELECT count(*) FROM app.change_verdicts WHERE kind = 'undo') AS undone,
  (SELECT count(*) FROM app.guidance_drafts) AS drafts,
  (SELECT count(*) FROM app.audit_log
    WHERE action = 'approval.approve' AND outcome = 'refused' AND code = 'PW403') AS self_approvals_refused,
  (SELECT count(*) FROM app.approval_decisions WHERE decision = 'approve') AS approved,
  (SELECT count(*) FROM app.publication_recipients WHERE state <> 'suppressed') AS recipients,
  (SELECT count(*) FROM app.publication_recipients WHERE state = 'sent') AS sent,
  (SELECT count(*) FROM app.guidance_publications WHERE state = 'withdrawn') AS taken_back,
  (SELECT count(*) FROM app.publication_recipients r JOIN app.guidance_publications g ON g.id = r.publication_id
    WHERE g.state = 'withdrawn') AS taken_back_recipients,
  (SELECT count(*) FROM second WHERE conditional) AS second_pass_pages_with_validators,
  (SELECT count(*) FROM second WHERE status = 304) AS second_pass_304,
  (SELECT count(*) FROM app.audit_log) AS audit_rows,
  (SELECT count(*) FROM app.delivery_events) AS delivery_events;
