-- Version repositories that are followed live, for people: how each stands, and what it is there for.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.archives WITH (security_barrier) AS
SELECT regexp_replace(a.repository, '//[^/@]*@', '//***@') AS repository, a.head, a.cause, a.failures, a.failing_since,
       a.last_good_at, a.due_at,
       (SELECT count(*) FROM app.policy_documents d
        WHERE d.archive ->> 'repository' = a.repository AND d.state = 'active') AS documents
FROM app.archives a
WHERE (SELECT app.may_read())
  AND EXISTS (SELECT FROM app.policy_documents d WHERE d.archive ->> 'repository' = a.repository AND d.state = 'active')
ORDER BY a.repository;
COMMENT ON VIEW read.archives IS 'Followed repositories that active documents name; cause says why the last look failed.';

GRANT SELECT ON read.archives TO pw_viewer, pw_auditor;
RESET ROLE;
