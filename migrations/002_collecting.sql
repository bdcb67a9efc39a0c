-- Collecting in depth: trials of rules, the ladder, quality and variants, second looks, archives followed live, digests.
SET ROLE pw_owner;

-- 1. Documents and pages ------------------------------------------------------------------------------
ALTER TABLE app.policy_documents
  ADD COLUMN robots_override jsonb,                        -- {by, reason}: a named person's decision, from the YAML
  ADD COLUMN blind_since timestamptz,                      -- some page without a good capture for two cadences
  ADD COLUMN archive_commit text,                          -- newest commit of its archive that was read
  ADD COLUMN archive_seen_at timestamptz,                  -- last good look into its archive
  ADD CHECK (robots_override IS NULL OR (robots_override ->> 'by' <> '' AND robots_override ->> 'reason' <> ''));
COMMENT ON COLUMN app.policy_documents.blind_since IS 'since when some page had no good capture for two cadences; NULL: none';
CREATE INDEX policy_documents_blind ON app.policy_documents (blind_since) WHERE blind_since IS NOT NULL;

ALTER TABLE app.document_pages
  ADD COLUMN credential text,                              -- name in platform_credentials, for pages that need a token
  ADD COLUMN step text NOT NULL DEFAULT 'none' CHECK (step IN ('none', 'http', 'browser', 'archive')),
  ADD COLUMN step_reason text,                             -- why not by a lower step, or not at all
  ADD COLUMN trial text NOT NULL DEFAULT 'waiting' CHECK (trial IN ('waiting', 'good', 'failed')),
  ADD COLUMN trial_rule_id integer REFERENCES app.extraction_rules,
  ADD COLUMN trial_at timestamptz,
  ADD COLUMN trial_result jsonb,
  ADD COLUMN robots text CHECK (robots IN ('allowed', 'refused', 'overridden', 'unknown')),
  ADD COLUMN failures integer NOT NULL DEFAULT 0,          -- looks in a row without a good capture
  ADD COLUMN suspects integer NOT NULL DEFAULT 0,          -- of these, suspect ones in a row
  ADD COLUMN suspect_capture bigint,                       -- the newest of them: what a person may accept
  ADD COLUMN blind_since timestamptz;
COMMENT ON COLUMN app.document_pages.step IS 'none http browser archive: the step of the ladder that read it last';
COMMENT ON COLUMN app.document_pages.trial IS 'waiting | good | failed: two fetches that agree make a rule valid';
COMMENT ON COLUMN app.document_pages.trial_rule_id IS 'an edited rule that waits for its trial; rule_id is in force until then';
COMMENT ON COLUMN app.document_pages.robots IS 'allowed refused overridden unknown: the last verdict of robots.txt';
CREATE INDEX document_pages_trial_rule ON app.document_pages (trial_rule_id) WHERE trial_rule_id IS NOT NULL;
UPDATE app.document_pages SET trial = 'good', step = 'http' WHERE good_capture IS NOT NULL;

ALTER TABLE app.hosts
  ADD COLUMN cause text,                                   -- why the breaker is open, or the host asked to wait
  ADD COLUMN robots_status integer,                        -- of the answer that `robots` came with; NULL: none came
  ADD COLUMN back_off interval;                            -- the last wait after 429 or 503 without Retry-After
COMMENT ON COLUMN app.hosts.open_until IS 'the breaker is open: no request before; then one probe';

-- 2. Captures -----------------------------------------------------------------------------------------
ALTER TABLE app.captures
  ADD COLUMN step text NOT NULL DEFAULT 'http' CHECK (step IN ('http', 'browser', 'archive')),
  ADD COLUMN egress text,                                  -- from which of our addresses, where known
  ADD COLUMN robots text CHECK (robots IN ('allowed', 'refused', 'overridden', 'unknown')),
  ADD COLUMN accepted_by text,                             -- a suspect capture that a person took for the new policy
  ADD COLUMN accepted_at timestamptz,
  ADD CHECK ((accepted_by IS NULL) = (accepted_at IS NULL));
COMMENT ON COLUMN app.captures.step IS 'http | browser | archive';
COMMENT ON COLUMN app.captures.robots IS 'allowed refused overridden unknown';

CREATE TABLE app.document_variants (
  document_id integer NOT NULL REFERENCES app.policy_documents,
  reader_hash bytea NOT NULL,
  text_sha256 bytea NOT NULL REFERENCES app.contents,
  kind        text NOT NULL CHECK (kind IN ('flapping', 'language')),
  first_at    timestamptz NOT NULL DEFAULT app.pw_now(),
  last_at     timestamptz NOT NULL DEFAULT app.pw_now(),
  times       integer NOT NULL DEFAULT 1,
  in_a_row    integer NOT NULL DEFAULT 1,                  -- looks: a variant that stays is a change after all
  PRIMARY KEY (document_id, reader_hash)
);
COMMENT ON TABLE app.document_variants IS 'Texts that a page shows by turns (A/B, region, language): known ones are no change.';
COMMENT ON COLUMN app.document_variants.kind IS 'flapping | language';
CREATE INDEX document_variants_text ON app.document_variants (text_sha256);

-- 3. Changes ------------------------------------------------------------------------------------------
ALTER TABLE app.change_states
  ADD COLUMN looks integer NOT NULL DEFAULT 1,             -- how many looks saw the new text
  ADD COLUMN reverts bigint REFERENCES app.change_states,  -- the change that this one takes back
  ADD COLUMN alternates integer NOT NULL DEFAULT 0;        -- how often its two texts have come by turns since
CREATE INDEX change_states_reverts ON app.change_states (reverts) WHERE reverts IS NOT NULL;

-- 4. Archives, digests, reminders, requests -----------------------------------------------------------
CREATE TABLE app.archives (
  repository    text PRIMARY KEY,
  owner         text,
  fence         bigint NOT NULL DEFAULT 0,
  lease_until   timestamptz,
  due_at        timestamptz NOT NULL DEFAULT app.pw_now(),
  head          text,                                      -- newest commit that was read whole
  failures      integer NOT NULL DEFAULT 0,
  cause         text,
  failing_since timestamptz,
  last_good_at  timestamptz,
  CHECK ((owner IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE app.archives IS 'Version repositories that are followed live, with lease, fence and health.';
CREATE INDEX archives_due ON app.archives (due_at);

CREATE TABLE app.digests (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  audience   text NOT NULL CHECK (audience IN ('operators', 'reviewers')),
  day        date NOT NULL,
  figures    jsonb NOT NULL,
  recipients integer NOT NULL DEFAULT 0,
  state      text NOT NULL DEFAULT 'sending' CHECK (state IN ('sending', 'sent', 'failed')),
  cause      text,
  at         timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (audience, day)
);
COMMENT ON TABLE app.digests IS 'One digest per audience and day; the row is there before the first mail.';
COMMENT ON COLUMN app.digests.audience IS 'operators | reviewers';
COMMENT ON COLUMN app.digests.state IS 'sending | sent | failed';

ALTER TABLE app.alerts
  ADD COLUMN remind_at timestamptz,                        -- next reminder while nobody acknowledged it
  ADD COLUMN reminders integer NOT NULL DEFAULT 0;
CREATE INDEX alerts_remind ON app.alerts (remind_at) WHERE closed_at IS NULL AND remind_at IS NOT NULL;

ALTER TABLE app.requests DROP CONSTRAINT requests_kind_check,
  ADD CONSTRAINT requests_kind_check CHECK (kind IN ('visit', 'count_audience', 'try_rule', 'render', 'test_mail',
    'preview_filter', 'reextract'));
COMMENT ON COLUMN app.requests.kind IS 'visit count_audience try_rule render test_mail preview_filter reextract';

-- 5. The daemon's rights ------------------------------------------------------------------------------
GRANT SELECT ON app.document_variants, app.archives, app.digests TO pw_daemon;
GRANT INSERT, UPDATE ON app.document_variants, app.archives, app.digests TO pw_daemon;
GRANT DELETE ON app.document_variants TO pw_daemon;
GRANT UPDATE (looks, reverts, alternates, same_as) ON app.change_states TO pw_daemon;
RESET ROLE;
