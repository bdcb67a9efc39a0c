-- Acts on documents and their evidence: take a suspect capture for the new policy, have a rule tried or a history read again.
SET LOCAL ROLE pw_owner;

CREATE FUNCTION act.accept_capture(p_act uuid, p_capture bigint)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- A policy can really be replaced by a stub. After two suspect looks in a row a person may say so; the daemon takes it up.
DECLARE r act.result; k constant text := 'capture.accept'; c app.captures; g app.document_pages; d app.policy_documents; name text;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'capture', p_capture::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT x.* INTO c FROM app.captures x WHERE x.id = p_capture;
  IF c.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'capture', p_capture::text, 'PW422', format('There is no capture %s.', p_capture),
                      'See: policywatch documents captures PLATFORM/DOCUMENT --suspect');
  END IF;
  SELECT x.* INTO d FROM app.policy_documents x WHERE x.id = c.document_id FOR UPDATE;
  SELECT x.* INTO g FROM app.document_pages x WHERE x.id = c.page_id FOR UPDATE;
  SELECT p.key || '/' || d.key INTO name FROM app.platforms p WHERE p.id = d.platform_id;
  IF c.state <> 'suspect' OR c.text_sha256 IS NULL THEN
    RETURN app.refuse(p_act, k, 'capture', p_capture::text, 'PW422', format('Capture %s is %s; only a suspect capture with a text can be accepted.', p_capture, c.state),
                      format('See: policywatch documents captures %s --suspect', name));
  END IF;
  IF c.accepted_at IS NOT NULL THEN
    RETURN app.refuse(p_act, k, 'capture', p_capture::text, 'PW422', format('%s accepted capture %s already.', c.accepted_by, p_capture),
                      format('See: policywatch documents show %s', name));
  END IF;
  IF g.suspect_capture IS DISTINCT FROM c.id OR g.suspects < 2 THEN
    RETURN app.refuse(p_act, k, 'capture', p_capture::text, 'PW422',
                      format('Capture %s is not the newest of at least two suspect ones in a row.', p_capture),
                      format('See: policywatch documents captures %s --suspect', name));
  END IF;
  UPDATE app.captures SET accepted_by = session_user, accepted_at = app.pw_now() WHERE id = c.id;
  UPDATE app.policy_documents SET due_at = app.pw_now(), version = version + 1, updated_at = app.pw_now() WHERE id = d.id;
  RETURN app.done(p_act, k, 'capture', c.id, 1, format('Capture %s of %s is taken for the policy; the daemon compares it now.', c.id, name),
                  jsonb_build_object('state', c.state, 'cause', c.cause), jsonb_build_object('document', name, 'url', g.url, 'quality', c.quality));
END $$;

CREATE OR REPLACE FUNCTION app.ask_about_document(p_act uuid, p_action text, p_kind text, p_platform text, p_document text, p_more jsonb)
RETURNS act.result LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- What acts that leave a request about one document share; runs with the rights of the act that calls it.
DECLARE r act.result; name text := concat_ws('/', p_platform, p_document); made bigint;
BEGIN
  r := app.begin_act(p_act, p_action, 'editor', 'request', name);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF NOT EXISTS (SELECT FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id
                 WHERE p.key = p_platform AND d.key = p_document AND d.state <> 'archived') THEN
    RETURN app.refuse(p_act, p_action, 'request', name, 'PW422', format('No watched document is named %s.', name), 'See: policywatch documents list');
  END IF;
  INSERT INTO app.requests (kind, arguments)
  VALUES (p_kind, jsonb_build_object('platform', p_platform, 'document', p_document) || coalesce(p_more, '{}')) RETURNING id INTO made;
  RETURN app.done(p_act, p_action, 'request', made, 1, format('The daemon is asked about %s.', name), NULL,
                  jsonb_build_object('platform', p_platform, 'document', p_document) || coalesce(p_more, '{}'));
END $$;

CREATE FUNCTION act.request_trial(p_act uuid, p_platform text, p_document text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  RETURN app.ask_about_document(p_act, 'request.trial', 'try_rule', p_platform, p_document, NULL);
END $$;

CREATE FUNCTION act.request_reextract(p_act uuid, p_platform text, p_document text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  RETURN app.ask_about_document(p_act, 'request.reextract', 'reextract', p_platform, p_document, NULL);
END $$;

CREATE FUNCTION act.request_preview(p_act uuid, p_platform text, p_document text, p_rule jsonb)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_rule: {add_filters: [names]} and {add_remove: [selectors]}, tried on the stored captures; nothing is changed.
DECLARE r act.result; k constant text := 'request.preview';
BEGIN
  IF p_rule IS NULL OR jsonb_typeof(p_rule) <> 'object' OR length(p_rule::text) > 20000 THEN
    r := app.begin_act(p_act, k, 'editor', 'request', concat_ws('/', p_platform, p_document));
    IF r.ok IS NOT NULL THEN RETURN r; END IF;
    RETURN app.refuse(p_act, k, 'request', concat_ws('/', p_platform, p_document), 'PW422', 'A preview needs filters or selectors to try.',
                      'Say --filter NAME or --remove SELECTOR.');
  END IF;
  RETURN app.ask_about_document(p_act, k, 'preview_filter', p_platform, p_document, jsonb_build_object('rule', p_rule));
END $$;
RESET ROLE;
