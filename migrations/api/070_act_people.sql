-- People and what they ask of the daemon. act.user_* belong to pw_rolemaker, which alone may make login roles.
SET LOCAL ROLE pw_owner;
CREATE OR REPLACE FUNCTION app.store_user(p_name text, p_role text, p_mail text, p_os_user text, p_platforms text[], p_one_time boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  INSERT INTO app.users (name, role, mail, os_user, platforms, must_change_password)
  VALUES (p_name, p_role, p_mail, p_os_user,
          CASE WHEN p_platforms IS NOT NULL THEN ARRAY(SELECT id FROM app.platforms WHERE key = ANY (p_platforms)) END, p_one_time)
  ON CONFLICT (name) DO UPDATE SET role = excluded.role, mail = excluded.mail, os_user = excluded.os_user, platforms = excluded.platforms,
    must_change_password = excluded.must_change_password, state = 'active', version = app.users.version + 1;
END $$;
CREATE OR REPLACE FUNCTION app.find_user(p_name text) RETURNS app.users LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$ SELECT u FROM app.users u WHERE u.name = p_name $$;
CREATE OR REPLACE FUNCTION app.set_user_state(p_name text, p_role text, p_state text, p_one_time boolean) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
  UPDATE app.users SET role = coalesce(p_role, role), state = coalesce(p_state, state),
         must_change_password = coalesce(p_one_time, must_change_password), version = version + 1
   WHERE name = p_name RETURNING version $$;
CREATE OR REPLACE FUNCTION app.unknown_platforms(p_keys text[]) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT string_agg(k, ', ') FROM unnest(p_keys) k WHERE NOT EXISTS (SELECT FROM app.platforms p WHERE p.key = k) $$;
CREATE OR REPLACE FUNCTION app.end_sessions(p_name text) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = session_user, ended_how = 'disabled' WHERE user_name = p_name AND ended_at IS NULL $$;
GRANT EXECUTE ON FUNCTION app.unknown_platforms(text[]), app.end_sessions(text) TO pw_rolemaker;
GRANT EXECUTE ON FUNCTION app.store_user(text, text, text, text, text[], boolean), app.find_user(text),
  app.set_user_state(text, text, text, boolean) TO pw_rolemaker;
GRANT USAGE ON SCHEMA app TO pw_rolemaker;

CREATE FUNCTION act.request_visit(p_act uuid, p_platform text DEFAULT NULL, p_document text DEFAULT NULL)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Without a platform: all that the person sees, one request for each platform where that is not all there is.
DECLARE r act.result; k constant text := 'request.visit'; n integer; made bigint; p text;
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'request', coalesce(p_platform, 'all'));
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT count(*) INTO n FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
   WHERE d.state = 'active' AND (p_platform IS NULL OR p.key = p_platform) AND (p_document IS NULL OR d.key = p_document);
  IF n = 0 THEN
    RETURN app.refuse(p_act, k, 'request', coalesce(p_platform, 'all'), 'PW422',
                      format('No active document is named %s.', concat_ws('/', p_platform, p_document)), 'See: policywatch documents list');
  END IF;
  FOR p IN SELECT p_platform WHERE p_platform IS NOT NULL OR app.sees_all()
           UNION ALL SELECT x.key FROM app.platforms x WHERE p_platform IS NULL AND NOT app.sees_all() LOOP
    INSERT INTO app.requests (kind, arguments) VALUES ('visit', jsonb_strip_nulls(jsonb_build_object('platform', p, 'document', p_document)))
    RETURNING id INTO made;
  END LOOP;
  RETURN app.done(p_act, k, 'request', made, 1, format('%s documents are to be visited now.', n), NULL,
                  jsonb_build_object('platform', p_platform, 'document', p_document));
END $$;

CREATE FUNCTION act.pause_document(p_act uuid, p_platform text, p_document text, p_reason text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_reason NULL resumes.
DECLARE r act.result; k text := CASE WHEN p_reason IS NULL THEN 'document.resume' ELSE 'document.pause' END; d app.policy_documents;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'document', p_platform || '/' || p_document);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  UPDATE app.policy_documents x SET state = CASE WHEN p_reason IS NULL THEN 'active' ELSE 'paused' END, paused_reason = p_reason,
         due_at = CASE WHEN p_reason IS NULL THEN app.pw_now() ELSE due_at END, version = x.version + 1, updated_at = app.pw_now()
    FROM app.platforms p WHERE p.id = x.platform_id AND p.key = p_platform AND x.key = p_document
     AND x.state = CASE WHEN p_reason IS NULL THEN 'paused' ELSE 'active' END RETURNING x.* INTO d;
  IF d.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'document', p_platform || '/' || p_document, 'PW422',
                      format('There is no document %s/%s, or it is %s already.', p_platform, p_document,
                             CASE WHEN p_reason IS NULL THEN 'active' ELSE 'paused' END), 'See: policywatch documents list');
  END IF;
  RETURN app.done(p_act, k, 'document', d.id, d.version, format('%s/%s is %s.', p_platform, p_document, d.state), NULL,
                  jsonb_build_object('state', d.state, 'reason', p_reason), p_platform || '/' || p_document);
END $$;

CREATE FUNCTION act.ack_alert(p_act uuid, p_alert bigint)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'alert.ack';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'alert', p_alert::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  UPDATE app.alerts SET acked_by = session_user, acked_at = app.pw_now() WHERE id = p_alert AND closed_at IS NULL AND acked_by IS NULL;
  IF NOT FOUND THEN
    RETURN app.refuse(p_act, k, 'alert', p_alert::text, 'PW422', format('Alert %s is not open, or acknowledged already.', p_alert));
  END IF;
  RETURN app.done(p_act, k, 'alert', p_alert, 1, format('Alert %s is acknowledged.', p_alert));
END $$;
RESET ROLE;

-- Owned by pw_rolemaker: the role is made and the row is stored in one transaction.
SET LOCAL ROLE pw_rolemaker;
CREATE FUNCTION act.user_add(p_act uuid, p_name text, p_role text, p_verifier text DEFAULT NULL, p_mail text DEFAULT NULL,
  p_os_user text DEFAULT NULL, p_platforms text[] DEFAULT NULL, p_one_time boolean DEFAULT true)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_verifier: a SCRAM verifier made in the client; a password itself is refused, so that none stands in a log.
DECLARE r act.result; k constant text := 'user.add'; there boolean; known boolean;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'user', p_name);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF coalesce(p_name !~ '^[a-z_][a-z0-9_.-]{0,62}$' OR p_name ~ '^(pg_|pw_)' OR p_name IN ('public', 'none', 'session_user', 'current_user', 'current_role')
              OR p_role NOT IN ('viewer', 'reviewer', 'editor', 'approver', 'admin', 'auditor'), true) THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('"%s" with role "%s" cannot be added.', p_name, p_role),
                      'A name has small letters, digits, . _ -, and does not begin with pg_ or pw_; roles: viewer reviewer editor approver admin auditor.');
  END IF;
  IF p_verifier IS NOT NULL AND p_verifier !~ '^SCRAM-SHA-256\$[0-9]{4,7}:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$' THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', 'Only a SCRAM verifier is taken, never a password.', 'Use: policywatch users add');
  END IF;
  IF (app.find_user(p_name)).state = 'active' THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('%s is here already.', p_name), 'See: policywatch users list');
  END IF;
  IF app.unknown_platforms(p_platforms) IS NOT NULL THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('There is no platform %s.', app.unknown_platforms(p_platforms)), 'See: policywatch documents list');
  END IF;
  -- Also the daemon's login, and whoever is in any role but people's groups.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = p_name AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls))
     OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
                WHERE u.rolname = p_name AND g.rolname NOT IN
                  ('pw_viewer', 'pw_reviewer', 'pw_editor', 'pw_approver', 'pw_admin', 'pw_auditor', 'pw_peer')) THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('%s is an administrative role of this server.', p_name), 'Choose another name.');
  END IF;
  -- A login that another database of the server knows keeps its password; one that is nobody's of ours is left alone.
  there := EXISTS (SELECT FROM pg_roles WHERE rolname = p_name);
  known := (app.find_user(p_name)).id IS NOT NULL;
  IF there AND NOT known AND NOT EXISTS (
      SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
      WHERE u.rolname = p_name AND g.rolname IN ('pw_viewer', 'pw_reviewer', 'pw_editor', 'pw_approver', 'pw_admin', 'pw_auditor')) THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('The server has a login %s that is not of PolicyWatch.', p_name), 'Choose another name.');
  END IF;
  IF NOT there THEN
    EXECUTE format('CREATE ROLE %I LOGIN', p_name);
  END IF;
  IF p_verifier IS NOT NULL AND (known OR NOT there) THEN
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', p_name, p_verifier);
  END IF;
  EXECUTE format('GRANT %I TO %I', 'pw_' || p_role, p_name);
  IF p_os_user IS NOT NULL THEN
    EXECUTE format('GRANT pw_peer TO %I', p_name);
  END IF;
  PERFORM app.store_user(p_name, p_role, p_mail, p_os_user, p_platforms,
                         coalesce(p_one_time, true) AND p_verifier IS NOT NULL AND (known OR NOT there));
  RETURN app.done(p_act, k, 'user', NULL, 1,
                  format(CASE WHEN there AND NOT known THEN '%s is here as %s, with the password of their login on this server.'
                              ELSE '%s is here as %s.' END, p_name, p_role), NULL,
                  jsonb_build_object('role', p_role, 'os_user', p_os_user, 'platforms', p_platforms, 'login_made', NOT there), p_name);
END $$;

CREATE FUNCTION act.user_role(p_act uuid, p_name text, p_role text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'user.role'; u app.users; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'user', p_name);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  u := app.find_user(p_name);
  IF u.id IS NULL OR u.name = session_user OR coalesce(p_role NOT IN ('viewer', 'reviewer', 'editor', 'approver', 'admin', 'auditor'), true) THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('The role of "%s" cannot be set to "%s".', p_name, p_role),
                      'Name another person than yourself, and one of: viewer reviewer editor approver admin auditor.');
  END IF;
  EXECUTE format('REVOKE %I FROM %I', 'pw_' || u.role, p_name);
  EXECUTE format('GRANT %I TO %I', 'pw_' || p_role, p_name);
  n := app.set_user_state(p_name, p_role, NULL, NULL);
  RETURN app.done(p_act, k, 'user', NULL, n, format('%s is %s now.', p_name, p_role), jsonb_build_object('role', u.role), jsonb_build_object('role', p_role), p_name);
END $$;

CREATE FUNCTION act.user_disable(p_act uuid, p_name text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- The login role stays with its groups (another database of the cluster may know it); here it reads and does nothing more.
DECLARE r act.result; k constant text := 'user.disable'; u app.users; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'user', p_name);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  u := app.find_user(p_name);
  IF u.id IS NULL OR u.name = session_user OR u.state <> 'active' THEN
    RETURN app.refuse(p_act, k, 'user', p_name, 'PW422', format('"%s" cannot be disabled.', p_name), 'Name an active person other than yourself.');
  END IF;
  n := app.set_user_state(p_name, NULL, 'disabled', NULL);
  PERFORM app.end_sessions(p_name);
  RETURN app.done(p_act, k, 'user', NULL, n, format('%s is disabled.', p_name), jsonb_build_object('state', 'active'), jsonb_build_object('state', 'disabled'), p_name);
END $$;

CREATE FUNCTION act.user_password(p_act uuid, p_verifier text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- One's own password; ends the one-time state.
DECLARE r act.result; k constant text := 'user.password'; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'auditor', 'user', session_user);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF coalesce(p_verifier !~ '^SCRAM-SHA-256\$[0-9]{4,7}:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$', true) THEN
    RETURN app.refuse(p_act, k, 'user', session_user, 'PW422', 'Only a SCRAM verifier is taken, never a password.', 'Use: policywatch users password');
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', session_user, p_verifier);
  n := app.set_user_state(session_user, NULL, NULL, false);
  RETURN app.done(p_act, k, 'user', NULL, n, 'Your password is changed.', NULL, NULL, session_user);
END $$;
RESET ROLE;
