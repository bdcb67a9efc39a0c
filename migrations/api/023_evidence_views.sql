-- What came over the wire, for people: each capture with its step, its quality, and why it was or was not believed.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.captures WITH (security_barrier) AS
SELECT c.id, c.document_id, p.key AS platform, d.key AS document, g.url, g.position, c.at, c.state, c.step, c.status,
       c.headers, c.redirects, c.final_url, c.raw_sha256, c.text_sha256, c.rule_id, c.conditional, c.quality, c.signals,
       c.cause, c.elapsed, c.egress, c.robots, c.accepted_by, c.accepted_at,
       coalesce(c.id = g.suspect_capture AND g.suspects >= 2 AND c.accepted_at IS NULL, false) AS acceptable
FROM app.captures c
JOIN app.document_pages g ON g.id = c.page_id
JOIN app.policy_documents d ON d.id = c.document_id
JOIN app.platforms p ON p.id = d.platform_id
WHERE (SELECT app.may_read())
ORDER BY c.document_id, c.at DESC;
COMMENT ON VIEW read.captures IS 'What came over the wire; acceptable marks a suspect one that a person may take for the new policy.';

GRANT SELECT ON read.captures TO pw_viewer, pw_auditor;
RESET ROLE;
