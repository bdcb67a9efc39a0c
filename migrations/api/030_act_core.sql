-- What every act begins and ends with. Acts return, they do not raise: the audit row of a refusal is committed with it.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.role_rank(p_role text) RETURNS integer LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, app, pg_temp
AS $$ SELECT CASE p_role WHEN 'auditor' THEN 0 WHEN 'viewer' THEN 1 WHEN 'reviewer' THEN 2 WHEN 'editor' THEN 3
                         WHEN 'approver' THEN 4 WHEN 'admin' THEN 5 END $$;

CREATE OR REPLACE FUNCTION app.write_audit(p_action text, p_kind text, p_id text, p_outcome text DEFAULT 'done',
  p_code text DEFAULT NULL, p_before jsonb DEFAULT NULL, p_after jsonb DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
  INSERT INTO app.audit_log (session_id, action, object_kind, object_id, outcome, code, before, after, leaf)
  VALUES ((SELECT s.id FROM app.user_sessions s WHERE s.user_name = session_user AND s.ended_at IS NULL
             AND s.id::text = current_setting('policywatch.session', true)),
          p_action, coalesce(p_kind, ''), left(coalesce(p_id, ''), 200), p_outcome, p_code, p_before, p_after, '\x')
$$;
COMMENT ON FUNCTION app.write_audit IS 'One audit row by session_user; actor, time and hash are set by the trigger.';

CREATE OR REPLACE FUNCTION app.refuse(p_act uuid, p_action text, p_kind text, p_id text, p_code text, p_sentence text,
  p_remedy text DEFAULT '', p_version integer DEFAULT NULL) RETURNS act.result
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result;
BEGIN
  -- A refusal without a remedy of its own still says where the matter can be looked at.
  r := ROW(false, p_code, p_sentence, coalesce(nullif(p_remedy, ''), 'See: policywatch ' || CASE p_kind
         WHEN 'change' THEN 'changes list --all' WHEN 'draft' THEN 'drafts list --all' WHEN 'approval' THEN 'approvals list --all'
         WHEN 'publication' THEN 'publications list' WHEN 'alert' THEN 'alerts list' WHEN 'document' THEN 'documents list'
         WHEN 'user' THEN 'users list' ELSE 'status' END), p_version, NULL)::act.result;
  PERFORM app.write_audit(p_action, p_kind, p_id, 'refused', p_code, NULL, jsonb_build_object('sentence', p_sentence));
  UPDATE app.acts SET result = to_jsonb(r) WHERE id = p_act AND actor = session_user;
  RETURN r;
END $$;

CREATE OR REPLACE FUNCTION app.done(p_act uuid, p_action text, p_kind text, p_id bigint, p_version integer,
  p_sentence text, p_before jsonb DEFAULT NULL, p_after jsonb DEFAULT NULL, p_object text DEFAULT NULL) RETURNS act.result
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result;
BEGIN
  r := ROW(true, NULL, p_sentence, '', p_version, p_id)::act.result;
  PERFORM app.write_audit(p_action, p_kind, coalesce(p_object, p_id::text), 'done', NULL, p_before, p_after);
  PERFORM app.hint(p_kind, coalesce(p_id, 0), coalesce(p_version, 0));
  UPDATE app.acts SET result = to_jsonb(r) WHERE id = p_act AND actor = session_user;
  RETURN r;
END $$;

CREATE OR REPLACE FUNCTION app.session_said() RETURNS uuid LANGUAGE sql STABLE
SET search_path = pg_catalog, app, pg_temp AS $$
-- The session that this connection says it belongs to; NULL for what is no id.
  SELECT CASE WHEN x ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN x::uuid END
  FROM current_setting('policywatch.session', true) x $$;

CREATE OR REPLACE FUNCTION app.begin_act(p_act uuid, p_action text, p_role text, p_kind text, p_id text) RETURNS act.result
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- NULL: go on. Otherwise the answer: a refusal, or the first answer of a repeated act.
-- A second sender of the same id waits here for the first one's commit.
DECLARE u app.users; prior app.acts;
BEGIN
  IF p_act IS NULL THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW422', 'An act needs an id.', 'Send it again with a new uuid.');
  END IF;
  INSERT INTO app.acts (id, action) VALUES (p_act, p_action) ON CONFLICT (id) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO prior FROM app.acts WHERE id = p_act;
    IF prior.actor <> session_user OR prior.action <> p_action OR prior.result IS NULL THEN
      PERFORM app.write_audit(p_action, p_kind, p_id, 'refused', 'PW422', NULL, jsonb_build_object('sentence', 'the id of another act'));
      RETURN ROW(false, 'PW422', 'This act id belongs to another act.', 'Send the act again with an id of its own.', NULL, NULL)::act.result;
    END IF;
    RETURN jsonb_populate_record(NULL::act.result, prior.result);
  END IF;
  SELECT * INTO u FROM app.users WHERE name = session_user;
  IF u.id IS NULL OR u.state <> 'active' THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW403', format('%s has no active account here.', session_user),
                      'Ask an administrator: policywatch users add.');
  END IF;
  IF EXISTS (SELECT FROM app.user_sessions s WHERE s.user_name = session_user AND s.ended_how IN ('ended', 'disabled')
               AND s.id = app.session_said()) THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW403', 'Your session was ended.', 'Start the program again, if you may.');
  END IF;
  IF u.must_change_password AND p_action <> 'user.password' THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW403', 'Your one-time password must be changed before anything else.',
                      'Run: policywatch users password');
  END IF;
  IF app.role_rank(u.role) < app.role_rank(p_role) THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW403',
                      format('%s is %s; this needs the role %s.', session_user, u.role, p_role),
                      format('Ask somebody with the role %s, or an administrator to change yours.', p_role));
  END IF;
  IF (p_role = 'admin' OR p_action = 'system.thaw') AND NOT app.sees_all() THEN
    RETURN app.refuse(p_act, p_action, p_kind, p_id, 'PW403', 'This concerns all platforms; your account is limited to some.',
                      'Ask somebody whose account is not limited.');
  END IF;
  RETURN NULL;
END $$;

GRANT EXECUTE ON FUNCTION app.begin_act(uuid, text, text, text, text),
  app.done(uuid, text, text, bigint, integer, text, jsonb, jsonb, text),
  app.refuse(uuid, text, text, text, text, text, text, integer),
  app.write_audit(text, text, text, text, text, jsonb, jsonb), app.role_rank(text) TO pw_rolemaker;
GRANT EXECUTE ON FUNCTION app.write_audit(text, text, text, text, text, jsonb, jsonb) TO pw_daemon;

-- Sessions: the id of the session is the client-made id of the act that opens it.
CREATE FUNCTION act.open_session(p_act uuid, p_kind text, p_client text) RETURNS act.result
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result;
BEGIN
  IF p_act IS NULL OR coalesce(p_kind NOT IN ('desk', 'command'), true) THEN
    PERFORM app.write_audit('session.open', 'session', p_act::text, 'refused', 'PW422');
    RETURN ROW(false, 'PW422', 'A session has an id and is a desk or a command.', 'Use the program policywatch.', NULL, NULL)::act.result;
  END IF;
  IF NOT EXISTS (SELECT FROM app.users WHERE name = session_user AND state = 'active') THEN
    PERFORM app.write_audit('session.open', 'session', p_act::text, 'refused', 'PW403');
    RETURN ROW(false, 'PW403', format('%s has no active account here.', session_user),
               'Ask an administrator: policywatch users add.', NULL, NULL)::act.result;
  END IF;
  INSERT INTO app.user_sessions (id, kind, client) VALUES (p_act, p_kind, left(coalesce(p_client, ''), 200)) ON CONFLICT (id) DO NOTHING;
  IF FOUND THEN
    PERFORM app.write_audit('session.open', 'session', p_act::text, 'done', NULL, NULL, jsonb_build_object('kind', p_kind));
  ELSIF NOT EXISTS (SELECT FROM app.user_sessions WHERE id = p_act AND user_name = session_user AND ended_at IS NULL) THEN
    PERFORM app.write_audit('session.open', 'session', p_act::text, 'refused', 'PW422');
    RETURN ROW(false, 'PW422', 'That session is another person''s, or has ended.', 'Open one with an id of its own.', NULL, NULL)::act.result;
  END IF;
  RETURN ROW(true, NULL, 'The session is open.', '', 1, NULL)::act.result;
END $$;
CREATE FUNCTION act.beat_session(p_session uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- false: the session was ended; the desk exits instead of reconnecting.
BEGIN
  UPDATE app.user_sessions SET heartbeat_at = app.pw_now(), backend_pid = pg_backend_pid()
   WHERE id = p_session AND user_name = session_user AND ended_at IS NULL;
  IF FOUND THEN
    RETURN true;
  END IF;
  -- a laptop that slept wakes again
  UPDATE app.user_sessions SET heartbeat_at = app.pw_now(), backend_pid = pg_backend_pid(), ended_at = NULL, ended_by = NULL, ended_how = NULL
   WHERE id = p_session AND user_name = session_user AND ended_how = 'silent'
     AND EXISTS (SELECT FROM app.users u WHERE u.name = session_user AND u.state = 'active');
  IF FOUND THEN
    PERFORM app.write_audit('session.resume', 'session', p_session::text);
    RETURN true;
  END IF;
  RETURN false;
END $$;
CREATE FUNCTION act.close_session(p_session uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = session_user, ended_how = 'closed'
   WHERE id = p_session AND user_name = session_user AND ended_at IS NULL;
  IF FOUND THEN
    PERFORM app.write_audit('session.close', 'session', p_session::text);
  END IF;
  RETURN FOUND;
END $$;
CREATE FUNCTION act.end_session(p_act uuid, p_session uuid DEFAULT NULL, p_user text DEFAULT NULL) RETURNS act.result
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- One session, or all of a person: one's own, anybody's for an administrator. The daemon cuts its connections.
DECLARE r act.result; k constant text := 'session.end'; whose text; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'auditor', 'session', coalesce(p_session::text, p_user));
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF (p_session IS NULL) = (p_user IS NULL) THEN
    RETURN app.refuse(p_act, k, 'session', coalesce(p_session::text, p_user), 'PW422', 'Name one session, or one person.', 'See: policywatch sessions list');
  END IF;
  whose := coalesce(p_user, (SELECT user_name FROM app.user_sessions WHERE id = p_session), '');
  IF whose <> session_user AND NOT (app.may_read('{admin}') AND app.sees_all()) THEN
    RETURN app.refuse(p_act, k, 'session', coalesce(p_session::text, p_user), 'PW403', 'Only an administrator ends the sessions of others.',
                      'Ask an administrator.');
  END IF;
  UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = session_user, ended_how = 'ended'
   WHERE ended_at IS NULL AND (id = p_session OR user_name = p_user);
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n = 0 THEN
    RETURN app.refuse(p_act, k, 'session', coalesce(p_session::text, p_user), 'PW422', 'No such session is open.', 'See: policywatch sessions list');
  END IF;
  RETURN app.done(p_act, k, 'session', NULL, NULL,
                  CASE n WHEN 1 THEN format('The session of %s is ended.', whose) ELSE format('%s sessions of %s are ended.', n, whose) END,
                  NULL, jsonb_build_object('user', whose, 'sessions', n), coalesce(p_session::text, p_user));
END $$;
RESET ROLE;
