-- Acts of editors and approvers on drafts and approval requests.
SET LOCAL ROLE pw_owner;

CREATE FUNCTION act.create_draft(p_act uuid, p_title text, p_subject text, p_text text, p_html text,
  p_changes bigint[], p_evidence jsonb DEFAULT '[]', p_segment text DEFAULT NULL)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- p_evidence: [{"change": 12, "passage": 0, "side": "+", "quote": "..."}]; each quote must stand in the stored passage.
DECLARE r act.result; k constant text := 'draft.create'; made bigint; bad bigint; seg integer;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'draft', '');
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT c INTO bad FROM unnest(coalesce(p_changes, '{}')) c
   WHERE NOT EXISTS (SELECT FROM app.change_states s WHERE s.change_id = c AND s.verdict = 'accepted') LIMIT 1;
  IF bad IS NOT NULL THEN
    RETURN app.refuse(p_act, k, 'draft', '', 'PW422', format('C-%s is not accepted; guidance rests on accepted changes.', bad),
                      'Accept it first, or leave it out.');
  END IF;
  SELECT (e ->> 'change')::bigint INTO bad FROM jsonb_array_elements(p_evidence) e
   WHERE NOT (e ->> 'change')::bigint = ANY (coalesce(p_changes, '{}')) OR NOT EXISTS (
     SELECT FROM app.policy_changes c WHERE c.id = (e ->> 'change')::bigint
       AND position(e ->> 'quote' IN coalesce(c.passages -> (e ->> 'passage')::integer
           ->> CASE e ->> 'side' WHEN '-' THEN 'before' ELSE 'after' END, '')) > 0) LIMIT 1;
  IF bad IS NOT NULL THEN
    RETURN app.refuse(p_act, k, 'draft', '', 'PW422', format('A quote does not stand in C-%s.', bad), 'Quote the stored text word for word.');
  END IF;
  IF p_segment IS NOT NULL THEN
    SELECT id INTO seg FROM app.member_segments WHERE key = p_segment AND current;
    IF seg IS NULL THEN
      RETURN app.refuse(p_act, k, 'draft', '', 'PW422', format('There is no segment "%s".', p_segment), 'See: policywatch members segments');
    END IF;
  END IF;
  INSERT INTO app.guidance_drafts (title, revision, segment_id) VALUES (p_title, 1, seg) RETURNING id INTO made;
  INSERT INTO app.draft_revisions (draft_id, number, subject, body_text, body_html, content_hash)
  VALUES (made, 1, p_subject, p_text, coalesce(p_html, ''), '\x');
  INSERT INTO app.draft_evidence (draft_id, change_id, passage, side, quote)
  SELECT made, (e ->> 'change')::bigint, (e ->> 'passage')::integer, e ->> 'side', e ->> 'quote' FROM jsonb_array_elements(p_evidence) e
  ON CONFLICT DO NOTHING;
  INSERT INTO app.draft_evidence (draft_id, change_id, passage)
  SELECT made, c, -1 FROM unnest(coalesce(p_changes, '{}')) c
   WHERE NOT EXISTS (SELECT FROM app.draft_evidence e WHERE e.draft_id = made AND e.change_id = c)
  ON CONFLICT DO NOTHING;
  RETURN app.done(p_act, k, 'draft', made, 1, format('G-%s is open.', made), NULL,
                  jsonb_build_object('title', p_title, 'changes', p_changes), made::text);
END $$;

CREATE FUNCTION act.revise_draft(p_act uuid, p_draft bigint, p_version integer, p_subject text, p_text text, p_html text,
  p_title text DEFAULT NULL)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Any edit voids a pending or given approval; a publication in grace is withdrawn with it.
DECLARE r act.result; k constant text := 'draft.revise'; d app.guidance_drafts; p app.guidance_publications; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'draft', p_draft::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO d FROM app.guidance_drafts WHERE id = p_draft FOR UPDATE;
  IF d.id IS NULL OR d.state = 'closed' THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW422', format('G-%s is not there or closed.', p_draft), 'See: policywatch drafts list');
  END IF;
  IF d.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW409', format('G-%s moved on since you read it (now version %s).', p_draft, d.version),
                      'Your text was not stored; read the newest and edit again.', d.version);
  END IF;
  IF d.state = 'approved' THEN
    SELECT * INTO p FROM app.guidance_publications WHERE draft_id = p_draft AND state = 'grace' FOR UPDATE;
    IF p.id IS NULL THEN
      RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW422', format('G-%s is on its way; its text is fixed.', p_draft), 'Write a new draft.', d.version);
    END IF;
    PERFORM app.withdraw(p.id);
  END IF;
  UPDATE app.approval_requests SET state = 'voided', decided_at = app.pw_now(), reason = 'edited by ' || session_user, version = version + 1
   WHERE draft_id = p_draft AND state = 'pending';
  n := d.revision + 1;
  UPDATE app.guidance_drafts SET state = 'open' WHERE id = p_draft AND state <> 'open';
  INSERT INTO app.draft_revisions (draft_id, number, subject, body_text, body_html, content_hash)
  VALUES (p_draft, n, p_subject, p_text, coalesce(p_html, ''), '\x');
  UPDATE app.guidance_drafts SET revision = n, state = 'open', title = coalesce(p_title, title), version = version + 1,
         updated_at = app.pw_now() WHERE id = p_draft;
  RETURN app.done(p_act, k, 'draft', p_draft, d.version + 1, format('G-%s is at revision %s.', p_draft, n),
                  jsonb_build_object('state', d.state, 'revision', d.revision), jsonb_build_object('state', 'open', 'revision', n));
END $$;

CREATE FUNCTION act.close_draft(p_act uuid, p_draft bigint, p_version integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'draft.close'; d app.guidance_drafts;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'draft', p_draft::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO d FROM app.guidance_drafts WHERE id = p_draft FOR UPDATE;
  IF d.id IS NULL OR d.state <> 'open' THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW422', format('G-%s is not open.', p_draft), '', d.version);
  END IF;
  IF d.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW409', format('G-%s moved on since you read it.', p_draft), 'Read it again.', d.version);
  END IF;
  UPDATE app.guidance_drafts SET state = 'closed', version = version + 1, updated_at = app.pw_now() WHERE id = p_draft;
  RETURN app.done(p_act, k, 'draft', p_draft, d.version + 1, format('G-%s is closed.', p_draft));
END $$;

CREATE FUNCTION act.submit_draft(p_act uuid, p_draft bigint, p_version integer, p_segment text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- The daemon counts the audience afterwards (request count_audience): nobody at a desk sees members.
DECLARE r act.result; k constant text := 'draft.submit'; d app.guidance_drafts; rev app.draft_revisions; seg app.member_segments; made bigint; n integer;
BEGIN
  r := app.begin_act(p_act, k, 'editor', 'draft', p_draft::text);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT * INTO d FROM app.guidance_drafts WHERE id = p_draft FOR UPDATE;
  IF d.id IS NULL OR d.state <> 'open' THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW422', format('G-%s is %s; only an open draft is submitted.', p_draft, coalesce(d.state, 'not there')), '', d.version);
  END IF;
  IF d.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW409', format('G-%s moved on since you read it (now version %s).', p_draft, d.version), 'Read the newest and submit again.', d.version);
  END IF;
  SELECT * INTO seg FROM app.member_segments WHERE key = p_segment AND current;
  IF seg.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'draft', p_draft::text, 'PW422', format('There is no segment "%s".', p_segment), 'See: policywatch members segments', d.version);
  END IF;
  SELECT * INTO rev FROM app.draft_revisions WHERE draft_id = p_draft AND number = d.revision;
  UPDATE app.guidance_drafts SET state = 'submitted', segment_id = seg.id, version = version + 1, updated_at = app.pw_now() WHERE id = p_draft;
  INSERT INTO app.approval_requests (draft_id, revision_id, content_hash, segment_id, segment_hash, approvals_needed, expires_at)
  VALUES (p_draft, rev.id, rev.content_hash, seg.id, seg.definition_hash,
          app.approvals_for(p_draft),
          app.pw_now() + (SELECT (value #>> '{}')::interval FROM app.system_config WHERE key = 'approval_expiry'))
  RETURNING id INTO made;
  INSERT INTO app.requests (kind, arguments) VALUES ('count_audience', jsonb_build_object('approval', made, 'segment', seg.key));
  PERFORM app.hint('request', made, 1);
  PERFORM app.hint('draft', p_draft, d.version + 1);
  PERFORM app.write_audit(k, 'draft', p_draft::text, 'done', NULL, NULL, jsonb_build_object('approval', made));
  n := app.approvals_for(p_draft);
  RETURN app.done(p_act, k, 'approval', made, 1,
                  format(CASE WHEN n = 1 THEN 'A-%s asks a second person for G-%s.' ELSE 'A-%s asks %3$s persons for G-%2$s.' END, made, p_draft, n), NULL,
                  jsonb_build_object('draft', p_draft, 'segment', p_segment, 'content_hash', encode(rev.content_hash, 'hex')));
END $$;

CREATE FUNCTION act.approve_request(p_act uuid, p_request bigint, p_version integer, p_content_hash bytea, p_count integer)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
-- Holds for exactly the text (hash), segment definition and count that were shown.
DECLARE r act.result; k constant text := 'approval.approve'; q app.approval_requests; d app.guidance_drafts; given integer; pub bigint;
        grace interval; later timestamptz; ref constant text := p_request::text;
BEGIN
  r := app.begin_act(p_act, k, 'approver', 'approval', ref);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  SELECT x.* INTO d FROM app.guidance_drafts x JOIN app.approval_requests y ON y.draft_id = x.id WHERE y.id = p_request FOR UPDATE OF x;
  SELECT * INTO q FROM app.approval_requests WHERE id = p_request FOR UPDATE;
  IF q.id IS NULL THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', format('There is no approval request A-%s.', p_request), 'See: policywatch approvals list');
  END IF;
  IF session_user = d.author OR session_user = q.requested_by
     OR EXISTS (SELECT FROM app.draft_revisions e WHERE e.draft_id = d.id AND e.editor = session_user) THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW403', format('You wrote, edited or submitted G-%s; a second person must approve it.', d.id),
                      'Ask another person with the role approver.', q.version);
  END IF;
  IF q.state <> 'pending' OR q.expires_at <= app.pw_now() THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', format('A-%s is %s.', p_request, CASE WHEN q.state = 'pending' THEN 'expired' ELSE q.state END),
                      'Ask the author to submit it again.', q.version);
  END IF;
  IF q.recipient_count IS NULL THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', coalesce('The audience could not be counted: ' || q.count_fault, 'The audience is not counted yet.'),
                      'The daemon counts it; see: policywatch status', q.version);
  END IF;
  IF q.version IS DISTINCT FROM p_version OR q.content_hash IS DISTINCT FROM p_content_hash OR q.recipient_count IS DISTINCT FROM p_count THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW409', format('A-%s is not what you looked at: text, segment or count differ.', p_request),
                      format('Read it again; it goes to %s recipients.', q.recipient_count), q.version);
  END IF;
  IF NOT EXISTS (SELECT FROM app.member_segments s JOIN app.member_segments n ON n.key = s.key AND n.current
                 WHERE s.id = q.segment_id AND n.definition_hash = q.segment_hash) THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW409', 'The segment was defined anew since the draft was submitted.', 'Ask the author to submit it again.', q.version);
  END IF;
  IF EXISTS (SELECT FROM app.approval_decisions WHERE request_id = p_request AND actor = session_user) THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', format('You decided A-%s already.', p_request), 'Another person must say yes too.', q.version);
  END IF;
  INSERT INTO app.approval_decisions (request_id, decision, content_hash, count_seen, act) VALUES (p_request, 'approve', p_content_hash, p_count, p_act);
  SELECT count(*) INTO given FROM app.approval_decisions WHERE request_id = p_request AND decision = 'approve';
  IF given < q.approvals_needed THEN
    UPDATE app.approval_requests SET version = version + 1 WHERE id = p_request;
    RETURN app.done(p_act, k, 'approval', p_request, q.version + 1, format('A-%s has %s of %s approvals.', p_request, given, q.approvals_needed));
  END IF;
  UPDATE app.approval_requests SET state = 'approved', decided_at = app.pw_now(), version = version + 1 WHERE id = p_request;
  UPDATE app.guidance_drafts SET state = 'approved', version = version + 1, updated_at = app.pw_now() WHERE id = d.id;
  SELECT (value #>> '{}')::interval INTO grace FROM app.system_config WHERE key = 'grace_period';
  later := app.pw_now();
  INSERT INTO app.guidance_publications (draft_id, revision_id, request_id, content_hash, segment_id, approved_count, approved_at, release_at, lapse_at)
  VALUES (d.id, q.revision_id, q.id, q.content_hash, q.segment_id, q.recipient_count, later, later + grace,
          later + grace + (SELECT (value #>> '{}')::interval FROM app.system_config WHERE key = 'release_window'))
  RETURNING id INTO pub;
  PERFORM app.hint('publication', pub, 1);
  PERFORM app.hint('draft', d.id, d.version + 1);
  PERFORM app.write_audit('publication.create', 'publication', pub::text, 'done', NULL, NULL,
    jsonb_build_object('approval', p_request, 'release_at', later + grace, 'count', q.recipient_count));
  r := app.done(p_act, k, 'approval', p_request, q.version + 1, format('G-%s is approved; P-%s goes out after the grace period.', d.id, pub), NULL,
                jsonb_build_object('publication', pub, 'content_hash', encode(p_content_hash, 'hex'), 'count', p_count));
  r.id := pub;
  UPDATE app.acts SET result = to_jsonb(r) WHERE id = p_act;
  RETURN r;
END $$;

CREATE FUNCTION act.return_request(p_act uuid, p_request bigint, p_version integer, p_reason text)
RETURNS act.result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
DECLARE r act.result; k constant text := 'approval.return'; q app.approval_requests; ref constant text := p_request::text;
BEGIN
  r := app.begin_act(p_act, k, 'approver', 'approval', ref);
  IF r.ok IS NOT NULL THEN RETURN r; END IF;
  IF coalesce(length(btrim(p_reason)), 0) = 0 THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', 'A return needs a reason.', 'Say what the author should change.');
  END IF;
  PERFORM FROM app.guidance_drafts x JOIN app.approval_requests y ON y.draft_id = x.id WHERE y.id = p_request FOR UPDATE OF x;
  SELECT * INTO q FROM app.approval_requests WHERE id = p_request FOR UPDATE;
  IF q.id IS NULL OR q.state <> 'pending' THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', format('A-%s is not waiting.', p_request), '', q.version);
  END IF;
  IF q.version IS DISTINCT FROM p_version THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW409', format('A-%s moved on since you read it.', p_request), 'Read it again.', q.version);
  END IF;
  IF EXISTS (SELECT FROM app.approval_decisions WHERE request_id = p_request AND actor = session_user) THEN
    RETURN app.refuse(p_act, k, 'approval', ref, 'PW422', format('You decided A-%s already.', p_request), '', q.version);
  END IF;
  INSERT INTO app.approval_decisions (request_id, decision, content_hash, reason, act) VALUES (p_request, 'return', q.content_hash, p_reason, p_act);
  UPDATE app.approval_requests SET state = 'returned', decided_at = app.pw_now(), reason = p_reason, version = version + 1 WHERE id = p_request;
  UPDATE app.guidance_drafts SET state = 'open', version = version + 1, updated_at = app.pw_now() WHERE id = q.draft_id;
  PERFORM app.hint('draft', q.draft_id, 0);
  RETURN app.done(p_act, k, 'approval', p_request, q.version + 1, format('A-%s went back to its author.', p_request), NULL,
                  jsonb_build_object('reason', p_reason));
END $$;
RESET ROLE;
