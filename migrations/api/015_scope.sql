-- Who reads here, and how far. Every view of schema read asks may_read(): rights come from this database's users, not
-- from a group role, which belongs to the whole cluster. Scope (users.platforms) holds where row-level security is on.
--
-- Policies stand here always and sleep until app.rls_on(). FORCE makes them hold for pw_owner too, as whom all views and
-- acts run; they ask for session_user, so that a person is limited and the daemon, the owner and a superuser are not.
-- Series carry none (columnstore and policies exclude each other): their views ask the same question.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.is_machine() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT pg_has_role(session_user, 'pw_daemon', 'MEMBER') OR pg_has_role(session_user, 'pw_owner', 'MEMBER') $$;
COMMENT ON FUNCTION app.is_machine IS 'The daemon, the owner, a superuser: not limited to a scope.';

CREATE OR REPLACE FUNCTION app.may_read(p_roles text[] DEFAULT NULL) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT EXISTS (SELECT FROM app.users u WHERE u.name = session_user AND u.state = 'active'
                   AND (p_roles IS NULL OR u.role = ANY (p_roles))) OR app.is_machine() $$;
COMMENT ON FUNCTION app.may_read IS 'Whether session_user is an active person of this database (in one of these roles), or a machine.';

CREATE OR REPLACE FUNCTION app.sees_all() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT NOT (SELECT relrowsecurity FROM pg_class WHERE oid = 'app.change_states'::regclass) OR app.is_machine()
         OR EXISTS (SELECT FROM app.users u WHERE u.name = session_user AND u.state = 'active' AND u.platforms IS NULL) $$;
COMMENT ON FUNCTION app.sees_all IS 'Row-level security is off, or nothing limits session_user. The catalogue decides, not system_config.';

CREATE OR REPLACE FUNCTION app.my_platforms() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT coalesce((SELECT u.platforms FROM app.users u WHERE u.name = session_user AND u.state = 'active'), '{}') $$;
CREATE OR REPLACE FUNCTION app.my_platform_keys() RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT coalesce(array_agg(p.key), '{}') FROM app.platforms p WHERE p.id = ANY (app.my_platforms()) $$;
CREATE OR REPLACE FUNCTION app.my_documents() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT coalesce(array_agg(d.id), '{}') FROM app.policy_documents d WHERE d.platform_id = ANY (app.my_platforms()) $$;
COMMENT ON FUNCTION app.my_platforms IS 'The scope of session_user; empty for whoever is no active person here.';
COMMENT ON FUNCTION app.my_platform_keys IS 'The keys of the platforms of the scope.';
COMMENT ON FUNCTION app.my_documents IS 'The documents of the platforms of the scope.';

CREATE OR REPLACE FUNCTION app.content_in_scope(p_sha256 bytea) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- A stored text of the scope, or one that such a text is rebuilt from.
  WITH RECURSIVE leaning AS (
    SELECT p_sha256 AS sha256
    UNION SELECT c.sha256 FROM leaning l JOIN app.contents c ON c.base_sha256 = l.sha256
  )
  SELECT EXISTS (SELECT FROM leaning l JOIN app.policy_snapshots s ON s.text_sha256 = l.sha256
                 WHERE s.document_id = ANY (app.my_documents()))
      OR EXISTS (SELECT FROM leaning l JOIN app.captures c ON c.raw_sha256 = l.sha256 WHERE c.document_id = ANY (app.my_documents()))
      OR EXISTS (SELECT FROM leaning l JOIN app.captures c ON c.text_sha256 = l.sha256 WHERE c.document_id = ANY (app.my_documents())) $$;
COMMENT ON FUNCTION app.content_in_scope IS 'Contents are shared by hash and have no platform: whether one belongs to the scope.';

-- Functions in a view or a policy run with the rights of whoever reads it; nobody but the machine can name them (no USAGE on app).
GRANT EXECUTE ON FUNCTION app.is_machine(), app.may_read(text[]), app.sees_all(), app.my_platforms(), app.my_platform_keys(),
  app.my_documents(), app.content_in_scope(bytea) TO pw_viewer, pw_auditor, pw_daemon;
GRANT EXECUTE ON FUNCTION app.sees_all() TO pw_rolemaker;

DO $$
DECLARE p record;
BEGIN
  FOR p IN SELECT * FROM (VALUES
    ('platforms',             'id IN (SELECT unnest(app.my_platforms()))'),
    ('platform_credentials',  'platform_id IN (SELECT unnest(app.my_platforms()))'),
    ('policy_documents',      'platform_id IN (SELECT unnest(app.my_platforms()))'),
    ('document_pages',        'document_id IN (SELECT unnest(app.my_documents()))'),
    ('captures',              'document_id IN (SELECT unnest(app.my_documents()))'),
    ('document_variants',     'document_id IN (SELECT unnest(app.my_documents()))'),
    ('snapshot_keys',         'document_id IN (SELECT unnest(app.my_documents()))'),
    ('document_search',       'document_id IN (SELECT unnest(app.my_documents()))'),
    ('change_states',         'document_id IN (SELECT unnest(app.my_documents()))'),
    ('change_analyses',       'EXISTS (SELECT FROM app.change_states s WHERE s.change_id = change_analyses.change_id)'),
    ('change_verdicts',       'EXISTS (SELECT FROM app.change_states s WHERE s.change_id = change_verdicts.change_id)'),
    -- All changes that a draft rests on must be in scope. draft_evidence itself has no policy: hidden, it would count as absent.
    ('guidance_drafts',       'NOT EXISTS (SELECT FROM app.draft_evidence e WHERE e.draft_id = guidance_drafts.id
                                 AND NOT EXISTS (SELECT FROM app.change_states s WHERE s.change_id = e.change_id))'),
    ('draft_revisions',       'EXISTS (SELECT FROM app.guidance_drafts d WHERE d.id = draft_revisions.draft_id)'),
    ('approval_requests',     'EXISTS (SELECT FROM app.guidance_drafts d WHERE d.id = approval_requests.draft_id)'),
    ('approval_decisions',    'EXISTS (SELECT FROM app.approval_requests q WHERE q.id = approval_decisions.request_id)'),
    ('guidance_publications', 'EXISTS (SELECT FROM app.guidance_drafts d WHERE d.id = guidance_publications.draft_id)'),
    ('publication_recipients','publication_id IN (SELECT g.id FROM app.guidance_publications g)'),
    ('queue_counts',          'document_id IN (SELECT unnest(app.my_documents()))'),
    ('publication_counts',    'publication_id IN (SELECT g.id FROM app.guidance_publications g)'),
    ('requests',              'requested_by = session_user OR arguments ->> ''platform'' IN (SELECT unnest(app.my_platform_keys()))'),
    ('alerts',                'CASE WHEN subject ~ ''^[a-z0-9-]+/[a-z0-9-]+$'' THEN split_part(subject, ''/'', 1) IN (SELECT unnest(app.my_platform_keys()))
                                 WHEN subject ~ ''^C-[0-9]{1,18}$'' THEN EXISTS (SELECT FROM app.change_states s WHERE s.change_id = substr(subject, 3)::bigint)
                                 WHEN subject ~ ''^(publication )?P-[0-9]{1,18}$'' THEN EXISTS (SELECT FROM app.guidance_publications g WHERE g.id = substring(subject FROM ''[0-9]+$'')::bigint)
                                 ELSE true END')
  ) AS v(relation, scope) LOOP
    EXECUTE format('DROP POLICY IF EXISTS scope ON app.%I', p.relation);
    EXECUTE format('CREATE POLICY scope ON app.%I USING ((SELECT app.sees_all()) OR (%s))', p.relation, p.scope);
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION app.switch_rls(p_on boolean) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- By the owner. Returns how many tables carry a policy; a switch that stood so already writes nothing.
DECLARE t regclass; n integer := 0; was boolean;
BEGIN
  SELECT bool_and(c.relrowsecurity AND c.relforcerowsecurity), count(*) INTO was, n
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.polname = 'scope' AND c.relnamespace = 'app'::regnamespace;
  IF was IS NOT DISTINCT FROM p_on THEN RETURN n; END IF;
  FOR t IN SELECT p.polrelid::regclass FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
           WHERE p.polname = 'scope' AND c.relnamespace = 'app'::regnamespace ORDER BY c.relname LOOP
    IF p_on THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    ELSE
      EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', t);
    END IF;
  END LOOP;
  UPDATE app.system_config SET value = to_jsonb(p_on), updated_at = app.pw_now(), updated_by = session_user WHERE key = 'rls';
  PERFORM app.write_audit('config.rls', 'config', 'rls', 'done', NULL, jsonb_build_object('rls', was), jsonb_build_object('rls', p_on));
  PERFORM app.hint('config', 0, 0);
  RETURN n;
END $$;
CREATE OR REPLACE FUNCTION app.rls_on() RETURNS integer LANGUAGE sql SET search_path = pg_catalog, app, pg_temp AS $$ SELECT app.switch_rls(true) $$;
CREATE OR REPLACE FUNCTION app.rls_off() RETURNS integer LANGUAGE sql SET search_path = pg_catalog, app, pg_temp AS $$ SELECT app.switch_rls(false) $$;
COMMENT ON FUNCTION app.rls_on IS 'From now on people scoped to platforms see and act on those alone. Returns the number of tables with a policy.';
COMMENT ON FUNCTION app.rls_off IS 'The scope of people is not applied. Returns the number of tables with a policy.';
RESET ROLE;
