-- name: lock_catalogue
-- One reconciliation at a time over all daemons.
SELECT pg_advisory_xact_lock(hashtext('policywatch.catalogue'));

-- name: applied_hash
-- Hash of the settings that stand in the database.
SELECT value #>> '{}' FROM app.system_config WHERE key = 'settings_sha256';

-- name: upsert_platform
-- No row: it stood there as it is.
INSERT INTO app.platforms AS p (key, name, aliases, position)
VALUES (%(key)s, %(name)s, %(aliases)s::text[], %(position)s)
ON CONFLICT (key) DO UPDATE SET name = excluded.name, aliases = excluded.aliases, position = excluded.position,
  state = 'active', version = p.version + 1, updated_at = app.pw_now()
WHERE (p.name, p.aliases, p.position, p.state) IS DISTINCT FROM (excluded.name, excluded.aliases, excluded.position, 'active')
RETURNING p.id;

-- name: platform_ids
-- By key.
SELECT key, id FROM app.platforms;

-- name: archive_platforms
-- Left the settings and has no document any more that is kept.
UPDATE app.platforms p SET state = 'archived', version = p.version + 1, updated_at = app.pw_now()
WHERE p.state = 'active' AND p.key <> ALL (%(keys)s::text[])
  AND NOT EXISTS (SELECT FROM app.policy_documents d WHERE d.platform_id = p.id AND d.state <> 'archived')
RETURNING p.key;

-- name: upsert_document
-- The settings pause and resume only what they paused themselves: a person's pause, and the one of an
-- import, stay. A document that is new or comes back is due at once.
INSERT INTO app.policy_documents AS d (platform_id, key, name, language, cadence, state, paused_reason, archive, robots_override)
VALUES (%(platform)s, %(key)s, %(name)s, %(language)s, %(cadence)s::interval,
        CASE WHEN %(paused)s THEN 'paused' ELSE 'active' END, CASE WHEN %(paused)s THEN 'settings' END, %(archive)s::jsonb,
        %(robots_override)s::jsonb)
ON CONFLICT (platform_id, key) DO UPDATE SET
  name = excluded.name, language = excluded.language, cadence = excluded.cadence, archive = excluded.archive,
  robots_override = excluded.robots_override,
  state = CASE WHEN d.state = 'paused' AND d.paused_reason IS DISTINCT FROM 'settings' THEN 'paused' ELSE excluded.state END,
  paused_reason = CASE WHEN d.state = 'paused' AND d.paused_reason IS DISTINCT FROM 'settings' THEN d.paused_reason
                       ELSE excluded.paused_reason END,
  due_at = CASE WHEN d.state = 'active' THEN least(d.due_at, app.pw_now() + excluded.cadence) ELSE app.pw_now() END,
  version = d.version + 1, updated_at = app.pw_now()
WHERE (d.name, d.language, d.cadence, d.archive, d.robots_override)
      IS DISTINCT FROM (excluded.name, excluded.language, excluded.cadence, excluded.archive, excluded.robots_override)
   OR d.state = 'archived'
   OR (d.state = 'active' AND excluded.state = 'paused')
   OR (d.state = 'paused' AND d.paused_reason = 'settings' AND excluded.state = 'active')
RETURNING d.id;

-- name: document_ids
-- By platform and key.
SELECT d.id, p.key AS platform, d.key AS document FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id;

-- name: robots_overrides
-- What stood before the settings are applied: each difference is audited by itself.
SELECT id, robots_override FROM app.policy_documents WHERE robots_override IS NOT NULL AND state <> 'archived';

-- name: archive_documents
-- Left the settings. What a person or an import paused was not the settings' to begin with, and stays.
UPDATE app.policy_documents d SET state = 'archived', paused_reason = NULL, version = d.version + 1, updated_at = app.pw_now()
WHERE d.id <> ALL (%(kept)s::integer[])
  AND (d.state = 'active' OR (d.state = 'paused' AND d.paused_reason = 'settings'))
RETURNING d.id;

-- name: add_rule
-- Every rule ever loaded, once.
INSERT INTO app.extraction_rules (hash, definition) VALUES (%(hash)s, %(definition)s::jsonb) ON CONFLICT (hash) DO NOTHING;

-- name: rule_ids
-- By hash.
SELECT hash, id FROM app.extraction_rules WHERE hash = ANY (%(hashes)s::bytea[]);

-- name: upsert_page
-- No row: it stood there as it is. The rule of a page that was read well stays in force; an edited one waits
-- beside it until its trial is good. Taking the edit back ends the wait. A rule that failed its trial is not
-- tried again because other settings changed. Other headers are another question: no validator of the old one is sent.
INSERT INTO app.document_pages AS g (document_id, position, url, render, headers, credential, rule_id)
VALUES (%(document)s, %(position)s, %(url)s, %(render)s, %(headers)s::jsonb, %(credential)s, %(rule)s)
ON CONFLICT (document_id, url) DO UPDATE SET position = excluded.position, render = excluded.render,
  headers = excluded.headers, credential = excluded.credential, state = 'active', version = g.version + 1,
  etag = CASE WHEN g.headers = excluded.headers AND g.credential IS NOT DISTINCT FROM excluded.credential THEN g.etag END,
  last_modified = CASE WHEN g.headers = excluded.headers AND g.credential IS NOT DISTINCT FROM excluded.credential
                       THEN g.last_modified END,
  rule_id = CASE WHEN g.good_capture IS NULL THEN excluded.rule_id ELSE g.rule_id END,
  trial_rule_id = CASE WHEN g.good_capture IS NOT NULL AND excluded.rule_id <> g.rule_id THEN excluded.rule_id END,
  trial = CASE WHEN excluded.rule_id = coalesce(g.trial_rule_id, g.rule_id) THEN g.trial
               WHEN g.good_capture IS NOT NULL AND excluded.rule_id = g.rule_id THEN 'good' ELSE 'waiting' END,
  trial_at = CASE WHEN excluded.rule_id = coalesce(g.trial_rule_id, g.rule_id) THEN g.trial_at END,
  trial_result = CASE WHEN excluded.rule_id = coalesce(g.trial_rule_id, g.rule_id) THEN g.trial_result END
WHERE (g.position, g.render, g.headers, g.credential, coalesce(g.trial_rule_id, g.rule_id), g.state)
      IS DISTINCT FROM (excluded.position, excluded.render, excluded.headers, excluded.credential, excluded.rule_id, 'active')
RETURNING g.document_id;

-- name: archive_pages
-- Pages of kept documents that left the settings.
UPDATE app.document_pages g SET state = 'archived', version = g.version + 1
WHERE g.state = 'active' AND g.document_id = ANY (%(documents)s::integer[])
  AND (g.document_id, g.url) NOT IN (SELECT * FROM unnest(%(of)s::integer[], %(urls)s::text[]))
RETURNING g.document_id;

-- name: documents_due
-- Their pages or rules changed: look soon.
UPDATE app.policy_documents SET due_at = least(due_at, app.pw_now()) WHERE id = ANY (%(documents)s::integer[]) AND state = 'active';

-- name: current_segments
-- The segments that acts can name now.
SELECT id, key, version, name, criteria FROM app.member_segments WHERE current;

-- name: retire_segment
-- A new definition is a new version, the old one stays for what was bound to it.
UPDATE app.member_segments SET current = false WHERE key = %(key)s AND current;

-- name: add_segment
-- The next version of a segment.
INSERT INTO app.member_segments (key, version, name, criteria)
SELECT %(key)s, coalesce(max(version), 0) + 1, %(name)s, %(criteria)s::jsonb FROM app.member_segments WHERE key = %(key)s;

-- name: set_config
-- A fact that acts read.
UPDATE app.system_config SET value = %(value)s::jsonb, updated_at = app.pw_now(), updated_by = session_user
WHERE key = %(key)s AND value IS DISTINCT FROM %(value)s::jsonb;
