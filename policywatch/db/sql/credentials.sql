-- Credentials of platforms and the versions of the master key. Keys and values are parameters, never text.

-- name: set_credential
SELECT * FROM act.set_credential(%(act)s, %(platform)s, %(name)s, %(value)s, %(key)s, %(version)s, %(check)s, %(rotate)s);

-- name: test_credential
SELECT * FROM act.test_credential(%(act)s, %(platform)s, %(name)s, %(key)s, %(version)s);

-- name: remove_credential
SELECT * FROM act.remove_credential(%(act)s, %(platform)s, %(name)s);

-- name: begin_key_rotation
SELECT * FROM act.begin_key_rotation(%(act)s, %(from_version)s, %(from_check)s, %(to_version)s, %(to_check)s);

-- name: rotate_credentials
SELECT * FROM act.rotate_credentials(%(act)s, %(ids)s::integer[], %(old)s::text[], %(new)s::text[]);

-- name: credentials
-- As an administrator or auditor; never a value.
SELECT id, platform, name, state, key_version, set_by, set_at FROM read.credentials
WHERE (%(platform)s::text IS NULL OR platform = %(platform)s) ORDER BY platform, name;

-- name: rest_of_rotation
-- The next batch: active, and not under the new version.
SELECT id, platform, name, key_version FROM read.credentials
WHERE state = 'active' AND key_version < %(version)s AND id > %(after)s ORDER BY id LIMIT %(most)s;

-- name: key_versions
-- As an administrator or auditor.
SELECT version, check_value, made_at, made_by FROM read.key_versions ORDER BY version;

-- name: key_rotations
SELECT id, from_version, to_version, done, started_at, started_by, ended_at, rest FROM read.key_rotations ORDER BY id;

-- name: key_checks
-- As the daemon.
SELECT version, check_value FROM app.key_versions ORDER BY version;

-- name: check_key
-- As the daemon: the first to ask fixes version 1.
SELECT app.check_key(%(version)s, %(check)s);

-- name: key_version_of
-- As the daemon.
SELECT x.key_version FROM app.platform_credentials x JOIN app.platforms p ON p.id = x.platform_id
WHERE p.key = %(platform)s AND x.name = %(name)s AND x.state = 'active';

-- name: use_credential
-- As the daemon; writes the audit row of the use.
SELECT state, value FROM app.use_credential(%(platform)s, %(name)s, %(key)s, %(version)s, %(purpose)s);

-- name: request_key
-- What people seal arguments with; everybody may see it.
SELECT value #>> '{}' AS key FROM read.config WHERE key = 'request_key';

-- name: publish_request_key
-- As the daemon, when it differs.
UPDATE app.system_config SET value = to_jsonb(%(key)s::text), updated_at = app.pw_now(), updated_by = session_user
WHERE key = 'request_key' AND value IS DISTINCT FROM to_jsonb(%(key)s::text);

-- name: log_settings
-- Which of the server's settings decide whether bound parameters reach its log; NULL where there is no such setting.
SELECT n.name, pg_catalog.current_setting(n.name, true) AS value FROM (VALUES
  ('log_statement'), ('log_parameter_max_length'), ('log_parameter_max_length_on_error'), ('log_min_error_statement'),
  ('log_min_duration_statement'), ('log_min_duration_sample'), ('log_transaction_sample_rate'),
  ('pg_stat_statements.track_utility'), ('auto_explain.log_min_duration'), ('auto_explain.log_parameter_max_length'),
  ('pgaudit.log'), ('pgaudit.log_parameter')) AS n(name);
