-- What a person may do: one query per act. The client-made id makes a retry harmless; the database decides.

-- name: open_session
-- The id of the act is the id of the session.
SELECT * FROM act.open_session(%(act)s, %(kind)s, %(client)s);

-- name: beat_session
-- false: somebody ended the session.
SELECT act.beat_session(%(session)s) AS alive;

-- name: close_session
SELECT act.close_session(%(session)s) AS closed;

-- name: end_session
-- Of one's own, or by an administrator.
SELECT * FROM act.end_session(%(act)s, %(session)s::uuid, %(user)s::text);

-- name: decide_change
SELECT * FROM act.decide_change(%(act)s, %(change)s, %(version)s, %(verdict)s, %(note)s);

-- name: undo_verdict
SELECT * FROM act.undo_verdict(%(act)s, %(change)s, %(version)s);

-- name: set_severity
SELECT * FROM act.set_severity(%(act)s, %(change)s, %(version)s, %(severity)s, %(reason)s);

-- name: snooze_change
SELECT * FROM act.snooze_change(%(act)s, %(change)s, %(version)s, %(until)s);

-- name: take_change
SELECT * FROM act.take_change(%(act)s, %(change)s, %(minutes)s);

-- name: release_change
SELECT * FROM act.release_change(%(act)s, %(change)s);

-- name: create_draft
SELECT * FROM act.create_draft(%(act)s, %(title)s, %(subject)s, %(text)s, %(html)s, %(changes)s::bigint[], %(evidence)s::jsonb, %(segment)s);

-- name: revise_draft
SELECT * FROM act.revise_draft(%(act)s, %(draft)s, %(version)s, %(subject)s, %(text)s, %(html)s, %(title)s);

-- name: close_draft
SELECT * FROM act.close_draft(%(act)s, %(draft)s, %(version)s);

-- name: submit_draft
SELECT * FROM act.submit_draft(%(act)s, %(draft)s, %(version)s, %(segment)s);

-- name: approve_request
SELECT * FROM act.approve_request(%(act)s, %(request)s, %(version)s, %(content_hash)s, %(count)s);

-- name: return_request
SELECT * FROM act.return_request(%(act)s, %(request)s, %(version)s, %(reason)s);

-- name: withdraw_publication
SELECT * FROM act.withdraw_publication(%(act)s, %(publication)s, %(version)s);

-- name: pause_publication
SELECT * FROM act.pause_publication(%(act)s, %(publication)s, %(reason)s);

-- name: resume_publication
SELECT * FROM act.resume_publication(%(act)s, %(publication)s, %(version)s);

-- name: stop_publication
SELECT * FROM act.stop_publication(%(act)s, %(publication)s);

-- name: freeze_system
SELECT * FROM act.freeze_system(%(act)s, %(reason)s);

-- name: thaw_system
SELECT * FROM act.thaw_system(%(act)s);

-- name: request_visit
SELECT * FROM act.request_visit(%(act)s, %(platform)s, %(document)s);

-- name: pause_document
-- No reason resumes.
SELECT * FROM act.pause_document(%(act)s, %(platform)s, %(document)s, %(reason)s);

-- name: accept_capture
SELECT * FROM act.accept_capture(%(act)s, %(capture)s);

-- name: request_trial
SELECT * FROM act.request_trial(%(act)s, %(platform)s, %(document)s);

-- name: request_reextract
SELECT * FROM act.request_reextract(%(act)s, %(platform)s, %(document)s);

-- name: request_preview
SELECT * FROM act.request_preview(%(act)s, %(platform)s, %(document)s, %(rule)s::jsonb);

-- name: ack_alert
SELECT * FROM act.ack_alert(%(act)s, %(alert)s);

-- name: user_add
SELECT * FROM act.user_add(%(act)s, %(name)s, %(role)s, %(verifier)s, %(mail)s, %(os_user)s, %(platforms)s::text[], %(one_time)s);

-- name: user_role
SELECT * FROM act.user_role(%(act)s, %(name)s, %(role)s);

-- name: user_disable
SELECT * FROM act.user_disable(%(act)s, %(name)s);

-- name: user_password
SELECT * FROM act.user_password(%(act)s, %(verifier)s);
