-- Which pages can be read, by which step of the ladder, and why the others cannot: one row per declared page.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.page_steps WITH (security_barrier) AS
SELECT p.key AS platform, d.key AS document, g.url, g.position, g.render, d.state,
       CASE WHEN r.by_page THEN g.step WHEN r.by_archive THEN 'archive' ELSE 'none' END AS step,
       r.by_page OR r.by_archive AS readable,
       CASE WHEN d.state = 'paused' THEN coalesce('paused: ' || d.paused_reason, 'paused')
            WHEN r.by_page THEN g.step_reason
            WHEN g.last_visit_at IS NULL THEN 'not looked at yet'
            ELSE g.cause END AS reason,
       g.health, g.robots, g.last_good_at
FROM app.document_pages g
JOIN app.policy_documents d ON d.id = g.document_id
JOIN app.platforms p ON p.id = d.platform_id
CROSS JOIN LATERAL (SELECT d.state = 'active' AND g.health IN ('ok', 'late') AS by_page,
                           d.state = 'active' AND d.archive_seen_at IS NOT NULL AS by_archive) r
WHERE g.state = 'active' AND d.state <> 'archived' AND (SELECT app.may_read())
ORDER BY p.position, p.id, d.key, g.position;
COMMENT ON VIEW read.page_steps IS 'Pages: read by which step (http, browser, archive, none), why not by a lower one, or not at all.';

GRANT SELECT ON read.page_steps TO pw_viewer, pw_auditor;
RESET ROLE;
