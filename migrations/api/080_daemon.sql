-- Steps of the daemon that touch what it has no right to write: narrow, checked, by name.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.record_audience(p_request bigint, p_count integer, p_suppressed integer, p_fault text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Once per approval request, while it waits: the count that the second person will type.
DECLARE q app.approval_requests;
BEGIN
  UPDATE app.approval_requests SET recipient_count = p_count, suppressed_count = p_suppressed, count_fault = p_fault, version = version + 1
   WHERE id = p_request AND state = 'pending' AND recipient_count IS NULL RETURNING * INTO q;
  IF q.id IS NULL THEN RETURN false; END IF;
  PERFORM app.write_audit('approval.counted', 'approval', p_request::text, CASE WHEN p_fault IS NULL THEN 'done' ELSE 'failed' END, NULL, NULL,
                          jsonb_build_object('count', p_count, 'suppressed', p_suppressed, 'fault', p_fault));
  PERFORM app.hint('approval', p_request, q.version);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION app.expire_approvals() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE q record; n integer := 0;
BEGIN
  FOR q IN UPDATE app.approval_requests SET state = 'expired', decided_at = app.pw_now(), version = version + 1
           WHERE state = 'pending' AND expires_at <= app.pw_now() RETURNING id, draft_id, version LOOP
    UPDATE app.guidance_drafts SET state = 'open', version = version + 1, updated_at = app.pw_now() WHERE id = q.draft_id AND state = 'submitted';
    PERFORM app.write_audit('approval.expire', 'approval', q.id::text);
    PERFORM app.hint('approval', q.id, q.version);
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;

CREATE OR REPLACE FUNCTION app.release_publication(p_publication bigint) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- grace -> releasing | lapsed, by the database clock; returns the state afterwards. Competes with the take-back for the row.
DECLARE p app.guidance_publications;
BEGIN
  PERFORM app.lock_publication(p_publication);
  SELECT * INTO p FROM app.guidance_publications WHERE id = p_publication FOR UPDATE;
  IF p.state IS DISTINCT FROM 'grace' OR p.release_at > app.pw_now()
     OR (SELECT value FROM app.system_config WHERE key = 'frozen') <> 'false'::jsonb THEN
    RETURN p.state;
  END IF;
  IF p.lapse_at < app.pw_now() THEN
    UPDATE app.guidance_publications SET state = 'lapsed', ended_at = app.pw_now(), ended_by = session_user, version = version + 1 WHERE id = p_publication;
    UPDATE app.approval_requests SET state = 'voided', decided_at = app.pw_now(), reason = 'lapsed', version = version + 1 WHERE id = p.request_id;
    UPDATE app.guidance_drafts SET state = 'open', version = version + 1, updated_at = app.pw_now() WHERE id = p.draft_id;
    PERFORM app.write_audit('publication.lapse', 'publication', p_publication::text);
  ELSE
    UPDATE app.guidance_publications SET state = 'releasing', released_at = app.pw_now(), version = version + 1 WHERE id = p_publication;
    PERFORM app.write_audit('publication.release', 'publication', p_publication::text);
  END IF;
  PERFORM app.hint('publication', p_publication, p.version + 1);
  RETURN (SELECT state FROM app.guidance_publications WHERE id = p_publication);
END $$;

CREATE OR REPLACE FUNCTION app.pause_by_daemon(p_publication bigint, p_reason text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE v integer;
BEGIN
  UPDATE app.guidance_publications SET state = 'paused', pause_reason = p_reason, version = version + 1
   WHERE id = p_publication AND state = 'releasing' RETURNING version INTO v;
  IF v IS NULL THEN RETURN false; END IF;
  PERFORM app.write_audit('publication.pause', 'publication', p_publication::text, 'done', NULL, NULL, jsonb_build_object('reason', p_reason));
  PERFORM app.hint('publication', p_publication, v);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION app.recipients_frozen(p_publication bigint) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- Called in the transaction that inserted the ledger rows: counts them; growth beyond the limit needs a new yes.
DECLARE p app.guidance_publications; n integer; allowed numeric;
BEGIN
  SELECT count(*) INTO n FROM app.publication_recipients WHERE publication_id = p_publication AND state <> 'suppressed';
  UPDATE app.guidance_publications SET frozen_count = n, version = version + 1 WHERE id = p_publication AND frozen_count IS NULL RETURNING * INTO p;
  IF p.id IS NULL THEN
    RETURN (SELECT state FROM app.guidance_publications WHERE id = p_publication);
  END IF;
  PERFORM app.write_audit('publication.recipients_frozen', 'publication', p_publication::text, 'done', NULL, NULL, jsonb_build_object('count', n));
  allowed := p.approved_count * (1 + (SELECT (value #>> '{}')::numeric FROM app.system_config WHERE key = 'growth_limit'));
  IF n > ceil(allowed) THEN
    PERFORM app.pause_by_daemon(p_publication, format('%s recipients now, %s were approved', n, p.approved_count));
  END IF;
  RETURN (SELECT state FROM app.guidance_publications WHERE id = p_publication);
END $$;

CREATE OR REPLACE FUNCTION app.finish_publication(p_publication bigint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- releasing -> sent when the recipients are frozen and none is open; uncertain ones stay for evidence or a person.
DECLARE p app.guidance_publications;
BEGIN
  UPDATE app.guidance_publications g SET state = 'sent', ended_at = app.pw_now(), ended_by = session_user, version = version + 1
   WHERE g.id = p_publication AND g.state = 'releasing' AND g.frozen_count IS NOT NULL AND NOT EXISTS (
     SELECT FROM app.publication_recipients r WHERE r.publication_id = g.id AND r.state IN ('queued', 'claimed', 'sending', 'deferred'))
  RETURNING * INTO p;
  IF p.id IS NULL THEN RETURN false; END IF;
  UPDATE app.guidance_drafts SET state = 'closed', version = version + 1, updated_at = app.pw_now() WHERE id = p.draft_id AND state = 'approved';
  PERFORM app.write_audit('publication.sent', 'publication', p_publication::text);
  PERFORM app.hint('publication', p_publication, p.version);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION app.wake_frozen(p_reason text) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- After a restore. Mails of publications that were released before the dump may have gone out since: every row that is
-- not final becomes uncertain, step by step along the edges; workers of the old life are gone.
DECLARE n integer; p record;
BEGIN
  PERFORM app.freeze(p_reason);
  UPDATE app.publication_recipients r SET state = 'uncertain', sending_at = coalesce(r.sending_at, app.pw_now()),
         owner = NULL, lease_until = NULL
    FROM app.guidance_publications g
   WHERE g.id = r.publication_id AND g.state IN ('releasing', 'paused')
     AND r.state IN ('queued', 'claimed', 'sending', 'deferred');
  GET DIAGNOSTICS n = ROW_COUNT;
  UPDATE app.workers SET stopped_at = app.pw_now() WHERE stopped_at IS NULL;
  UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = session_user WHERE ended_at IS NULL;
  UPDATE app.policy_documents SET owner = NULL, lease_until = NULL WHERE owner IS NOT NULL;
  FOR p IN SELECT id FROM app.guidance_publications WHERE state = 'releasing' LOOP
    PERFORM app.pause_by_daemon(p.id, p_reason);
  END LOOP;
  PERFORM app.write_audit('system.restored', 'config', 'frozen', 'done', NULL, NULL, jsonb_build_object('reason', p_reason, 'uncertain', n));
  RETURN n;
END $$;

GRANT EXECUTE ON FUNCTION app.record_audience(bigint, integer, integer, text), app.expire_approvals(), app.release_publication(bigint),
  app.pause_by_daemon(bigint, text), app.recipients_frozen(bigint), app.finish_publication(bigint), app.freeze(text),
  app.lock_publication(bigint), app.share_publication(bigint) TO pw_daemon;
RESET ROLE;
