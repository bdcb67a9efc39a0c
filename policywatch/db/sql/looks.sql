-- What a visit must know beyond the last good capture: the past of a page, candidates, variants, alternations.

-- name: past_of
-- The lengths of a page's last good texts, newest first; a text that came again counts once.
SELECT t.length FROM (
  SELECT DISTINCT ON (c.text_sha256) c.id, coalesce((c.signals ->> 'length')::integer, x.raw_len) AS length
  FROM (SELECT * FROM app.captures a WHERE a.page_id = %(page)s AND a.text_sha256 IS NOT NULL
          AND (a.state = 'good' OR a.accepted_at IS NOT NULL) ORDER BY a.fence DESC LIMIT 200) c
  JOIN app.contents x ON x.sha256 = c.text_sha256
  ORDER BY c.text_sha256, c.id DESC) t
ORDER BY t.id DESC LIMIT 5;

-- name: neighbours_of
-- The reader hashes of the platform's other pages: their text under this address is no policy of this page.
SELECT DISTINCT c.signals ->> 'reader' AS reader
FROM app.document_pages g
JOIN app.policy_documents d ON d.id = g.document_id
JOIN app.policy_documents o ON o.platform_id = d.platform_id
JOIN app.document_pages n ON n.document_id = o.id AND n.id <> g.id AND n.state = 'active'
JOIN app.captures c ON c.id = n.good_capture
WHERE g.id = %(page)s AND c.signals ? 'reader';

-- name: neighbour_texts
-- The last good texts of the platform's other pages.
SELECT DISTINCT c.text_sha256
FROM app.document_pages g
JOIN app.policy_documents d ON d.id = g.document_id
JOIN app.policy_documents o ON o.platform_id = d.platform_id
JOIN app.document_pages n ON n.document_id = o.id AND n.id <> g.id AND n.state = 'active'
JOIN app.captures c ON c.id = n.good_capture
WHERE g.id = %(page)s AND c.text_sha256 IS NOT NULL LIMIT 200;

-- name: names_around
-- What the page's document is called, and what the platform's other documents are.
SELECT d.name AS own, coalesce((SELECT array_agg(o.name) FROM app.policy_documents o
                                WHERE o.platform_id = d.platform_id AND o.id <> d.id AND o.state <> 'archived'), '{}') AS names
FROM app.document_pages g JOIN app.policy_documents d ON d.id = g.document_id WHERE g.id = %(page)s;

-- name: candidate_of
-- The change that waits for another look at a document, with the snapshot that it leads to; the belief is older.
SELECT s.change_id, s.version, s.status, s.verdict, s.looks, s.severity, s.reverts, c.before_snapshot AS before_id, coalesce(a.summary, '') AS summary,
       s.second_look_at <= app.pw_now() AS due,
       n.id, n.document_id, n.fetched_at, n.source, n.text_sha256, n.reader_hash, n.link_hash, n.captures, n.origin
FROM app.change_states s
JOIN app.policy_changes c ON c.id = s.change_id AND c.detected_at = s.detected_at
JOIN app.policy_snapshots n ON n.id = c.after_snapshot AND n.fetched_at = c.after_at
LEFT JOIN LATERAL (SELECT x.summary FROM app.change_analyses x WHERE x.change_id = s.change_id ORDER BY x.version DESC LIMIT 1) a ON true
WHERE s.document_id = %(document)s AND s.second_look_at IS NOT NULL
ORDER BY s.change_id DESC LIMIT 1;

-- name: variants_of
-- Texts that the document is known to show by turns, and since when each has been seen without a break.
SELECT v.reader_hash, v.in_a_row, CASE WHEN v.in_a_row = 0 THEN interval '0' ELSE app.pw_now() - v.first_at END AS since
FROM app.document_variants v WHERE v.document_id = %(document)s;

-- name: settle_change
-- What a look said of a candidate. No row: a person decided in this very moment, and the visit is repeated.
UPDATE app.change_states SET status = %(status)s, looks = looks + 1, second_look_at = NULL,
  version = version + 1, updated_at = app.pw_now()
WHERE change_id = %(change)s AND status = %(was)s AND second_look_at IS NOT NULL
RETURNING version;

-- name: look_later
-- Nothing could be said; the version that people read stays unless the change moves to them.
UPDATE app.change_states SET status = %(status)s, looks = looks + %(looks)s, second_look_at = app.pw_now() + %(wait)s::interval,
  version = version + CASE WHEN status = %(status)s THEN 0 ELSE 1 END, updated_at = app.pw_now()
WHERE change_id = %(change)s AND status = %(was)s AND second_look_at IS NOT NULL
RETURNING version;

-- name: remember_variant
-- A text that was there once and went back.
INSERT INTO app.document_variants AS v (document_id, reader_hash, text_sha256, kind, in_a_row)
VALUES (%(document)s, %(reader_hash)s, %(text_sha256)s, 'flapping', 0)
ON CONFLICT (document_id, reader_hash) DO UPDATE SET last_at = app.pw_now(), times = v.times + 1, in_a_row = 0;

-- name: forget_variants
-- The one that is the policy now, or all of them where rules changed, and what is older than the newest five.
DELETE FROM app.document_variants v
WHERE v.document_id = %(document)s
  AND (%(all)s OR v.reader_hash = %(reader_hash)s
       OR v.reader_hash NOT IN (SELECT x.reader_hash FROM app.document_variants x WHERE x.document_id = %(document)s
                                ORDER BY x.last_at DESC, x.reader_hash LIMIT 5));

-- name: count_variants
-- The one that was seen has one more look in its row (its first_at is the row's beginning), the rows of others end.
UPDATE app.document_variants v SET
  first_at = CASE WHEN v.reader_hash = %(seen)s AND v.in_a_row = 0 THEN app.pw_now() ELSE v.first_at END,
  last_at = CASE WHEN v.reader_hash = %(seen)s THEN app.pw_now() ELSE v.last_at END,
  times = CASE WHEN v.reader_hash = %(seen)s THEN v.times + 1 ELSE v.times END,
  in_a_row = CASE WHEN v.reader_hash = %(seen)s THEN v.in_a_row + 1 ELSE 0 END
WHERE v.document_id = %(document)s AND (v.reader_hash = %(seen)s OR v.in_a_row > 0);

-- name: alternations_of
-- Earlier changes between the same two texts, in either direction, the oldest first, among a document's last fifty.
SELECT t.* FROM (
  SELECT s.change_id, s.version, s.noise, b.reader_hash = %(before)s AS same_way,
         s.detected_at > app.pw_now() - interval '7 days' AS recent
  FROM (SELECT x.*, x.status = 'noise' AS noise FROM app.change_states x WHERE x.document_id = %(document)s AND NOT x.historical
          AND x.status NOT IN ('second_look', 'undone') ORDER BY x.change_id DESC LIMIT 50) s
  JOIN app.policy_changes c ON c.id = s.change_id AND c.detected_at = s.detected_at
  JOIN app.policy_snapshots b ON b.id = c.before_snapshot AND b.fetched_at = c.before_at
  JOIN app.policy_snapshots a ON a.id = c.after_snapshot AND a.fetched_at = c.after_at
  WHERE (b.reader_hash = %(before)s AND a.reader_hash = %(after)s) OR (b.reader_hash = %(after)s AND a.reader_hash = %(before)s)
) t ORDER BY t.change_id;

-- name: count_alternation
-- The two texts of a change came by turns once more.
UPDATE app.change_states SET alternates = alternates + 1, updated_at = app.pw_now() WHERE change_id = %(change)s RETURNING version;

-- name: end_trial
-- A good trial puts the rule in force; a failed one leaves the old one there. Not for a rule that was edited meanwhile.
UPDATE app.document_pages SET trial = CASE WHEN %(good)s THEN 'good' ELSE 'failed' END, trial_at = app.pw_now(),
  trial_result = %(result)s::jsonb,
  rule_id = CASE WHEN %(good)s THEN %(rule)s ELSE rule_id END,
  trial_rule_id = CASE WHEN %(good)s THEN NULL ELSE trial_rule_id END
WHERE id = %(page)s AND coalesce(trial_rule_id, rule_id) = %(rule)s;
