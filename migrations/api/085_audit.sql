-- The seals of the audit log, and the audit rows of what is changed without an act.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.audit_seals WITH (security_barrier) AS
SELECT s.id AS n, s.epoch, s.system_identifier, s.low::text AS low, s.high::text AS high, s.row_count, s.first_id, s.last_id,
       s.ids, s.root, s.chain, s.at FROM app.audit_seals s
WHERE (SELECT app.may_read('{admin,auditor}'));
COMMENT ON VIEW read.audit_seals IS 'Merkle roots over the audit rows, chained; ids are the rows of a seal.';

CREATE VIEW read.audit_unsealed WITH (security_barrier) AS
SELECT a.id, a.at, a.actor, a.session_id, a.action, a.object_kind, a.object_id, a.outcome, a.code, a.before, a.after,
       a.xid::text AS xid, a.leaf,
       (SELECT c.system_identifier FROM pg_control_system() c) AS system_identifier FROM app.audit_log a
WHERE (SELECT app.may_read('{admin,auditor}'))
  AND NOT coalesce((SELECT range_agg(s.ids) FROM app.audit_seals s), '{}') @> a.id;
COMMENT ON VIEW read.audit_unsealed IS 'Audit rows that no seal names: the newest ones, and whatever was put in later.';

GRANT SELECT ON read.audit_seals, read.audit_unsealed TO pw_auditor, pw_admin, pw_daemon;

CREATE OR REPLACE FUNCTION app.hold_audit() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp SET lock_timeout = '500ms' AS $$
-- Until the end of the transaction nobody writes an audit row. Only for the first seal of an epoch; a writer that is
-- at it for longer than the timeout is waited for at another time, since everybody behind the lock would wait too.
BEGIN
  LOCK TABLE app.audit_log IN SHARE MODE;
END $$;
GRANT EXECUTE ON FUNCTION app.hold_audit() TO pw_daemon;

-- Transitions that loops make in passing: whoever writes them, the row is there.
CREATE OR REPLACE FUNCTION app.audit_alert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  PERFORM app.write_audit(CASE WHEN NEW.closed_at IS NULL THEN 'alert.open' ELSE 'alert.close' END, 'alert', NEW.id::text, 'done', NULL, NULL,
                          jsonb_build_object('kind', NEW.kind, 'subject', NEW.subject, 'level', NEW.level, 'times', NEW.times));
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER audited_open AFTER INSERT ON app.alerts FOR EACH ROW EXECUTE FUNCTION app.audit_alert();
CREATE OR REPLACE TRIGGER audited_close AFTER UPDATE OF closed_at ON app.alerts FOR EACH ROW
  WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION app.audit_alert();

CREATE OR REPLACE FUNCTION app.audit_request() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  PERFORM app.write_audit('request.' || NEW.state, 'request', NEW.id::text, CASE NEW.state WHEN 'done' THEN 'done' ELSE 'failed' END, NULL, NULL,
                          jsonb_build_object('kind', NEW.kind, 'requested_by', NEW.requested_by));
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER audited_end AFTER UPDATE OF state ON app.requests FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NEW.state IN ('done', 'failed', 'expired', 'refused')) EXECUTE FUNCTION app.audit_request();

CREATE OR REPLACE FUNCTION app.audit_health() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  PERFORM app.write_audit('document.health', 'document', (SELECT p.key FROM app.platforms p WHERE p.id = NEW.platform_id) || '/' || NEW.key,
                          'done', NULL, jsonb_build_object('health', OLD.health), jsonb_build_object('health', NEW.health));
  RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER audited_health AFTER UPDATE OF health ON app.policy_documents FOR EACH ROW
  WHEN (OLD.health IS DISTINCT FROM NEW.health) EXECUTE FUNCTION app.audit_health();
RESET ROLE;
