-- Acts of a reviewer on changes. PW409 carries what the other person did.
SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.moved_on(s app.change_states) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT CASE WHEN s.verdict IS NOT NULL THEN format('%s decided C-%s first: %s.', s.decided_by, s.change_id, s.verdict)
              ELSE format('C-%s moved on since you read it (now version %s, %s).', s.change_id, s.version, s.status) END $$;

CREATE FUNCTION act.decide_change(p_act uuid, p_change bigint, p_version integer, p_verdict text, p_note text DEFAULT NULL)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; s app.change_states; k constant text := 'change.verdict';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF coalesce(p_verdict NOT IN ('accepted', 'no_effect', 'bad_capture'), true) THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('"%s" is no verdict.', p_verdict),
                      'Say accepted, no_effect or bad_capture.');
  END IF;
  IF length(p_note) > 10000 THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', 'A note has at most 10,000 characters.', 'Shorten it.');
  END IF;
  SELECT * INTO s FROM app.change_states WHERE change_id = p_change FOR UPDATE;
  IF s.change_id IS NULL THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('There is no change C-%s.', p_change), 'See: policywatch changes list');
  END IF;
  IF s.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW409', app.moved_on(s), 'Read it again; your verdict was not stored.', s.version);
  END IF;
  IF s.status NOT IN ('queued', 'unconfirmed') THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('C-%s is %s; only a queued change takes a verdict.', p_change, s.status), '', s.version);
  END IF;
  UPDATE app.change_states SET status = 'decided', verdict = p_verdict, decided_by = session_user, decided_at = app.pw_now(),
         snoozed_until = NULL, snoozed_by = NULL, claimed_by = NULL, claimed_until = NULL,
         version = version + 1, updated_at = app.pw_now() WHERE change_id = p_change;
  INSERT INTO app.change_verdicts (change_id, act, kind, verdict, note, version)
  VALUES (p_change, p_act, 'verdict', p_verdict, p_note, s.version + 1);
  RETURN app.done(p_act, k, 'change', p_change, s.version + 1, format('C-%s is %s.', p_change, p_verdict),
                  jsonb_build_object('status', s.status), jsonb_build_object('verdict', p_verdict, 'note', p_note));
END $$;

CREATE FUNCTION act.undo_verdict(p_act uuid, p_change bigint, p_version integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; s app.change_states; k constant text := 'change.undo';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO s FROM app.change_states WHERE change_id = p_change FOR UPDATE;
  IF s.change_id IS NULL OR s.status <> 'decided' THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('C-%s has no verdict to take back.', p_change), '', s.version);
  END IF;
  IF s.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW409', app.moved_on(s), 'Read it again; nothing was taken back.', s.version);
  END IF;
  IF s.decided_by <> session_user AND NOT EXISTS (SELECT FROM app.users WHERE name = session_user AND role = 'admin') THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW403', format('%s decided C-%s.', s.decided_by, p_change),
                      format('Ask %s, or an administrator, to take it back.', s.decided_by), s.version);
  END IF;
  -- A draft that this person does not see counts as open.
  IF EXISTS (SELECT FROM app.draft_evidence e WHERE e.change_id = p_change
             AND NOT EXISTS (SELECT FROM app.guidance_drafts d WHERE d.id = e.draft_id AND d.state = 'closed')) THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('A draft quotes C-%s.', p_change), 'Close that draft first.', s.version);
  END IF;
  UPDATE app.change_states SET status = 'queued', verdict = NULL, decided_by = NULL, decided_at = NULL,
         version = version + 1, updated_at = app.pw_now() WHERE change_id = p_change;
  INSERT INTO app.change_verdicts (change_id, act, kind, version) VALUES (p_change, p_act, 'undo', s.version + 1);
  RETURN app.done(p_act, k, 'change', p_change, s.version + 1, format('C-%s is undecided again.', p_change),
                  jsonb_build_object('verdict', s.verdict, 'by', s.decided_by), NULL);
END $$;

CREATE FUNCTION act.set_severity(p_act uuid, p_change bigint, p_version integer, p_severity text, p_reason text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; s app.change_states; k constant text := 'change.severity';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF coalesce(p_severity NOT IN ('none', 'low', 'medium', 'high', 'critical'), true) OR coalesce(length(btrim(p_reason)), 0) NOT BETWEEN 1 AND 10000 THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', 'A severity and a reason are needed.',
                      'Say none, low, medium, high or critical, and why.');
  END IF;
  SELECT * INTO s FROM app.change_states WHERE change_id = p_change FOR UPDATE;
  IF s.change_id IS NULL THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('There is no change C-%s.', p_change));
  END IF;
  IF s.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW409', app.moved_on(s), 'Read it again; the severity was not stored.', s.version);
  END IF;
  UPDATE app.change_states SET severity = p_severity, version = version + 1, updated_at = app.pw_now() WHERE change_id = p_change;
  INSERT INTO app.change_verdicts (change_id, act, kind, severity, note, version)
  VALUES (p_change, p_act, 'severity', p_severity, p_reason, s.version + 1);
  RETURN app.done(p_act, k, 'change', p_change, s.version + 1, format('C-%s is %s now.', p_change, p_severity),
                  jsonb_build_object('severity', s.severity), jsonb_build_object('severity', p_severity, 'reason', p_reason));
END $$;

CREATE FUNCTION act.snooze_change(p_act uuid, p_change bigint, p_version integer, p_until timestamptz)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_until NULL wakes it.
DECLARE r act.result; s app.change_states; k constant text := 'change.snooze';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO s FROM app.change_states WHERE change_id = p_change FOR UPDATE;
  IF s.change_id IS NULL OR s.status NOT IN ('queued', 'unconfirmed') OR p_until <= app.pw_now() THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('C-%s cannot be snoozed until then.', p_change),
                      'Snooze an undecided change, until a time to come.', s.version);
  END IF;
  IF s.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW409', app.moved_on(s), 'Read it again.', s.version);
  END IF;
  UPDATE app.change_states SET snoozed_until = p_until, snoozed_by = CASE WHEN p_until IS NULL THEN NULL ELSE session_user END,
         version = version + 1, updated_at = app.pw_now() WHERE change_id = p_change;
  INSERT INTO app.change_verdicts (change_id, act, kind, until, version) VALUES (p_change, p_act, 'snooze', p_until, s.version + 1);
  RETURN app.done(p_act, k, 'change', p_change, s.version + 1,
                  CASE WHEN p_until IS NULL THEN format('C-%s is awake.', p_change) ELSE format('C-%s is snoozed.', p_change) END,
                  jsonb_build_object('until', s.snoozed_until), jsonb_build_object('until', p_until));
END $$;

CREATE FUNCTION act.take_change(p_act uuid, p_change bigint, p_minutes integer DEFAULT 15)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Says to the others who looks; it does not lock, so it leaves the version alone.
DECLARE r act.result; s app.change_states; k constant text := 'change.take';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO s FROM app.change_states WHERE change_id = p_change FOR UPDATE;
  IF s.change_id IS NULL OR s.status NOT IN ('queued', 'unconfirmed') THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('C-%s is not waiting.', p_change), '', s.version);
  END IF;
  IF coalesce(p_minutes NOT BETWEEN 1 AND 240, true) THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', 'A look takes from 1 to 240 minutes.', '', s.version);
  END IF;
  IF s.claimed_by <> session_user AND s.claimed_until > app.pw_now() THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW409', format('%s looks at C-%s.', s.claimed_by, p_change), 'Take another, or wait.', s.version);
  END IF;
  UPDATE app.change_states SET claimed_by = session_user, claimed_until = app.pw_now() + make_interval(mins => p_minutes),
         updated_at = app.pw_now() WHERE change_id = p_change;
  RETURN app.done(p_act, k, 'change', p_change, s.version, format('You look at C-%s.', p_change));
END $$;

CREATE FUNCTION act.release_change(p_act uuid, p_change bigint)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; s app.change_states; k constant text := 'change.release';
BEGIN
  r := app.begin_act(p_act, k, 'reviewer', 'change', p_change::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  UPDATE app.change_states SET claimed_by = NULL, claimed_until = NULL, updated_at = app.pw_now()
   WHERE change_id = p_change AND claimed_by = session_user RETURNING * INTO s;
  IF s.change_id IS NULL THEN
    RETURN app.refuse(p_act, k, 'change', p_change::text, 'PW422', format('C-%s is not yours to release.', p_change));
  END IF;
  RETURN app.done(p_act, k, 'change', p_change, s.version, format('C-%s is free.', p_change));
END $$;
RESET ROLE;
