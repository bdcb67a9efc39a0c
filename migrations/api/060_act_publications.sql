-- Taking back, pausing, stopping; the emergency freeze. Release and take-back compete for one row.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.lock_publication(p_publication bigint) RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, app, pg_temp
AS $$ SELECT pg_advisory_xact_lock(7341, p_publication::integer) $$;
COMMENT ON FUNCTION app.lock_publication IS 'Exclusive: waits for transactions that mark rows as sending (they hold it shared), then the row is read.';
CREATE OR REPLACE FUNCTION app.share_publication(p_publication bigint) RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, app, pg_temp
AS $$ SELECT pg_advisory_xact_lock_shared(7341, p_publication::integer) $$;

CREATE OR REPLACE FUNCTION app.withdraw(p_publication bigint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE p app.guidance_publications;
BEGIN
  UPDATE app.guidance_publications SET state = 'withdrawn', ended_at = app.pw_now(), ended_by = session_user, version = version + 1
   WHERE id = p_publication AND state = 'grace' RETURNING * INTO p;
  IF p.id IS NULL THEN RETURN false; END IF;
  UPDATE app.approval_requests SET state = 'voided', decided_at = app.pw_now(), version = version + 1
   WHERE id = p.request_id AND state = 'approved';
  UPDATE app.guidance_drafts SET state = 'open', version = version + 1, updated_at = app.pw_now() WHERE id = p.draft_id AND state = 'approved';
  PERFORM app.hint('publication', p.id, p.version);
  PERFORM app.hint('draft', p.draft_id, 0);
  RETURN true;
END $$;

CREATE FUNCTION act.withdraw_publication(p_act uuid, p_publication bigint, p_version integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- The safe direction: it asks for no version but refuses to withdraw what has left grace.
DECLARE r act.result; k constant text := 'publication.withdraw'; p app.guidance_publications;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'publication', p_publication::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM app.lock_publication(p_publication);
  IF NOT app.withdraw(p_publication) THEN
    SELECT * INTO p FROM app.guidance_publications WHERE id = p_publication;
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, CASE WHEN p.state = 'releasing' THEN 'PW409' ELSE 'PW422' END,
                      format('P-%s is %s; only a publication in its grace period is taken back.', p_publication, coalesce(p.state, 'not there')),
                      CASE WHEN p.state IN ('releasing', 'paused') THEN 'Stop it: policywatch publications stop' ELSE '' END, p.version);
  END IF;
  SELECT * INTO p FROM app.guidance_publications WHERE id = p_publication;
  RETURN app.done(p_act, k, 'publication', p_publication, p.version, format('P-%s is taken back; nobody got it.', p_publication),
                  jsonb_build_object('state', 'grace'), jsonb_build_object('state', 'withdrawn'));
END $$;

CREATE FUNCTION act.pause_publication(p_act uuid, p_publication bigint, p_reason text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'publication.pause'; p app.guidance_publications;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'publication', p_publication::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM app.lock_publication(p_publication);
  UPDATE app.guidance_publications SET state = 'paused', pause_reason = coalesce(nullif(btrim(p_reason), ''), 'paused by ' || session_user),
         version = version + 1 WHERE id = p_publication AND state = 'releasing' RETURNING * INTO p;
  IF p.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW422', format('P-%s is not being sent.', p_publication));
  END IF;
  RETURN app.done(p_act, k, 'publication', p_publication, p.version, format('P-%s is paused.', p_publication), NULL, jsonb_build_object('reason', p.pause_reason));
END $$;

CREATE FUNCTION act.resume_publication(p_act uuid, p_publication bigint, p_version integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- A new yes: the right of an approver who did not write the draft.
DECLARE r act.result; k constant text := 'publication.resume'; p app.guidance_publications;
BEGIN
  r := app.begin_act(p_act, k, 'approver', 'publication', p_publication::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM app.lock_publication(p_publication);
  SELECT * INTO p FROM app.guidance_publications WHERE id = p_publication FOR UPDATE;
  IF p.id IS NULL OR p.state <> 'paused' THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW422', format('P-%s is not paused.', p_publication), '', p.version);
  END IF;
  IF p.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW409', format('P-%s moved on since you read it.', p_publication), 'Read it again.', p.version);
  END IF;
  IF EXISTS (SELECT FROM app.draft_revisions e WHERE e.draft_id = p.draft_id AND e.editor = session_user) THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW403', 'You wrote or edited this guidance; a second person must resume it.',
                      'Ask another person with the role approver.', p.version);
  END IF;
  IF (SELECT value FROM app.system_config WHERE key = 'frozen') <> 'false'::jsonb THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW422', 'The system is frozen: nothing is sent.', 'Two persons thaw it: policywatch publications thaw', p.version);
  END IF;
  UPDATE app.guidance_publications SET state = 'releasing', pause_reason = NULL, version = version + 1 WHERE id = p_publication;
  RETURN app.done(p_act, k, 'publication', p_publication, p.version + 1, format('P-%s is being sent again.', p_publication),
                  jsonb_build_object('reason', p.pause_reason), NULL);
END $$;

CREATE FUNCTION act.stop_publication(p_act uuid, p_publication bigint)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'publication.stop'; p app.guidance_publications; under_way integer; cut integer;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'publication', p_publication::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM app.lock_publication(p_publication);
  UPDATE app.guidance_publications SET state = 'stopped', pause_reason = NULL, ended_at = app.pw_now(), ended_by = session_user, version = version + 1
   WHERE id = p_publication AND state IN ('releasing', 'paused') RETURNING * INTO p;
  IF p.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'publication', p_publication::text, 'PW422', format('P-%s is not being sent.', p_publication),
                      'In its grace period it is taken back: policywatch publications withdraw');
  END IF;
  UPDATE app.publication_recipients SET state = 'cancelled', owner = NULL, claim = NULL, lease_until = NULL
   WHERE publication_id = p_publication AND state IN ('queued', 'claimed', 'deferred');
  GET DIAGNOSTICS cut = ROW_COUNT;
  SELECT count(*) INTO under_way FROM app.publication_recipients WHERE publication_id = p_publication AND state = 'sending';
  UPDATE app.guidance_drafts SET state = 'closed', version = version + 1, updated_at = app.pw_now() WHERE id = p.draft_id AND state = 'approved';
  RETURN app.done(p_act, k, 'publication', p_publication, p.version,
                  format('P-%s is stopped: %s not sent, %s were on their way.', p_publication, cut, under_way), NULL,
                  jsonb_build_object('cancelled', cut, 'under_way', under_way));
END $$;

CREATE OR REPLACE FUNCTION app.freeze(p_reason text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  UPDATE app.system_config SET value = CASE key WHEN 'frozen' THEN 'true' ELSE to_jsonb(p_reason) END,
         updated_at = app.pw_now(), updated_by = session_user WHERE key IN ('frozen', 'frozen_reason');
  DELETE FROM app.system_config WHERE key = 'thaw_proposed_by';
  PERFORM app.hint('config', 0, 0);
END $$;
CREATE FUNCTION act.freeze_system(p_act uuid, p_reason text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'system.freeze';
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'config', 'frozen');
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM app.freeze(coalesce(nullif(btrim(p_reason), ''), 'frozen by ' || session_user));
  RETURN app.done(p_act, k, 'config', NULL, NULL, 'Frozen: nothing is released and no mail leaves.', NULL, jsonb_build_object('reason', p_reason), 'frozen');
END $$;
CREATE FUNCTION act.thaw_system(p_act uuid)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Two persons: the first proposes, another one ends the frost.
DECLARE r act.result; k constant text := 'system.thaw'; first_person text;
BEGIN
  r := app.begin_act(p_act, k, 'approver', 'config', 'frozen');
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  PERFORM FROM app.system_config WHERE key = 'frozen' FOR UPDATE;
  IF (SELECT value FROM app.system_config WHERE key = 'frozen') = 'false'::jsonb THEN
    RETURN app.refuse(p_act, k, 'config', 'frozen', 'PW422', 'Nothing is frozen.');
  END IF;
  SELECT value #>> '{}' INTO first_person FROM app.system_config WHERE key = 'thaw_proposed_by';
  IF first_person IS NULL THEN
    INSERT INTO app.system_config (key, value) VALUES ('thaw_proposed_by', to_jsonb(session_user::text));
    RETURN app.done(p_act, k, 'config', NULL, NULL, 'Your yes to the thaw is stored; a second approver must say it too.', NULL,
                    jsonb_build_object('proposed_by', session_user), 'frozen');
  END IF;
  IF first_person = session_user THEN
    RETURN app.refuse(p_act, k, 'config', 'frozen', 'PW403', 'You proposed the thaw; a second person must confirm it.', 'Ask another approver.');
  END IF;
  DELETE FROM app.system_config WHERE key = 'thaw_proposed_by';
  UPDATE app.system_config SET value = CASE key WHEN 'frozen' THEN 'false'::jsonb ELSE 'null' END, updated_at = app.pw_now(), updated_by = session_user
   WHERE key IN ('frozen', 'frozen_reason');
  RETURN app.done(p_act, k, 'config', NULL, NULL, format('Thawed by %s and %s.', first_person, session_user), NULL,
                  jsonb_build_object('by', jsonb_build_array(first_person, session_user)), 'frozen');
END $$;
RESET ROLE;
