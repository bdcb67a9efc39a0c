-- What the daemon reads and writes on the way from an approved draft to a delivery event.

-- name: uncounted_audiences
-- Pending approval requests that nobody counted; the request row may have expired, the question has not.
SELECT q.id AS approval, s.key, s.name, s.version, s.criteria
  FROM app.approval_requests q JOIN app.member_segments s ON s.id = q.segment_id
 WHERE q.state = 'pending' AND q.recipient_count IS NULL AND q.count_fault IS NULL
   AND q.expires_at > (SELECT app.pw_now())
 ORDER BY q.id LIMIT 100;

-- name: record_audience
-- Once per approval request: the function refuses a second count.
SELECT app.record_audience(%(approval)s::bigint, %(count)s::integer, %(suppressed)s::integer, %(fault)s::text) AS recorded;

-- name: take_count_request
-- The row that asked for the count is served and ended in the transaction that records it.
UPDATE app.requests SET state = 'serving', owner = %(worker)s, lease_until = app.pw_now() + interval '1 minute',
       version = version + 1
 WHERE kind = 'count_audience' AND state = 'waiting' AND (arguments ->> 'approval')::bigint = %(approval)s::bigint;

-- name: end_count_request
-- See take_count_request.
UPDATE app.requests SET state = CASE WHEN %(fault)s::text IS NULL THEN 'done' ELSE 'failed' END, lease_until = NULL,
       result = jsonb_build_object('count', %(count)s::integer, 'suppressed', %(suppressed)s::integer, 'fault', %(fault)s::text),
       version = version + 1, ended_at = app.pw_now()
 WHERE kind = 'count_audience' AND state = 'serving' AND owner = %(worker)s
   AND (arguments ->> 'approval')::bigint = %(approval)s::bigint;

-- name: suppressed_among
-- Which of these keyed hashes are never to be mailed.
SELECT recipient_hash FROM app.suppressions WHERE removed_at IS NULL AND recipient_hash = ANY (%(hashes)s::bytea[]);

-- name: due_releases
-- Publications whose grace is over, and those whose release was cut off before the recipients were frozen.
SELECT p.id, p.lapse_at < (SELECT app.pw_now()) AND p.state = 'grace' AS too_late, s.key, s.name, s.version, s.criteria
  FROM app.guidance_publications p JOIN app.member_segments s ON s.id = p.segment_id
 WHERE ((p.state = 'grace' AND p.release_at <= (SELECT app.pw_now())) OR (p.state = 'releasing' AND p.frozen_count IS NULL))
   AND (SELECT value FROM app.system_config WHERE key = 'frozen') = 'false'::jsonb
 ORDER BY p.release_at, p.id LIMIT 20;

-- name: next_release
-- Seconds until the next grace period is over; NULL when nothing waits. What is held beyond its time is not next.
SELECT extract(epoch FROM min(release_at) - app.pw_now())::double precision AS seconds
  FROM app.guidance_publications WHERE state = 'grace' AND release_at > (SELECT app.pw_now());

-- name: release_publication
-- grace -> releasing or lapsed, by the database clock and under the exclusive lock; the state afterwards.
SELECT app.release_publication(%(publication)s::bigint) AS state;

-- name: recipients_missing
-- True while a released publication has no recipients yet; asked under the lock of release_publication.
SELECT state = 'releasing' AND frozen_count IS NULL AS missing
  FROM app.guidance_publications WHERE id = %(publication)s::bigint;

-- name: insert_recipients
-- Ledger rows; the unique key (publication, hash) is what makes a second row impossible.
INSERT INTO app.publication_recipients (publication_id, key_version, recipient_hash, address, domain_hash, state)
SELECT %(publication)s::bigint, %(key_version)s::integer, d.hash, d.address, d.domain_hash,
       CASE WHEN EXISTS (SELECT FROM app.suppressions x WHERE x.removed_at IS NULL AND x.recipient_hash = d.hash)
            THEN 'suppressed' ELSE 'queued' END
  FROM unnest(%(hashes)s::bytea[], %(addresses)s::bytea[], %(domains)s::bytea[]) AS d (hash, address, domain_hash);

-- name: note_suppressed
-- An event for each recipient that was suppressed at the freeze.
INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind)
SELECT publication_id, id, recipient_hash, 'suppressed' FROM app.publication_recipients
 WHERE publication_id = %(publication)s::bigint AND state = 'suppressed';

-- name: recipients_frozen
-- Counts the rows; growth beyond the limit pauses. The state afterwards.
SELECT app.recipients_frozen(%(publication)s::bigint) AS state;

-- name: sendable
-- Publications that have a recipient to be mailed now.
SELECT p.id FROM app.guidance_publications p
 WHERE p.state = 'releasing' AND p.frozen_count IS NOT NULL
   AND (SELECT value FROM app.system_config WHERE key = 'frozen') = 'false'::jsonb
   AND EXISTS (SELECT FROM app.publication_recipients r WHERE r.publication_id = p.id
                AND r.state IN ('queued', 'deferred') AND r.next_at <= (SELECT app.pw_now()))
 ORDER BY p.released_at, p.id LIMIT 10;

-- name: letter
-- The approved wording, and the one date that every mail of the publication states.
SELECT p.id, p.released_at, r.number, r.subject, r.body_text, r.body_html
  FROM app.guidance_publications p JOIN app.draft_revisions r ON r.id = p.revision_id
 WHERE p.id = %(publication)s::bigint;

-- name: share_publication
-- Stop and take-back hold it exclusively; the publication's row is read in the statement after this one.
SELECT app.share_publication(%(publication)s::bigint);

-- name: may_send
-- Read under the shared lock. The row lock lets a freeze commit only before or after a marking, never within.
SELECT c.value = 'false'::jsonb AND (SELECT p.state = 'releasing' AND p.frozen_count IS NOT NULL
          FROM app.guidance_publications p WHERE p.id = %(publication)s::bigint) AS may
  FROM app.system_config c WHERE c.key = 'frozen' FOR SHARE OF c;

-- name: claim_recipients
-- Due rows become ours; whoever was suppressed since the freeze is left out here, at the last moment.
WITH picked AS (
  SELECT r.id, EXISTS (SELECT FROM app.suppressions x WHERE x.removed_at IS NULL AND x.recipient_hash = r.recipient_hash) AS out
    FROM app.publication_recipients r
   WHERE r.publication_id = %(publication)s::bigint AND r.state IN ('queued', 'deferred') AND r.next_at <= (SELECT app.pw_now())
   ORDER BY r.next_at, r.id LIMIT %(most)s::integer FOR UPDATE OF r SKIP LOCKED),
taken AS (
  UPDATE app.publication_recipients r SET state = CASE WHEN k.out THEN 'suppressed' ELSE 'claimed' END,
         owner = %(worker)s, claim = %(claim)s::uuid, lease_until = app.pw_now() + %(lease)s::interval
    FROM picked k WHERE k.id = r.id
  RETURNING r.id, r.publication_id, r.recipient_hash, r.address, r.state, r.tries),
noted AS (
  INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind)
  SELECT publication_id, id, recipient_hash, 'suppressed' FROM taken WHERE state = 'suppressed')
SELECT id, recipient_hash, address, state, tries FROM taken ORDER BY id;

-- name: mark_sending
-- Committed before a mail is handed over: what is not marked cannot have left.
UPDATE app.publication_recipients r SET state = 'sending', sending_at = app.pw_now(), tries = r.tries + 1,
       first_try_at = coalesce(r.first_try_at, app.pw_now()), lease_until = app.pw_now() + %(lease)s::interval,
       message_id = d.message_id
  FROM unnest(%(ids)s::bigint[], %(message_ids)s::text[]) AS d (id, message_id)
 WHERE r.id = d.id AND r.claim = %(claim)s::uuid AND r.state = 'claimed';

-- name: settle
-- Answers of the relay, each by its claim: a row that became uncertain meanwhile takes the late answer of that claim.
-- wait: seconds until the next try. counted false: the answer was not about the recipient.
WITH answers AS (
  SELECT * FROM unnest(%(ids)s::bigint[], %(claims)s::uuid[], %(states)s::text[], %(codes)s::text[], %(texts)s::text[],
                       %(waits)s::double precision[], %(counted)s::boolean[]) AS d (id, claim, state, code, text, wait, counted)),
settled AS (
  UPDATE app.publication_recipients r SET
         state = CASE WHEN d.state <> 'deferred' THEN d.state
                      WHEN r.first_try_at < (SELECT app.pw_now()) - interval '48 hours' THEN 'failed'
                      WHEN r.state = 'uncertain' THEN 'queued' ELSE 'deferred' END,
         sent_at = CASE WHEN d.state = 'sent' THEN app.pw_now() END,
         next_at = app.pw_now() + make_interval(secs => d.wait),
         tries = CASE WHEN d.counted THEN r.tries ELSE greatest(r.tries - 1, 0) END,
         owner = CASE WHEN d.state = 'uncertain' THEN r.owner END,
         claim = CASE WHEN d.state IN ('sent', 'failed', 'uncertain') THEN r.claim END,
         lease_until = NULL, last_code = d.code, last_text = d.text
    FROM answers d
   WHERE r.id = d.id AND r.claim = d.claim AND (r.state = 'sending' OR r.state = 'uncertain' AND d.state <> 'uncertain')
  RETURNING r.id, r.publication_id, r.recipient_hash, r.state, d.code, d.text),
noted AS (
  INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind, code, detail)
  SELECT publication_id, id, recipient_hash, state, code, text FROM settled WHERE state <> 'queued')
SELECT publication_id, state, count(*)::integer AS count FROM settled GROUP BY 1, 2;

-- name: cancel_stopped
-- A refusal that comes back after a stop: the stop could not see the row as open and cancels it here.
WITH cut AS (
  UPDATE app.publication_recipients r SET state = 'cancelled' FROM app.guidance_publications p
   WHERE p.id = r.publication_id AND p.state = 'stopped' AND r.state IN ('queued', 'deferred') AND r.id = ANY (%(ids)s::bigint[])
  RETURNING r.id, r.publication_id, r.recipient_hash)
INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind)
SELECT publication_id, id, recipient_hash, 'cancelled' FROM cut;

-- name: return_claim
-- Rows of a marking whose commit was not answered and that were therefore never handed to a connection.
UPDATE app.publication_recipients SET state = 'queued', owner = NULL, claim = NULL, lease_until = NULL, tries = greatest(tries - 1, 0)
 WHERE claim = %(claim)s::uuid AND state = 'sending';

-- name: pause_publication
-- By the daemon, with the reason that a person reads.
SELECT app.pause_by_daemon(%(publication)s::bigint, %(reason)s::text) AS paused;

-- name: finishable
-- Publications of which no recipient is open any more.
SELECT g.id FROM app.guidance_publications g
 WHERE g.state = 'releasing' AND g.frozen_count IS NOT NULL AND NOT EXISTS (
   SELECT FROM app.publication_recipients r WHERE r.publication_id = g.id AND r.state IN ('queued', 'claimed', 'sending', 'deferred'))
 ORDER BY g.id;

-- name: finish_publication
-- releasing -> sent; checks once more that nothing is open.
SELECT app.finish_publication(%(publication)s::bigint) AS finished;

-- name: holders
-- Who holds rows, and where that process is or was.
SELECT r.owner, w.host, w.boot_id, w.pid, w.stopped_at IS NOT NULL AS stopped, count(*)::integer AS count
  FROM app.publication_recipients r LEFT JOIN app.workers w ON w.id = r.owner
 WHERE r.state IN ('claimed', 'sending') GROUP BY 1, 2, 3, 4, 5;

-- name: resolve_by_journal
-- Rows of a dead daemon whose journal covers their claim: accepted ones were sent, ones never handed over wait again.
WITH known AS (
  UPDATE app.publication_recipients SET
         state = CASE WHEN id = ANY (%(accepted)s::bigint[]) THEN 'sent' ELSE 'queued' END,
         sent_at = CASE WHEN id = ANY (%(accepted)s::bigint[]) THEN app.pw_now() END,
         tries = CASE WHEN id = ANY (%(accepted)s::bigint[]) THEN tries ELSE greatest(tries - 1, 0) END,
         claim = CASE WHEN id = ANY (%(accepted)s::bigint[]) THEN claim END,
         owner = NULL, lease_until = NULL, last_text = 'known from the journal of a daemon that ended'
   WHERE state = 'sending' AND owner = %(owner)s AND claim = ANY (%(claims)s::uuid[])
     AND (id = ANY (%(accepted)s::bigint[]) OR NOT id = ANY (%(handed)s::bigint[]))
  RETURNING id, publication_id, recipient_hash, state, last_text),
noted AS (
  INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind, detail)
  SELECT publication_id, id, recipient_hash, 'sent', last_text FROM known WHERE state = 'sent')
SELECT id, state FROM known;

-- name: recover_claimed
-- Nothing of these left: they may be sent by somebody else. Of a stopped publication they are cancelled by the stop.
UPDATE app.publication_recipients SET state = 'queued', owner = NULL, claim = NULL, lease_until = NULL
 WHERE state = 'claimed' AND (owner = ANY (%(dead)s::text[]) OR lease_until <= (SELECT app.pw_now()) AND owner <> %(worker)s);

-- name: recover_sending
-- Handed over or not, nobody knows: never sent again by a machine. The claim stays for a late answer.
WITH lost AS (
  UPDATE app.publication_recipients SET state = 'uncertain', lease_until = NULL, last_code = NULL,
         last_text = 'the daemon ended before the answer of the relay was stored'
   WHERE state = 'sending' AND (owner = ANY (%(dead)s::text[]) OR lease_until <= (SELECT app.pw_now()) AND owner <> %(worker)s)
  RETURNING id, publication_id, recipient_hash, last_text),
noted AS (
  INSERT INTO app.delivery_events (publication_id, recipient_id, recipient_hash, kind, detail)
  SELECT publication_id, id, recipient_hash, 'uncertain', last_text FROM lost)
SELECT publication_id, count(*)::integer AS count FROM lost GROUP BY 1 ORDER BY 1;
