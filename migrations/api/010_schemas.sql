-- The two doors for people: read (views) and act (functions). Re-made whole whenever a file here changes.
DROP SCHEMA IF EXISTS act CASCADE;
DROP SCHEMA IF EXISTS read CASCADE;
CREATE SCHEMA read AUTHORIZATION pw_owner;
CREATE SCHEMA act AUTHORIZATION pw_owner;
COMMENT ON SCHEMA read IS 'What people may see: security-barrier views.';
COMMENT ON SCHEMA act IS 'What people may do: each act checks right and version, changes, audits and notifies in one transaction.';
GRANT USAGE ON SCHEMA read, act TO pw_viewer, pw_auditor;
GRANT USAGE ON SCHEMA act, app TO pw_rolemaker;
GRANT CREATE ON SCHEMA act TO pw_rolemaker;
SET LOCAL ROLE pw_owner;

CREATE TYPE act.result AS (ok boolean, code text, sentence text, remedy text, version integer, id bigint);
COMMENT ON TYPE act.result IS
  'The answer of an act. code: PW403 not allowed, PW409 somebody was first, PW422 the state does not allow it; id: what was made.';
RESET ROLE;
