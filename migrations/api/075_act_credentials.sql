-- Credentials of platforms. The key of a row is made in the client from the master key, which never comes here; key and
-- value come as bound parameters alone, and no statement is built of them. All that calls pgcrypto is plpgsql, which can
-- be created where the extension is missing. No function tells a key or a value in an error: pgcrypto's own are caught.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.check_key(p_version integer, p_check bytea) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- Whether whoever asks holds the master key of that version. The first to ask fixes version 1.
BEGIN
  IF p_version = 1 AND octet_length(p_check) = 8 THEN
    INSERT INTO app.key_versions (version, check_value) VALUES (1, p_check) ON CONFLICT (version) DO NOTHING;
    IF FOUND THEN
      PERFORM app.write_audit('key.registered', 'key', 'master/1');
    END IF;
  END IF;
  RETURN EXISTS (SELECT FROM app.key_versions WHERE version = p_version AND check_value = p_check);
END $$;

CREATE OR REPLACE FUNCTION app.encrypted(p_value text, p_key text) RETURNS bytea LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- The key is 32 random octets already: rounds of hashing protect passwords that can be guessed, and cost 30 ms a call.
DECLARE how constant text := 'cipher-algo=aes256, s2k-mode=1, s2k-digest-algo=sha256, compress-algo=0';
BEGIN
  RETURN public.pgp_sym_encrypt(p_value, p_key, how);
END $$;

CREATE OR REPLACE FUNCTION app.decrypted(p_secret bytea, p_key text) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- NULL: the key is not the row's, or the row was tampered with.
BEGIN
  RETURN public.pgp_sym_decrypt(p_secret, p_key);
EXCEPTION WHEN external_routine_invocation_exception THEN
  RETURN NULL;
END $$;

CREATE FUNCTION act.set_credential(p_act uuid, p_platform text, p_name text, p_value text, p_key text, p_version integer,
  p_check bytea, p_rotate boolean DEFAULT false)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_rotate: a new value of one that is there.
DECLARE r act.result; k text := CASE WHEN p_rotate THEN 'credential.rotate' ELSE 'credential.set' END;
  what text := concat_ws('/', p_platform, p_name); p integer; c app.platform_credentials; there boolean;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'credential', what);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT id INTO p FROM app.platforms WHERE key = p_platform;
  IF p IS NULL OR coalesce(p_name !~ '^[a-z0-9][a-z0-9._-]{0,63}$', true) THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('"%s" cannot be the name of a credential.', what),
                      'Write PLATFORM NAME: a platform of the catalogue; a name of small letters, digits, . _ -');
  END IF;
  IF coalesce(p_key !~ '^[0-9a-f]{64}$' OR octet_length(p_value) NOT BETWEEN 1 AND 16384, true) THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', 'A value has 1 to 16,384 octets, a key 32.', 'Use: policywatch credentials set');
  END IF;
  IF NOT app.check_key(p_version, p_check) THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('This is not the master key of version %s.', p_version),
                      'Put the right key file back. See: policywatch secrets doctor');
  END IF;
  PERFORM FROM app.key_versions WHERE version = p_version FOR SHARE;  -- a rotation that begins waits for us, or we for it
  IF p_version <> (SELECT max(version) FROM app.key_versions) THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW409', 'The master key was rotated meanwhile.', 'Try again.');
  END IF;
  SELECT * INTO c FROM app.platform_credentials WHERE platform_id = p AND name = p_name FOR UPDATE;
  there := c.state IS NOT DISTINCT FROM 'active';
  IF p_rotate AND NOT there THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('There is no credential %s.', what), 'See: policywatch credentials list');
  END IF;
  INSERT INTO app.platform_credentials AS x (platform_id, name, secret, key_version, set_by)
  VALUES (p, p_name, app.encrypted(p_value, p_key), p_version, session_user)
  ON CONFLICT (platform_id, name) DO UPDATE SET secret = excluded.secret, key_version = excluded.key_version, state = 'active',
    set_by = excluded.set_by, set_at = excluded.set_at RETURNING * INTO c;
  RETURN app.done(p_act, k, 'credential', c.id, p_version, format('The credential %s is stored.', what),
                  jsonb_build_object('there', there), jsonb_build_object('key_version', p_version), what);
END $$;

CREATE FUNCTION act.test_credential(p_act uuid, p_platform text, p_name text, p_key text, p_version integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Whether it can be read with that key; the value is told to nobody.
DECLARE r act.result; k constant text := 'credential.test'; what text := concat_ws('/', p_platform, p_name); c app.platform_credentials;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'credential', what);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT x.* INTO c FROM app.platform_credentials x JOIN app.platforms p ON p.id = x.platform_id
   WHERE p.key = p_platform AND x.name = p_name AND x.state = 'active';
  IF c.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('There is no credential %s.', what), 'See: policywatch credentials list');
  END IF;
  IF c.key_version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW409', 'The credential is under another key version by now.', 'Try again.');
  END IF;
  IF app.decrypted(c.secret, coalesce(p_key, '')) IS NULL THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('The credential %s cannot be read with this key.', what),
                      'Set it again: policywatch credentials set. If many are so: policywatch secrets doctor');
  END IF;
  RETURN app.done(p_act, k, 'credential', c.id, c.key_version, format('The credential %s can be read.', what), NULL, NULL, what);
END $$;

CREATE FUNCTION act.remove_credential(p_act uuid, p_platform text, p_name text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- The value goes, the row says that there was one.
DECLARE r act.result; k constant text := 'credential.remove'; what text := concat_ws('/', p_platform, p_name); c app.platform_credentials;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'credential', what);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  UPDATE app.platform_credentials x SET state = 'retired', secret = decode('', 'hex'), set_by = session_user, set_at = app.pw_now()
    FROM app.platforms p WHERE p.id = x.platform_id AND p.key = p_platform AND x.name = p_name AND x.state = 'active' RETURNING x.* INTO c;
  IF c.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'credential', what, 'PW422', format('There is no credential %s.', what), 'See: policywatch credentials list');
  END IF;
  RETURN app.done(p_act, k, 'credential', c.id, c.key_version, format('The credential %s is removed.', what), NULL, NULL, what);
END $$;

-- A new version of the master key ---------------------------------------------------------------------
CREATE FUNCTION act.begin_key_rotation(p_act uuid, p_from integer, p_from_check bytea, p_to integer, p_to_check bytea)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Begun already: the answer is the same, so that a rotation that was cut off goes on.
DECLARE r act.result; k constant text := 'key.rotate'; what text := format('master/%s', p_to); o app.key_rotations;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'key', what);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF NOT app.check_key(p_from, p_from_check) OR coalesce(octet_length(p_to_check) <> 8 OR p_to_check = p_from_check, true) THEN
    RETURN app.refuse(p_act, k, 'key', what, 'PW422', format('This is not the master key of version %s, or the new one is the same.', p_from),
                      'See: policywatch secrets doctor');
  END IF;
  LOCK TABLE app.key_versions IN EXCLUSIVE MODE;
  SELECT * INTO o FROM app.key_rotations WHERE ended_at IS NULL;
  IF o.id IS NULL AND p_from = (SELECT max(version) FROM app.key_versions) AND p_to = p_from + 1 THEN
    INSERT INTO app.key_versions (version, check_value) VALUES (p_to, p_to_check);
    INSERT INTO app.key_rotations (from_version, to_version) VALUES (p_from, p_to) RETURNING * INTO o;
  ELSIF (o.from_version, o.to_version) IS DISTINCT FROM (p_from, p_to) OR NOT app.check_key(p_to, p_to_check) THEN
    RETURN app.refuse(p_act, k, 'key', what, 'PW409', 'Another rotation of the master key goes on, or the key is another.', 'See: policywatch secrets doctor');
  END IF;
  RETURN app.done(p_act, k, 'key', o.id, p_to, format('Credentials move from key version %s to %s.', p_from, p_to),
                  jsonb_build_object('version', p_from), jsonb_build_object('version', p_to), what);
END $$;

CREATE FUNCTION act.rotate_credentials(p_act uuid, p_ids integer[], p_old text[], p_new text[])
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- One batch. A row that another holds, or that its key does not open, stays; the answer's id is how many are left.
DECLARE r act.result; k constant text := 'key.rotate_batch'; o app.key_rotations; c record; v text; n integer := 0; amiss text[] := '{}'; rest integer;
BEGIN
  r := app.begin_act(p_act, k, 'admin', 'key', 'credentials');
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO o FROM app.key_rotations WHERE ended_at IS NULL;
  IF o.id IS NULL OR coalesce(cardinality(p_ids), 0) > 500 THEN
    RETURN app.refuse(p_act, k, 'key', 'credentials', 'PW422', 'No rotation goes on, or the batch has more than 500 rows.', 'Run: policywatch secrets rotate');
  END IF;
  FOR c IN SELECT x.id, x.secret, b.old, b.new, p.key || '/' || x.name AS what
             FROM unnest(p_ids, p_old, p_new) AS b(id, old, new) JOIN app.platform_credentials x ON x.id = b.id
             JOIN app.platforms p ON p.id = x.platform_id
            WHERE x.state = 'active' AND x.key_version = o.from_version AND b.new ~ '^[0-9a-f]{64}$'
            ORDER BY x.id FOR UPDATE OF x SKIP LOCKED LOOP
    v := app.decrypted(c.secret, c.old);
    IF v IS NULL THEN
      amiss := amiss || c.what;
    ELSE
      UPDATE app.platform_credentials SET secret = app.encrypted(v, c.new), key_version = o.to_version WHERE id = c.id;
      n := n + 1;
    END IF;
  END LOOP;
  UPDATE app.key_rotations SET done = done + n WHERE id = o.id AND ended_at IS NULL;
  SELECT count(*) INTO rest FROM app.platform_credentials WHERE state = 'active' AND key_version < o.to_version;
  IF rest = 0 THEN
    UPDATE app.key_rotations SET ended_at = app.pw_now() WHERE id = o.id AND ended_at IS NULL;
  END IF;
  RETURN app.done(p_act, k, 'key', rest, o.to_version, format('%s credentials are under key version %s, %s are left.', n, o.to_version, rest),
                  NULL, jsonb_build_object('done', n, 'left', rest, 'unreadable', to_jsonb(amiss)), format('master/%s', o.to_version));
END $$;

-- What can be seen, and the daemon's way -------------------------------------------------------------
CREATE VIEW read.credentials WITH (security_barrier) AS
SELECT c.id, p.key AS platform, c.name, c.state, c.key_version, c.set_by, c.set_at
FROM app.platform_credentials c JOIN app.platforms p ON p.id = c.platform_id
WHERE (SELECT app.may_read('{admin,auditor}'));
COMMENT ON VIEW read.credentials IS 'Which credentials there are; never a value, nor what it is encrypted to.';
CREATE VIEW read.key_versions WITH (security_barrier) AS
SELECT k.version, k.check_value, k.made_at, k.made_by FROM app.key_versions k WHERE (SELECT app.may_read('{admin,auditor}'));
CREATE VIEW read.key_rotations WITH (security_barrier) AS
SELECT r.id, r.from_version, r.to_version, r.done, r.started_at, r.started_by, r.ended_at,
       (SELECT count(*) FROM app.platform_credentials c WHERE c.state = 'active' AND c.key_version < r.to_version) AS rest
FROM app.key_rotations r WHERE (SELECT app.may_read('{admin,auditor}'));
GRANT SELECT ON read.credentials, read.key_versions, read.key_rotations TO pw_viewer, pw_auditor;  -- may_read() shows them to few

CREATE OR REPLACE FUNCTION app.use_credential(p_platform text, p_name text, p_key text, p_version integer, p_purpose text,
  OUT state text, OUT value text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- state: ok | absent | moved (to another key version: ask again) | unreadable. Each use has its audit row.
DECLARE c app.platform_credentials;
BEGIN
  SELECT x.* INTO c FROM app.platform_credentials x JOIN app.platforms p ON p.id = x.platform_id
   WHERE p.key = p_platform AND x.name = p_name AND x.state = 'active';
  IF c.id IS NOT NULL AND c.key_version IS DISTINCT FROM p_version THEN
    state := 'moved';
    RETURN;
  END IF;
  value := app.decrypted(c.secret, coalesce(p_key, ''));
  state := CASE WHEN c.id IS NULL THEN 'absent' WHEN value IS NULL THEN 'unreadable' ELSE 'ok' END;
  PERFORM app.write_audit('credential.use', 'credential', concat_ws('/', p_platform, p_name), CASE state WHEN 'ok' THEN 'done' ELSE 'failed' END,
                          NULL, NULL, jsonb_build_object('purpose', p_purpose, 'state', state, 'key_version', p_version));
END $$;

CREATE OR REPLACE FUNCTION app.end_backends(p_idle interval, p_statement interval)
RETURNS TABLE (pid integer, login text, reason text) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- Cuts connections of people alone, in this database alone: of ended sessions, of disabled people, and those that sit in a
-- transaction or run a statement for longer than anybody needs (a person can lift the limits set for a login).
-- The server's own clock: it stamped the times that are compared here. reason 'refused': the owner may not signal.
DECLARE b record;
BEGIN
  FOR b IN
    SELECT a.pid, u.name, CASE
        WHEN u.state = 'disabled' THEN 'disabled'
        WHEN EXISTS (SELECT FROM app.user_sessions s WHERE s.user_name = u.name AND s.ended_how IN ('ended', 'disabled')
                       AND s.ended_at > a.backend_start
                       AND (s.backend_pid = a.pid OR right(a.application_name, 8) = left(s.id::text, 8))) THEN 'session ended'
        WHEN a.state LIKE 'idle in transaction%' AND clock_timestamp() - a.state_change > p_idle THEN 'idle in transaction'
        WHEN a.state = 'active' AND clock_timestamp() - a.query_start > p_statement THEN 'statement' END AS why
    FROM pg_stat_activity a JOIN app.users u ON u.name = a.usename JOIN pg_roles o ON o.oid = a.usesysid
    WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND NOT o.rolsuper
  LOOP
    CONTINUE WHEN b.why IS NULL;
    pid := b.pid; login := b.name; reason := b.why;
    BEGIN
      CONTINUE WHEN NOT pg_terminate_backend(b.pid);
      PERFORM app.write_audit('session.cut', 'user', b.name, 'done', NULL, NULL, jsonb_build_object('pid', b.pid, 'reason', b.why));
    EXCEPTION WHEN insufficient_privilege THEN
      reason := 'refused';
    END;
    RETURN NEXT;
  END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION app.check_key(integer, bytea), app.use_credential(text, text, text, integer, text),
  app.end_backends(interval, interval) TO pw_daemon;
RESET ROLE;
