-- Back to 001: what collecting in depth added goes, with what it stored.
SET ROLE pw_owner;
REVOKE UPDATE (same_as) ON app.change_states FROM pw_daemon;
UPDATE app.requests SET kind = 'visit' WHERE kind IN ('preview_filter', 'reextract');
ALTER TABLE app.requests DROP CONSTRAINT requests_kind_check,
  ADD CONSTRAINT requests_kind_check CHECK (kind IN ('visit', 'count_audience', 'try_rule', 'render', 'test_mail'));
COMMENT ON COLUMN app.requests.kind IS 'visit count_audience try_rule render test_mail';
ALTER TABLE app.alerts DROP COLUMN remind_at CASCADE, DROP COLUMN reminders CASCADE;
DROP TABLE app.digests CASCADE;
DROP TABLE app.archives CASCADE;
ALTER TABLE app.change_states DROP COLUMN looks CASCADE, DROP COLUMN reverts CASCADE, DROP COLUMN alternates CASCADE;
DROP TABLE app.document_variants CASCADE;
ALTER TABLE app.captures DROP COLUMN step CASCADE, DROP COLUMN egress CASCADE, DROP COLUMN robots CASCADE,
  DROP COLUMN accepted_by CASCADE, DROP COLUMN accepted_at CASCADE;
ALTER TABLE app.hosts DROP COLUMN cause CASCADE, DROP COLUMN robots_status CASCADE, DROP COLUMN back_off CASCADE;
COMMENT ON COLUMN app.hosts.open_until IS NULL;
ALTER TABLE app.document_pages DROP COLUMN credential CASCADE, DROP COLUMN step CASCADE, DROP COLUMN step_reason CASCADE,
  DROP COLUMN trial CASCADE, DROP COLUMN trial_rule_id CASCADE, DROP COLUMN trial_at CASCADE,
  DROP COLUMN trial_result CASCADE, DROP COLUMN robots CASCADE, DROP COLUMN failures CASCADE,
  DROP COLUMN suspects CASCADE, DROP COLUMN suspect_capture CASCADE, DROP COLUMN blind_since CASCADE;
ALTER TABLE app.policy_documents DROP COLUMN robots_override CASCADE, DROP COLUMN blind_since CASCADE,
  DROP COLUMN archive_commit CASCADE, DROP COLUMN archive_seen_at CASCADE;
RESET ROLE;
