-- The whole contract between people and machine: tables, indexes, guards, first rows (roles: roles.sql).
--
-- Run by the migration runner in one transaction, as the role that administers the database. Views and
-- acts (schemas read and act) stand in api/*.sql and are applied after this file in the same command.
-- Session settings that the runner may set before: policywatch.admin_name (default 'admin'),
-- policywatch.timescale ('auto' | 'require' | 'off'), policywatch.without_pgcrypto ('on': a test's server that lacks it).

-- 1. Extensions, schema (the roles stand in roles.sql) ---------------------------------------------
DO $$ BEGIN
  IF current_setting('policywatch.without_pgcrypto', true) IS DISTINCT FROM 'on' THEN
    CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;
  END IF;
END $$;
DO $$
BEGIN  -- for metrics only, and only an administrator may create it
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') THEN
    CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'pg_stat_statements is left out: it needs an administrator';
END $$;
DO $$
-- CREATE EXTENSION timescaledb without preload ends the session and no block catches it: ask the loader first.
DECLARE
  wish   text := coalesce(nullif(current_setting('policywatch.timescale', true), ''), 'auto');
  usable boolean := EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
                    AND current_setting('timescaledb.disable_load', true) IS NOT NULL;
BEGIN
  IF wish = 'off' THEN RETURN; END IF;
  IF usable THEN
    CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;
  ELSIF wish = 'require' THEN
    RAISE EXCEPTION 'TimescaleDB is demanded (database.timescale: require) and this server does not offer it'
      USING HINT = 'Install it and add timescaledb to shared_preload_libraries, or set database.timescale: auto.',
            ERRCODE = 'feature_not_supported';
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS app;
ALTER SCHEMA app OWNER TO pw_owner;
-- The runner's own tables were made a moment ago by whoever runs this.
ALTER TABLE IF EXISTS app.schema_migrations OWNER TO pw_owner;
ALTER TABLE IF EXISTS app.api_files OWNER TO pw_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO pw_owner', current_database()); END $$;
GRANT USAGE ON SCHEMA app TO pw_daemon, pw_rolemaker;
SET LOCAL ROLE pw_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE pw_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- 2. Clock, hints, states ---------------------------------------------------------------------------
CREATE FUNCTION app.pw_now() RETURNS timestamptz LANGUAGE sql VOLATILE
AS $$ SELECT pg_catalog.clock_timestamp() $$;
COMMENT ON FUNCTION app.pw_now() IS
  'The only clock of leases, grace, retries, expiry. Tests and demo replace it; migrate verify says so.';

CREATE FUNCTION app.hint(kind text, id bigint, version integer) RETURNS void LANGUAGE sql VOLATILE
AS $$ SELECT pg_catalog.pg_notify('policywatch', kind || ':' || id || ':' || version) $$;
COMMENT ON FUNCTION app.hint IS 'A hint to look, never data: kind:id:version on the channel policywatch.';

CREATE TABLE app.transitions (
  machine text NOT NULL, from_state text NOT NULL, to_state text NOT NULL,
  PRIMARY KEY (machine, from_state, to_state)
);
COMMENT ON TABLE app.transitions IS 'Edges of every state machine; from_state '''' is the beginning.';
INSERT INTO app.transitions (machine, from_state, to_state)
SELECT m, f, unnest(string_to_array(t, ' ')) FROM (VALUES
  ('publication', '',           'grace'),
  ('publication', 'grace',      'releasing withdrawn lapsed'),
  ('publication', 'releasing',  'paused stopped sent'),
  ('publication', 'paused',     'releasing stopped'),
  ('approval',    '',           'pending'),
  ('approval',    'pending',    'approved returned expired voided'),
  ('approval',    'approved',   'voided'),
  ('draft',       '',           'open'),
  ('draft',       'open',       'submitted closed'),
  ('draft',       'submitted',  'open approved'),
  ('draft',       'approved',   'open closed'),
  ('change',      '',           'second_look unconfirmed queued noise historical'),
  ('change',      'second_look','unconfirmed queued undone'),
  ('change',      'unconfirmed','queued undone decided'),
  ('change',      'queued',     'decided undone'),
  ('change',      'decided',    'queued'),
  ('change',      'historical', 'queued'),
  ('recipient',   '',           'queued suppressed'),
  ('recipient',   'queued',     'claimed suppressed cancelled'),
  ('recipient',   'claimed',    'sending queued suppressed cancelled'),
  ('recipient',   'sending',    'sent deferred failed uncertain queued'),
  ('recipient',   'deferred',   'claimed failed suppressed cancelled'),
  ('recipient',   'uncertain',  'sent queued failed'),
  ('recipient',   'queued',     'uncertain'),               -- these three only after a restore
  ('recipient',   'claimed',    'uncertain'),
  ('recipient',   'deferred',   'uncertain'),
  ('request',     '',           'waiting'),
  ('request',     'waiting',    'serving expired refused'),
  ('request',     'serving',    'done failed waiting expired')
) AS v(m, f, t);

CREATE FUNCTION app.check_transition() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- TG_ARGV[0] is the machine, TG_ARGV[1] the column. The net below every act, whoever writes.
DECLARE
  old_state text := CASE WHEN TG_OP = 'INSERT' THEN '' ELSE to_jsonb(OLD) ->> TG_ARGV[1] END;
  new_state text := to_jsonb(NEW) ->> TG_ARGV[1];
BEGIN
  IF old_state IS DISTINCT FROM new_state AND NOT EXISTS (
      SELECT FROM app.transitions t
      WHERE t.machine = TG_ARGV[0] AND t.from_state = old_state AND t.to_state = new_state) THEN
    RAISE EXCEPTION '% cannot go from "%" to "%"', TG_ARGV[0], old_state, new_state
      USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION app.refuse_rewrite() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

-- 3. Core -------------------------------------------------------------------------------------------
CREATE TABLE app.platforms (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key        text NOT NULL UNIQUE CHECK (key ~ '^[a-z0-9][a-z0-9-]*$'),
  name       text NOT NULL,
  aliases    text[] NOT NULL DEFAULT '{}',
  position   integer NOT NULL DEFAULT 100,
  state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
  version    integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT app.pw_now(),
  updated_at timestamptz NOT NULL DEFAULT app.pw_now()
);
COMMENT ON TABLE app.platforms IS 'The monitored services; aliases join renamed ones (X was Twitter).';
COMMENT ON COLUMN app.platforms.state IS 'active | archived (left the YAML; never deleted)';

CREATE TABLE app.platform_credentials (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  platform_id integer NOT NULL REFERENCES app.platforms,
  name        text NOT NULL,
  secret      bytea NOT NULL,
  key_version integer NOT NULL DEFAULT 1,
  state       text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired')),
  set_by      text NOT NULL,
  set_at      timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (platform_id, name)
);
COMMENT ON TABLE app.platform_credentials IS 'API credentials, encrypted by pgcrypto under a key per row that the client derives.';
COMMENT ON COLUMN app.platform_credentials.state IS 'active | retired (removed: the value is gone)';

CREATE TABLE app.key_versions (
  version     integer PRIMARY KEY CHECK (version > 0),
  check_value bytea NOT NULL CHECK (octet_length(check_value) = 8),
  made_at     timestamptz NOT NULL DEFAULT app.pw_now(),
  made_by     text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE app.key_versions IS 'Versions of the master key, which is never here: a keyed hash of a constant tells the right key from a wrong one.';

CREATE TABLE app.key_rotations (
  id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  from_version integer NOT NULL REFERENCES app.key_versions,
  to_version   integer NOT NULL UNIQUE REFERENCES app.key_versions,
  done         integer NOT NULL DEFAULT 0,                 -- credentials under the new version so far
  started_at   timestamptz NOT NULL DEFAULT app.pw_now(),
  started_by   text NOT NULL DEFAULT session_user,
  ended_at     timestamptz,
  CHECK (to_version > from_version)
);
COMMENT ON TABLE app.key_rotations IS 'Re-encryption of credentials under a new master key: resumable, one at a time.';
CREATE INDEX key_rotations_from ON app.key_rotations (from_version);
CREATE UNIQUE INDEX key_rotations_open ON app.key_rotations ((true)) WHERE ended_at IS NULL;

CREATE TABLE app.policy_documents (
  id             integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  platform_id    integer NOT NULL REFERENCES app.platforms,
  key            text NOT NULL CHECK (key ~ '^[a-z0-9][a-z0-9-]*$'),
  name           text NOT NULL,
  language       text NOT NULL DEFAULT 'en',
  cadence        interval NOT NULL DEFAULT '12 hours' CHECK (cadence > interval '0'),
  state          text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'archived')),
  paused_reason  text,
  archive        jsonb,                                   -- {repository, path}: followed or imported
  due_at         timestamptz NOT NULL DEFAULT app.pw_now(),
  owner          text,                                    -- worker that holds the lease
  fence          bigint NOT NULL DEFAULT 0,
  lease_until    timestamptz,
  health         text NOT NULL DEFAULT 'never' CHECK (health IN
                   ('never', 'ok', 'late', 'degraded', 'blocked', 'moved', 'needs-rules', 'gone')),
  cause          text,                                    -- the last fault in one sentence
  failures       integer NOT NULL DEFAULT 0,
  failing_since  timestamptz,
  last_visit_at  timestamptz,
  last_good_at   timestamptz,
  last_change_at timestamptz,
  newest_snapshot bigint,                                 -- id in snapshot_keys, the base of the next comparison
  version        integer NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT app.pw_now(),
  updated_at     timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (platform_id, key),
  CHECK ((owner IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE app.policy_documents IS 'One policy of a platform, with its lease, fence and health.';
COMMENT ON COLUMN app.policy_documents.state IS 'active | paused | archived (left the YAML)';
COMMENT ON COLUMN app.policy_documents.health IS 'never ok late degraded blocked moved needs-rules gone; paused is state';
CREATE INDEX policy_documents_due ON app.policy_documents (due_at) WHERE state = 'active';
CREATE INDEX policy_documents_failing ON app.policy_documents (failing_since) WHERE failing_since IS NOT NULL;

CREATE TABLE app.extraction_rules (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  definition jsonb NOT NULL,
  author     text NOT NULL DEFAULT session_user,
  created_at timestamptz NOT NULL DEFAULT app.pw_now()
);
COMMENT ON TABLE app.extraction_rules IS 'Every rule ever loaded: old captures can be read again by the rule of their time.';
CREATE INDEX extraction_rules_definition ON app.extraction_rules USING gin (definition jsonb_path_ops);

CREATE TABLE app.document_pages (
  id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id   integer NOT NULL REFERENCES app.policy_documents,
  position      integer NOT NULL,
  url           text NOT NULL,
  render        text NOT NULL DEFAULT 'auto' CHECK (render IN ('never', 'auto', 'always')),
  headers       jsonb NOT NULL DEFAULT '{}',
  rule_id       integer NOT NULL REFERENCES app.extraction_rules,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'archived')),
  etag          text,                                     -- the server's own words of the last good capture
  last_modified text,
  good_capture  bigint,                                   -- captures.id of the last good one
  full_fetch_at timestamptz,                              -- last unconditional fetch
  health        text NOT NULL DEFAULT 'never' CHECK (health IN
                  ('never', 'ok', 'late', 'degraded', 'blocked', 'moved', 'needs-rules', 'gone')),
  cause         text,
  failing_since timestamptz,
  last_visit_at timestamptz,
  last_good_at  timestamptz,
  version       integer NOT NULL DEFAULT 1,
  UNIQUE (document_id, url)
);
COMMENT ON TABLE app.document_pages IS 'One address of a document, with its extraction rule and validators.';
COMMENT ON COLUMN app.document_pages.render IS 'never | auto | always';
COMMENT ON COLUMN app.document_pages.state IS 'active | archived';
COMMENT ON COLUMN app.document_pages.health IS 'as policy_documents.health';
CREATE INDEX document_pages_rule ON app.document_pages (rule_id);

CREATE TABLE app.hosts (
  host            text PRIMARY KEY,
  owner           text,
  lease_until     timestamptz,
  next_allowed_at timestamptz NOT NULL DEFAULT app.pw_now(),
  failures        integer NOT NULL DEFAULT 0,
  open_until      timestamptz,                            -- circuit breaker
  robots          text,
  robots_at       timestamptz,
  CHECK ((owner IS NULL) = (lease_until IS NULL))
);
COMMENT ON TABLE app.hosts IS 'One lane per host over all daemons: one request at a time, gap, back-off, breaker, robots.';

CREATE TABLE app.contents (
  sha256      bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
  codec       text NOT NULL DEFAULT 'plain' CHECK (codec IN ('plain', 'zstd')),
  base_sha256 bytea REFERENCES app.contents,
  depth       integer NOT NULL DEFAULT 0 CHECK (depth BETWEEN 0 AND 64),
  raw_len     integer NOT NULL CHECK (raw_len >= 0),
  payload     bytea NOT NULL,
  stored_at   timestamptz NOT NULL DEFAULT app.pw_now(),
  CHECK ((base_sha256 IS NULL) = (depth = 0))
);
ALTER TABLE app.contents ALTER COLUMN payload SET STORAGE EXTERNAL;
COMMENT ON TABLE app.contents IS 'Bytes stored once by their SHA-256; zstd, the previous version as dictionary.';
COMMENT ON COLUMN app.contents.codec IS 'plain | zstd';
CREATE INDEX contents_base ON app.contents (base_sha256) WHERE base_sha256 IS NOT NULL;

CREATE TABLE app.captures (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id integer NOT NULL REFERENCES app.policy_documents,
  page_id     integer NOT NULL REFERENCES app.document_pages,
  fence       bigint NOT NULL,
  at          timestamptz NOT NULL DEFAULT app.pw_now(),
  state       text NOT NULL CHECK (state IN ('good', 'unchanged', 'suspect', 'failed')),
  status      integer,
  headers     jsonb NOT NULL DEFAULT '{}',
  redirects   jsonb NOT NULL DEFAULT '[]',
  final_url   text,
  raw_sha256  bytea REFERENCES app.contents,
  text_sha256 bytea REFERENCES app.contents,
  rule_id     integer NOT NULL REFERENCES app.extraction_rules,
  conditional boolean NOT NULL DEFAULT false,             -- validators were sent
  quality     real,
  signals     jsonb NOT NULL DEFAULT '{}',
  cause       text,
  elapsed     interval,
  UNIQUE (page_id, fence),
  CHECK (state <> 'good' OR text_sha256 IS NOT NULL),
  CHECK (state NOT IN ('failed', 'suspect') OR cause IS NOT NULL)
);
COMMENT ON TABLE app.captures IS 'What came over the wire for a page; suspect ones are kept and never compared.';
COMMENT ON COLUMN app.captures.state IS 'good | unchanged (304 or same bytes) | suspect | failed';
CREATE INDEX captures_document ON app.captures (document_id, at DESC);
CREATE INDEX captures_raw ON app.captures (raw_sha256) WHERE raw_sha256 IS NOT NULL;
CREATE INDEX captures_text ON app.captures (text_sha256) WHERE text_sha256 IS NOT NULL;
CREATE INDEX captures_rule ON app.captures (rule_id);
CREATE INDEX captures_suspect ON app.captures (page_id, at DESC) WHERE state = 'suspect';

CREATE TABLE app.snapshot_keys (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id integer NOT NULL REFERENCES app.policy_documents,
  fetched_at  timestamptz NOT NULL,
  source_ref  text,                                       -- archive: the commit; makes an import idempotent
  UNIQUE (document_id, source_ref)
);
COMMENT ON TABLE app.snapshot_keys IS 'Anchor of a snapshot: what others may reference. The order of id is the order of history.';
CREATE INDEX snapshot_keys_document ON app.snapshot_keys (document_id, id DESC);
ALTER TABLE app.policy_documents ADD FOREIGN KEY (newest_snapshot) REFERENCES app.snapshot_keys;
CREATE INDEX policy_documents_newest ON app.policy_documents (newest_snapshot);

CREATE TABLE app.policy_snapshots (
  id          bigint NOT NULL REFERENCES app.snapshot_keys,
  fetched_at  timestamptz NOT NULL,
  document_id integer NOT NULL REFERENCES app.policy_documents,
  previous_id bigint REFERENCES app.snapshot_keys,
  source      text NOT NULL CHECK (source IN ('platform', 'archive')),
  kind        text NOT NULL CHECK (kind IN ('first', 'change', 'technical')),
  partial     boolean NOT NULL DEFAULT false,
  text_sha256 bytea NOT NULL REFERENCES app.contents,
  reader_hash bytea NOT NULL,
  link_hash   bytea NOT NULL,
  captures    bigint[] NOT NULL DEFAULT '{}',
  origin      jsonb NOT NULL DEFAULT '{}',                -- archive: repository, path, commit, message
  recorded_at timestamptz NOT NULL DEFAULT app.pw_now(),
  PRIMARY KEY (id, fetched_at),
  CHECK ((kind = 'first') = (previous_id IS NULL))
);
COMMENT ON TABLE app.policy_snapshots IS 'The text of a document that we believe, at a time (series, insert-only).';
COMMENT ON COLUMN app.policy_snapshots.source IS 'platform | archive';
COMMENT ON COLUMN app.policy_snapshots.kind IS 'first | change | technical (ours, not the platform''s)';
CREATE INDEX policy_snapshots_document ON app.policy_snapshots (document_id, id DESC);
CREATE INDEX policy_snapshots_text ON app.policy_snapshots (text_sha256);
CREATE INDEX policy_snapshots_previous ON app.policy_snapshots (previous_id);

CREATE TABLE app.change_states (
  change_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id   integer NOT NULL REFERENCES app.policy_documents,
  detected_at   timestamptz NOT NULL,
  status        text NOT NULL CHECK (status IN
                  ('second_look', 'unconfirmed', 'queued', 'decided', 'undone', 'noise', 'historical')),
  historical    boolean NOT NULL DEFAULT false,
  machine_severity text NOT NULL CHECK (machine_severity IN ('none', 'low', 'medium', 'high', 'critical')),
  severity      text NOT NULL CHECK (severity IN ('none', 'low', 'medium', 'high', 'critical')),
  rank          smallint NOT NULL GENERATED ALWAYS AS
                  (array_position(ARRAY['none', 'low', 'medium', 'high', 'critical'], severity) - 1) STORED,
  place         smallint NOT NULL GENERATED ALWAYS AS      -- 4 - rank: ascending, as the queue's keyset needs it
                  (5 - array_position(ARRAY['none', 'low', 'medium', 'high', 'critical'], severity)) STORED,
  verdict       text CHECK (verdict IN ('accepted', 'no_effect', 'bad_capture')),
  decided_by    text,
  decided_at    timestamptz,
  snoozed_until timestamptz,
  snoozed_by    text,
  claimed_by    text,
  claimed_until timestamptz,
  assignee      text,
  same_as       bigint REFERENCES app.change_states,
  second_look_at timestamptz,
  version       integer NOT NULL DEFAULT 1,
  updated_at    timestamptz NOT NULL DEFAULT app.pw_now(),
  CHECK ((status = 'decided') = (verdict IS NOT NULL)),
  CHECK ((verdict IS NULL) = (decided_by IS NULL) AND (verdict IS NULL) = (decided_at IS NULL)),
  CHECK (same_as <> change_id)
);
COMMENT ON TABLE app.change_states IS 'The queue, and the anchor of a change: all that moves about it.';
COMMENT ON COLUMN app.change_states.status IS 'second_look unconfirmed queued decided undone noise historical';
COMMENT ON COLUMN app.change_states.severity IS 'effective: the machine''s, or a person''s override';
COMMENT ON COLUMN app.change_states.machine_severity IS 'none low medium high critical, from the newest analysis';
COMMENT ON COLUMN app.change_states.verdict IS 'accepted | no_effect | bad_capture';
CREATE INDEX change_states_queue ON app.change_states (place, detected_at, change_id)
  WHERE status IN ('queued', 'unconfirmed');
CREATE INDEX change_states_second_look ON app.change_states (second_look_at) WHERE status = 'second_look';
CREATE INDEX change_states_document ON app.change_states (document_id, change_id DESC);
CREATE INDEX change_states_status ON app.change_states (status, change_id DESC);
CREATE INDEX change_states_accepted ON app.change_states (decided_at DESC) WHERE verdict = 'accepted';
CREATE INDEX change_states_same_as ON app.change_states (same_as) WHERE same_as IS NOT NULL;
CREATE INDEX change_states_oldest ON app.change_states (detected_at) INCLUDE (snoozed_until)
  WHERE status IN ('queued', 'unconfirmed');
CREATE INDEX change_states_snoozed ON app.change_states (snoozed_until) INCLUDE (severity)
  WHERE status IN ('queued', 'unconfirmed') AND snoozed_until IS NOT NULL;

CREATE TABLE app.queue_counts (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id integer NOT NULL REFERENCES app.policy_documents,
  severity    text NOT NULL CHECK (severity IN ('none', 'low', 'medium', 'high', 'critical')),
  waiting     bigint NOT NULL                             -- a sum counts; one row alone may be negative
) WITH (fillfactor = 50);
COMMENT ON TABLE app.queue_counts IS 'How many changes wait, kept by a trigger of change_states in the same transaction; the sum over rows counts.';
COMMENT ON COLUMN app.queue_counts.severity IS 'none low medium high critical';
CREATE INDEX queue_counts_document ON app.queue_counts (document_id, severity);

CREATE TABLE app.policy_changes (
  id              bigint NOT NULL REFERENCES app.change_states,
  detected_at     timestamptz NOT NULL,
  document_id     integer NOT NULL REFERENCES app.policy_documents,
  before_snapshot bigint NOT NULL REFERENCES app.snapshot_keys,
  after_snapshot  bigint NOT NULL REFERENCES app.snapshot_keys,
  before_sha256   bytea NOT NULL REFERENCES app.contents,
  after_sha256    bytea NOT NULL REFERENCES app.contents,
  before_at       timestamptz NOT NULL,
  after_at        timestamptz NOT NULL,
  noise_kind      text NOT NULL DEFAULT 'none' CHECK (noise_kind IN ('none', 'link_targets', 'markup',
                    'relative_time', 'reordered', 'navigation', 'page_set', 'capture_failure', 'language', 'duplicate')),
  words_added     integer NOT NULL DEFAULT 0,
  words_removed   integer NOT NULL DEFAULT 0,
  passages        jsonb NOT NULL DEFAULT '[]',
  engine          text NOT NULL,
  PRIMARY KEY (id, detected_at)
);
COMMENT ON TABLE app.policy_changes IS 'Two consecutive snapshots that differ, with the passages (series, insert-only).';
COMMENT ON COLUMN app.policy_changes.noise_kind IS 'none, or why no reader reads the difference (kept and listed, never queued)';
CREATE INDEX policy_changes_document ON app.policy_changes (document_id, id DESC);
CREATE INDEX policy_changes_before ON app.policy_changes (before_snapshot);
CREATE INDEX policy_changes_after ON app.policy_changes (after_snapshot);
CREATE INDEX policy_changes_before_text ON app.policy_changes (before_sha256);
CREATE INDEX policy_changes_after_text ON app.policy_changes (after_sha256);
CREATE INDEX policy_changes_passages ON app.policy_changes USING gin (passages jsonb_path_ops);

CREATE TABLE app.change_analyses (
  change_id          bigint NOT NULL REFERENCES app.change_states,
  version            integer NOT NULL DEFAULT 1,
  at                 timestamptz NOT NULL DEFAULT app.pw_now(),
  engine             text NOT NULL,
  change_type        text NOT NULL,
  other_types        text[] NOT NULL DEFAULT '{}',
  severity           text NOT NULL CHECK (severity IN ('none', 'low', 'medium', 'high', 'critical')),
  confidence         real NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  notify             boolean NOT NULL,
  topics             text[] NOT NULL DEFAULT '{}',
  sections           text[] NOT NULL DEFAULT '{}',
  effective_date     date,
  objection_deadline date,
  summary            text NOT NULL,
  evidence           jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (change_id, version)
);
COMMENT ON TABLE app.change_analyses IS 'What the machine thinks of a change; versioned, append-only; each sentence with evidence.';
COMMENT ON COLUMN app.change_analyses.severity IS 'none low medium high critical';
CREATE INDEX change_analyses_topics ON app.change_analyses USING gin (topics);
CREATE INDEX change_analyses_evidence ON app.change_analyses USING gin (evidence jsonb_path_ops);
CREATE INDEX change_analyses_effective ON app.change_analyses (effective_date) WHERE effective_date IS NOT NULL;
CREATE INDEX change_analyses_objection ON app.change_analyses (objection_deadline) WHERE objection_deadline IS NOT NULL;

CREATE TABLE app.change_verdicts (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  change_id bigint NOT NULL REFERENCES app.change_states,
  act       uuid NOT NULL UNIQUE,
  at        timestamptz NOT NULL DEFAULT app.pw_now(),
  actor     text NOT NULL DEFAULT session_user,
  kind      text NOT NULL CHECK (kind IN ('verdict', 'undo', 'severity', 'snooze', 'note')),
  verdict   text CHECK (verdict IN ('accepted', 'no_effect', 'bad_capture')),
  severity  text CHECK (severity IN ('none', 'low', 'medium', 'high', 'critical')),
  until     timestamptz,
  note      text CHECK (length(note) <= 10000),
  version   integer NOT NULL,                              -- of change_states after the act
  CHECK ((kind = 'verdict') = (verdict IS NOT NULL)),
  CHECK ((kind = 'severity') = (severity IS NOT NULL))
);
COMMENT ON TABLE app.change_verdicts IS 'Everything a person decided of a change, in order; append-only.';
COMMENT ON COLUMN app.change_verdicts.kind IS 'verdict | undo | severity | snooze | note';
COMMENT ON COLUMN app.change_verdicts.verdict IS 'accepted | no_effect | bad_capture';
COMMENT ON COLUMN app.change_verdicts.severity IS 'none low medium high critical';
CREATE INDEX change_verdicts_change ON app.change_verdicts (change_id, id);

CREATE TABLE app.document_search (
  document_id integer PRIMARY KEY REFERENCES app.policy_documents,
  snapshot_id bigint NOT NULL REFERENCES app.snapshot_keys,
  words       tsvector NOT NULL,
  updated_at  timestamptz NOT NULL DEFAULT app.pw_now()
);
COMMENT ON TABLE app.document_search IS 'Full text of the newest snapshot of each document.';
CREATE INDEX document_search_words ON app.document_search USING gin (words);
CREATE INDEX document_search_snapshot ON app.document_search (snapshot_id);

-- 4. People -----------------------------------------------------------------------------------------
CREATE TABLE app.users (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL UNIQUE CHECK (name ~ '^[a-z_][a-z0-9_.-]{0,62}$'),   -- = the login role
  mail       text,
  role       text NOT NULL CHECK (role IN ('viewer', 'reviewer', 'editor', 'approver', 'admin', 'auditor')),
  os_user    text,
  platforms  integer[],                                    -- scope; NULL is all
  state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  must_change_password boolean NOT NULL DEFAULT false,
  version    integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT app.pw_now(),
  created_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE app.users IS 'People: one login role each; rights come from here, the actor is always session_user.';
COMMENT ON COLUMN app.users.role IS 'viewer < reviewer < editor < approver < admin; auditor reads all and changes nothing';
COMMENT ON COLUMN app.users.state IS 'active | disabled';

CREATE TABLE app.user_sessions (
  id           uuid PRIMARY KEY,
  user_name    text NOT NULL DEFAULT session_user REFERENCES app.users (name),
  kind         text NOT NULL CHECK (kind IN ('desk', 'command')),
  client       text NOT NULL DEFAULT '',
  backend_pid  integer NOT NULL DEFAULT pg_backend_pid(),
  started_at   timestamptz NOT NULL DEFAULT app.pw_now(),
  heartbeat_at timestamptz NOT NULL DEFAULT app.pw_now(),
  ended_at     timestamptz,
  ended_by     text,
  ended_how    text CHECK (ended_how IN ('closed', 'ended', 'disabled', 'silent')),
  CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
COMMENT ON TABLE app.user_sessions IS 'Every desk and command session, with heartbeat.';
COMMENT ON COLUMN app.user_sessions.kind IS 'desk | command';
COMMENT ON COLUMN app.user_sessions.ended_how IS 'closed (by itself) | ended (by an act) | disabled (its person was) | silent';
CREATE INDEX user_sessions_ended ON app.user_sessions (user_name, ended_at) WHERE ended_how IN ('ended', 'disabled');
CREATE INDEX user_sessions_open ON app.user_sessions (user_name, heartbeat_at) WHERE ended_at IS NULL;
CREATE INDEX user_sessions_user ON app.user_sessions (user_name);

CREATE TABLE app.acts (
  id     uuid PRIMARY KEY,
  at     timestamptz NOT NULL DEFAULT app.pw_now(),
  actor  text NOT NULL DEFAULT session_user,
  action text NOT NULL,
  result jsonb
);
COMMENT ON TABLE app.acts IS 'Client-made ids of acts with their answers: a repeated act gets its first answer.';
CREATE INDEX acts_at ON app.acts (at);

-- 5. Communication ----------------------------------------------------------------------------------
CREATE TABLE app.member_segments (
  id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key             text NOT NULL CHECK (key ~ '^[a-z0-9][a-z0-9-]*$'),
  version         integer NOT NULL DEFAULT 1,
  name            text NOT NULL,
  criteria        jsonb NOT NULL,
  definition_hash bytea NOT NULL,
  current         boolean NOT NULL DEFAULT true,
  created_at      timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (key, version)
);
COMMENT ON TABLE app.member_segments IS 'Groups of members by criteria; a new definition is a new version.';
CREATE UNIQUE INDEX member_segments_current ON app.member_segments (key) WHERE current;
CREATE INDEX member_segments_criteria ON app.member_segments USING gin (criteria jsonb_path_ops);

CREATE TABLE app.guidance_drafts (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  title      text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
  author     text NOT NULL DEFAULT session_user REFERENCES app.users (name),
  state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'submitted', 'approved', 'closed')),
  revision   integer NOT NULL DEFAULT 0,
  segment_id integer REFERENCES app.member_segments,
  version    integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT app.pw_now(),
  updated_at timestamptz NOT NULL DEFAULT app.pw_now()
);
COMMENT ON TABLE app.guidance_drafts IS 'Guidance being written (G-n).';
COMMENT ON COLUMN app.guidance_drafts.state IS 'open | submitted | approved | closed';
CREATE INDEX guidance_drafts_active ON app.guidance_drafts (updated_at DESC) WHERE state <> 'closed';
CREATE INDEX guidance_drafts_author ON app.guidance_drafts (author);
CREATE INDEX guidance_drafts_segment ON app.guidance_drafts (segment_id);

CREATE TABLE app.draft_revisions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  draft_id     bigint NOT NULL REFERENCES app.guidance_drafts,
  number       integer NOT NULL,
  editor       text NOT NULL DEFAULT session_user REFERENCES app.users (name),
  subject      text NOT NULL CHECK (length(subject) BETWEEN 1 AND 300 AND subject !~ '[\r\n]'),
  body_text    text NOT NULL CHECK (length(body_text) BETWEEN 1 AND 200000),
  body_html    text NOT NULL DEFAULT '' CHECK (length(body_html) <= 400000),
  content_hash bytea NOT NULL,
  at           timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (draft_id, number)
);
COMMENT ON TABLE app.draft_revisions IS 'Every text of a draft; append-only; the hash is the database''s own.';
CREATE INDEX draft_revisions_editor ON app.draft_revisions (editor);

CREATE TABLE app.draft_evidence (
  draft_id  bigint NOT NULL REFERENCES app.guidance_drafts,
  change_id bigint NOT NULL REFERENCES app.change_states,
  passage   integer NOT NULL DEFAULT 0,
  side      text NOT NULL DEFAULT '+' CHECK (side IN ('+', '-')),
  quote     text NOT NULL DEFAULT '',
  PRIMARY KEY (draft_id, change_id, passage, side)
);
COMMENT ON TABLE app.draft_evidence IS 'Passages that a draft quotes.';
COMMENT ON COLUMN app.draft_evidence.side IS '+ (after) | - (before)';
CREATE INDEX draft_evidence_change ON app.draft_evidence (change_id);

CREATE TABLE app.approval_requests (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  draft_id         bigint NOT NULL REFERENCES app.guidance_drafts,
  revision_id      bigint NOT NULL REFERENCES app.draft_revisions,
  content_hash     bytea NOT NULL,
  segment_id       integer NOT NULL REFERENCES app.member_segments,
  segment_hash     bytea NOT NULL,
  recipient_count  integer CHECK (recipient_count >= 0),   -- NULL: the daemon has not counted yet
  suppressed_count integer,
  count_fault      text,                                   -- why the daemon could not count
  approvals_needed integer NOT NULL CHECK (approvals_needed >= 1),
  requested_by     text NOT NULL DEFAULT session_user REFERENCES app.users (name),
  requested_at     timestamptz NOT NULL DEFAULT app.pw_now(),
  expires_at       timestamptz NOT NULL,
  state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'returned', 'expired', 'voided')),
  decided_at       timestamptz,
  reason           text,
  version          integer NOT NULL DEFAULT 1,
  CHECK ((state = 'pending') = (decided_at IS NULL)),
  CHECK (state <> 'returned' OR coalesce(length(btrim(reason)), 0) > 0),
  CHECK (state <> 'approved' OR recipient_count IS NOT NULL)
);
COMMENT ON TABLE app.approval_requests IS 'The question to a second person (A-n), bound to content, segment definition and count.';
COMMENT ON COLUMN app.approval_requests.state IS 'pending | approved | returned | expired | voided';
CREATE UNIQUE INDEX approval_requests_one_pending ON app.approval_requests (draft_id) WHERE state = 'pending';
CREATE INDEX approval_requests_pending ON app.approval_requests (expires_at) WHERE state = 'pending';
CREATE INDEX approval_requests_draft ON app.approval_requests (draft_id);
CREATE INDEX approval_requests_revision ON app.approval_requests (revision_id);
CREATE INDEX approval_requests_segment ON app.approval_requests (segment_id);
CREATE INDEX approval_requests_by ON app.approval_requests (requested_by);

CREATE TABLE app.approval_decisions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request_id   bigint NOT NULL REFERENCES app.approval_requests,
  actor           text NOT NULL DEFAULT session_user REFERENCES app.users (name),
  decision     text NOT NULL CHECK (decision IN ('approve', 'return')),
  content_hash bytea NOT NULL,
  count_seen   integer,
  reason       text,
  act          uuid NOT NULL UNIQUE,
  at           timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (request_id, actor),
  CHECK (decision = 'approve' OR coalesce(length(btrim(reason)), 0) > 0)
);
COMMENT ON TABLE app.approval_decisions IS 'Each yes or no of a second person; append-only.';
COMMENT ON COLUMN app.approval_decisions.decision IS 'approve | return';
CREATE INDEX approval_decisions_actor ON app.approval_decisions (actor);

CREATE TABLE app.guidance_publications (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  draft_id       bigint NOT NULL REFERENCES app.guidance_drafts,
  revision_id    bigint NOT NULL REFERENCES app.draft_revisions,
  request_id     bigint NOT NULL UNIQUE REFERENCES app.approval_requests,
  content_hash   bytea NOT NULL,
  segment_id     integer NOT NULL REFERENCES app.member_segments,
  state          text NOT NULL DEFAULT 'grace' CHECK (state IN
                   ('grace', 'releasing', 'paused', 'sent', 'withdrawn', 'lapsed', 'stopped')),
  place          smallint NOT NULL GENERATED ALWAYS AS     -- in a listing: what is on its way first, then the newest
                   (coalesce(array_position(ARRAY['grace', 'releasing', 'paused'], state), 4)) STORED,
  approved_count integer NOT NULL CHECK (approved_count >= 0),
  frozen_count   integer,                                  -- recipients, once frozen into rows
  approved_at    timestamptz NOT NULL DEFAULT app.pw_now(),
  release_at     timestamptz NOT NULL,                     -- end of the grace period
  lapse_at       timestamptz NOT NULL,                     -- later than this needs a new yes
  released_at    timestamptz,
  ended_at       timestamptz,
  ended_by       text,
  pause_reason   text,
  version        integer NOT NULL DEFAULT 1,
  CHECK (release_at > approved_at AND lapse_at > release_at),
  CHECK ((state IN ('withdrawn', 'lapsed', 'stopped', 'sent')) = (ended_at IS NOT NULL)),
  CHECK ((state = 'paused') = (pause_reason IS NOT NULL)),
  CHECK (state NOT IN ('releasing', 'paused', 'sent') OR released_at IS NOT NULL)
);
COMMENT ON TABLE app.guidance_publications IS 'Approved guidance on its way (P-n).';
COMMENT ON COLUMN app.guidance_publications.state IS 'grace releasing paused sent withdrawn lapsed stopped';
CREATE INDEX guidance_publications_active ON app.guidance_publications (release_at)
  WHERE state IN ('grace', 'releasing', 'paused');
CREATE INDEX guidance_publications_place ON app.guidance_publications (place, id DESC);
CREATE INDEX guidance_publications_draft ON app.guidance_publications (draft_id);
CREATE INDEX guidance_publications_revision ON app.guidance_publications (revision_id);
CREATE INDEX guidance_publications_segment ON app.guidance_publications (segment_id);

CREATE TABLE app.publication_recipients (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  publication_id bigint NOT NULL REFERENCES app.guidance_publications,
  key_version    integer NOT NULL DEFAULT 1,
  recipient_hash bytea NOT NULL CHECK (octet_length(recipient_hash) = 32),
  address        bytea,                                    -- sealed; NULL 30 days after the end
  domain_hash    bytea,
  state          text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'claimed', 'sending', 'sent',
                   'deferred', 'failed', 'uncertain', 'suppressed', 'cancelled')),
  owner          text,
  claim          uuid,
  lease_until    timestamptz,
  tries          integer NOT NULL DEFAULT 0,
  next_at        timestamptz NOT NULL DEFAULT app.pw_now(),
  first_try_at   timestamptz,
  sending_at     timestamptz,
  sent_at        timestamptz,
  message_id     text,
  last_code      text,
  last_text      text,                                     -- the relay's words, addresses scrubbed
  UNIQUE (publication_id, recipient_hash),
  CHECK ((sent_at IS NOT NULL) = (state = 'sent')),
  CHECK (state NOT IN ('claimed', 'sending') OR (owner IS NOT NULL AND claim IS NOT NULL AND lease_until IS NOT NULL)),
  CHECK (state NOT IN ('sending', 'sent', 'uncertain') OR sending_at IS NOT NULL)
);
COMMENT ON TABLE app.publication_recipients IS 'The ledger: one member of one publication, by keyed hash.';
COMMENT ON COLUMN app.publication_recipients.state IS 'queued claimed sending sent deferred failed uncertain suppressed cancelled';
CREATE INDEX publication_recipients_open ON app.publication_recipients (publication_id, next_at)
  WHERE state IN ('queued', 'deferred');
CREATE INDEX publication_recipients_held ON app.publication_recipients (lease_until) WHERE state IN ('claimed', 'sending');
CREATE INDEX publication_recipients_uncertain ON app.publication_recipients (publication_id) WHERE state = 'uncertain';
CREATE INDEX publication_recipients_hash ON app.publication_recipients (recipient_hash);

CREATE TABLE app.publication_counts (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  publication_id bigint NOT NULL REFERENCES app.guidance_publications,
  state          text NOT NULL CHECK (state IN ('queued', 'claimed', 'sending', 'sent', 'deferred', 'failed', 'uncertain',
                   'suppressed', 'cancelled')),
  recipients     bigint NOT NULL,                         -- a sum counts; one row alone may be negative
  first_sent_at  timestamptz,
  last_sent_at   timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE app.publication_counts IS 'The ledger in numbers, kept by a trigger of publication_recipients in the same transaction; the sum over rows counts.';
COMMENT ON COLUMN app.publication_counts.state IS 'queued claimed sending sent deferred failed uncertain suppressed cancelled';
CREATE INDEX publication_counts_publication ON app.publication_counts (publication_id, state);

CREATE TABLE app.suppressions (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key_version    integer NOT NULL DEFAULT 1,
  recipient_hash bytea NOT NULL CHECK (octet_length(recipient_hash) = 32),
  reason         text NOT NULL CHECK (reason IN ('unsubscribe', 'hard_bounce', 'soft_bounce', 'complaint', 'person')),
  note           text,
  at             timestamptz NOT NULL DEFAULT app.pw_now(),
  added_by       text NOT NULL DEFAULT session_user,
  removed_at     timestamptz,
  removed_by     text
);
COMMENT ON TABLE app.suppressions IS 'Who is never to be mailed, by keyed hash.';
COMMENT ON COLUMN app.suppressions.reason IS 'unsubscribe hard_bounce soft_bounce complaint person';
CREATE UNIQUE INDEX suppressions_active ON app.suppressions (recipient_hash) WHERE removed_at IS NULL;

CREATE TABLE app.inbound_raw (
  sha256    bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
  at        timestamptz NOT NULL DEFAULT app.pw_now(),
  way       text NOT NULL CHECK (way IN ('lmtp', 'maildir', 'imap', 'webhook', 'unsubscribe')),
  payload   bytea,                                         -- sealed like the ledger; emptied after 30 days
  state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'read', 'dropped')),
  outcome   text
);
COMMENT ON TABLE app.inbound_raw IS 'Bounces and reports as they came, before they are read.';
COMMENT ON COLUMN app.inbound_raw.way IS 'lmtp maildir imap webhook unsubscribe';
COMMENT ON COLUMN app.inbound_raw.state IS 'waiting | read | dropped';
CREATE INDEX inbound_raw_waiting ON app.inbound_raw (at) WHERE state = 'waiting';

CREATE TABLE app.delivery_events (
  id             bigint GENERATED ALWAYS AS IDENTITY,
  at             timestamptz NOT NULL DEFAULT app.pw_now(),
  publication_id bigint NOT NULL REFERENCES app.guidance_publications,
  recipient_id   bigint NOT NULL REFERENCES app.publication_recipients,
  recipient_hash bytea NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('sent', 'deferred', 'failed', 'uncertain', 'suppressed', 'cancelled',
                   'delivered', 'bounce', 'complaint', 'unsubscribe', 'resolved')),
  code           text,
  detail         text,
  PRIMARY KEY (id, at)
);
COMMENT ON TABLE app.delivery_events IS 'One thing that happened to one recipient (series, insert-only; no address ever).';
COMMENT ON COLUMN app.delivery_events.kind IS 'sent deferred failed uncertain suppressed cancelled delivered bounce complaint unsubscribe resolved';
CREATE INDEX delivery_events_publication ON app.delivery_events (publication_id, at DESC);
CREATE INDEX delivery_events_recipient ON app.delivery_events (recipient_id);

-- 6. Safety and audit -------------------------------------------------------------------------------
CREATE TABLE app.requests (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind         text NOT NULL CHECK (kind IN ('visit', 'count_audience', 'try_rule', 'render', 'test_mail')),
  arguments    jsonb NOT NULL DEFAULT '{}',
  sealed       bytea,                                      -- arguments that hold an address
  requested_by text NOT NULL DEFAULT session_user,
  requested_at timestamptz NOT NULL DEFAULT app.pw_now(),
  expires_at   timestamptz NOT NULL DEFAULT app.pw_now() + interval '15 minutes',
  state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'serving', 'done', 'failed', 'expired', 'refused')),
  owner        text,
  lease_until  timestamptz,
  result       jsonb,
  version      integer NOT NULL DEFAULT 1,
  ended_at     timestamptz
);
COMMENT ON TABLE app.requests IS 'Work that a person asks of the daemon, with its result.';
COMMENT ON COLUMN app.requests.kind IS 'visit count_audience try_rule render test_mail';
COMMENT ON COLUMN app.requests.state IS 'waiting serving done failed expired refused';
CREATE INDEX requests_waiting ON app.requests (requested_at) WHERE state IN ('waiting', 'serving');

CREATE TABLE app.alerts (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL,
  subject    text NOT NULL,                                -- what it is about, e.g. document x/terms
  audience   text NOT NULL DEFAULT 'operators' CHECK (audience IN ('operators', 'reviewers')),
  level      text NOT NULL DEFAULT 'warning' CHECK (level IN ('notice', 'warning', 'critical')),
  sentence   text NOT NULL,
  opened_at  timestamptz NOT NULL DEFAULT app.pw_now(),
  seen_at    timestamptz NOT NULL DEFAULT app.pw_now(),
  times      integer NOT NULL DEFAULT 1,
  acked_by   text,
  acked_at   timestamptz,
  closed_at  timestamptz
);
COMMENT ON TABLE app.alerts IS 'Messages on transitions; one open row per kind and subject.';
COMMENT ON COLUMN app.alerts.audience IS 'operators | reviewers';
COMMENT ON COLUMN app.alerts.level IS 'notice | warning | critical';
CREATE UNIQUE INDEX alerts_open ON app.alerts (kind, subject) WHERE closed_at IS NULL;

CREATE TABLE app.audit_log (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  at          timestamptz NOT NULL DEFAULT app.pw_now(),
  actor       text NOT NULL DEFAULT session_user,
  session_id  uuid,
  action      text NOT NULL,
  object_kind text NOT NULL DEFAULT '',
  object_id   text NOT NULL DEFAULT '',
  outcome     text NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused', 'failed')),
  code        text,
  before      jsonb,
  after       jsonb,
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  leaf        bytea NOT NULL,
  PRIMARY KEY (id, at)
);
COMMENT ON TABLE app.audit_log IS 'Who did what, when, with what outcome (series, insert-only, leaf hash per row).';
COMMENT ON COLUMN app.audit_log.outcome IS 'done | refused | failed';
CREATE INDEX audit_log_actor ON app.audit_log (actor, at DESC);
CREATE INDEX audit_log_object ON app.audit_log (object_kind, object_id, at DESC);
CREATE INDEX audit_log_refused ON app.audit_log (at DESC) WHERE outcome <> 'done';
CREATE INDEX audit_log_xid ON app.audit_log (xid);
CREATE INDEX audit_log_after ON app.audit_log USING gin (after jsonb_path_ops);

CREATE FUNCTION app.hash_audit_row() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- The caller chooses neither actor, time, transaction nor hash. 0x00 marks a leaf (RFC 6962, 2.1).
BEGIN
  NEW.actor := session_user;
  NEW.at := app.pw_now();
  NEW.xid := pg_current_xact_id();
  NEW.leaf := sha256('\x00'::bytea || convert_to(jsonb_build_array(NEW.id, extract(epoch FROM NEW.at), NEW.actor,
    NEW.session_id, NEW.action, NEW.object_kind, NEW.object_id, NEW.outcome, NEW.code, NEW.before, NEW.after,
    NEW.xid::text)::text, 'UTF8'));
  RETURN NEW;
END $$;

CREATE TABLE app.audit_seals (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch             integer NOT NULL,
  system_identifier bigint NOT NULL,
  low               xid8 NOT NULL,
  high              xid8 NOT NULL,
  row_count         integer NOT NULL,
  first_id          bigint,
  last_id           bigint,                                -- of an epoch's first seal: the newest row there was
  ids               int8multirange NOT NULL DEFAULT '{}',  -- the rows, exactly: slow writers leave gaps
  root              bytea NOT NULL,
  chain             bytea NOT NULL,                        -- sha256(previous chain || epoch || system || low || high || count || root)
  at                timestamptz NOT NULL DEFAULT app.pw_now(),
  UNIQUE (epoch, low)
);
COMMENT ON TABLE app.audit_seals IS 'Merkle roots of the audit rows of a transaction range, chained.';

CREATE TABLE app.system_metrics (
  id     bigint GENERATED ALWAYS AS IDENTITY,
  at     timestamptz NOT NULL DEFAULT app.pw_now(),
  name   text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  value  double precision NOT NULL,
  PRIMARY KEY (id, at)
);
COMMENT ON TABLE app.system_metrics IS 'Health of the service over time (series, one-day chunks).';
CREATE INDEX system_metrics_name ON app.system_metrics (name, at DESC);
CREATE INDEX system_metrics_at ON app.system_metrics (at DESC);

CREATE TABLE app.system_config (
  key        text PRIMARY KEY,
  value      jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT app.pw_now(),
  updated_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE app.system_config IS 'Facts and switches that acts read; everything else is in the YAML.';

CREATE TABLE app.workers (
  id           text PRIMARY KEY,
  boot_id      text NOT NULL,
  pid          integer NOT NULL,
  host         text NOT NULL,
  program      text NOT NULL DEFAULT '',
  started_at   timestamptz NOT NULL DEFAULT app.pw_now(),
  heartbeat_at timestamptz NOT NULL DEFAULT app.pw_now(),
  stopped_at   timestamptz,
  progress     jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE app.workers IS 'Daemons, with their heartbeat; silent for 30 s is dead.';
CREATE INDEX workers_alive ON app.workers (heartbeat_at) WHERE stopped_at IS NULL;

CREATE TABLE app.rate_buckets (
  name   text PRIMARY KEY,
  rate   double precision NOT NULL CHECK (rate > 0),
  burst  double precision NOT NULL CHECK (burst > 0),
  tokens double precision NOT NULL,
  at     timestamptz NOT NULL DEFAULT app.pw_now()
);
COMMENT ON TABLE app.rate_buckets IS 'Token buckets of mail: whole system, relay, recipient domain (hashed).';

-- 7. Guards -----------------------------------------------------------------------------------------
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['policy_snapshots', 'policy_changes', 'delivery_events', 'audit_log', 'change_analyses',
      'change_verdicts', 'draft_revisions', 'approval_decisions', 'audit_seals', 'snapshot_keys'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON app.%I FOR EACH ROW EXECUTE FUNCTION app.refuse_rewrite()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON app.%I FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_rewrite()', t);
  END LOOP;
END $$;
CREATE FUNCTION app.hash_revision() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- The hash that an approval binds is the database's own: SHA-256 of the JSON array [subject, text, html].
BEGIN
  NEW.content_hash := sha256(convert_to(jsonb_build_array(NEW.subject, NEW.body_text, NEW.body_html)::text, 'UTF8'));
  RETURN NEW;
END $$;
CREATE TRIGGER hash BEFORE INSERT ON app.draft_revisions FOR EACH ROW EXECUTE FUNCTION app.hash_revision();
DO $$
DECLARE t text;
BEGIN  -- a row that is gone could come again: the second mail, the second yes
  FOREACH t IN ARRAY ARRAY['change_states', 'guidance_drafts', 'draft_evidence', 'approval_requests', 'guidance_publications',
      'publication_recipients'] LOOP
    EXECUTE format('CREATE TRIGGER kept BEFORE DELETE ON app.%I FOR EACH ROW EXECUTE FUNCTION app.refuse_rewrite()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON app.%I FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_rewrite()', t);
  END LOOP;
END $$;
CREATE FUNCTION app.hash_segment() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.criteria IS DISTINCT FROM OLD.criteria THEN
    RAISE EXCEPTION 'a new definition of a segment is a new version' USING ERRCODE = 'check_violation';
  END IF;
  NEW.definition_hash := sha256(convert_to(NEW.criteria::text, 'UTF8'));
  RETURN NEW;
END $$;
CREATE TRIGGER hash BEFORE INSERT OR UPDATE ON app.member_segments FOR EACH ROW EXECUTE FUNCTION app.hash_segment();
CREATE TRIGGER leaf BEFORE INSERT ON app.audit_log FOR EACH ROW EXECUTE FUNCTION app.hash_audit_row();
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF state ON app.guidance_drafts
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('draft', 'state');
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF state ON app.approval_requests
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('approval', 'state');
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF state ON app.guidance_publications
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('publication', 'state');
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF state ON app.publication_recipients
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('recipient', 'state');
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF status ON app.change_states
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('change', 'status');
CREATE TRIGGER states BEFORE INSERT OR UPDATE OF state ON app.requests
  FOR EACH ROW EXECUTE FUNCTION app.check_transition('request', 'state');

CREATE FUNCTION app.approvals_for(p_draft bigint) RETURNS integer LANGUAGE sql STABLE
SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT greatest(
    (SELECT (value #>> '{}')::integer FROM app.system_config WHERE key = 'approvals_needed'),
    (SELECT (value #>> '{}')::integer FROM app.system_config WHERE key = 'approvals_needed_critical'
      AND EXISTS (SELECT FROM app.draft_evidence e JOIN app.change_states s ON s.change_id = e.change_id
                  WHERE e.draft_id = p_draft AND s.severity = 'critical'))) $$;
COMMENT ON FUNCTION app.approvals_for IS 'How many persons must approve a draft: more when it rests on a critical change.';

CREATE FUNCTION app.check_draft() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  IF NEW.author <> OLD.author THEN
    RAISE EXCEPTION 'the author of G-% is fixed', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.revision <> OLD.revision AND (NEW.state <> 'open' OR NEW.revision < OLD.revision) THEN
    RAISE EXCEPTION 'G-% is %: its text is fixed', OLD.id, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER fixed BEFORE UPDATE ON app.guidance_drafts FOR EACH ROW EXECUTE FUNCTION app.check_draft();

CREATE FUNCTION app.check_revision() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- A text is added to an open draft alone; for a draft that waits for a yes or has it, the asking ends first.
BEGIN
  IF (SELECT state FROM app.guidance_drafts WHERE id = NEW.draft_id) <> 'open' THEN
    RAISE EXCEPTION 'G-% is not open: no text is added', NEW.draft_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER open_draft BEFORE INSERT ON app.draft_revisions FOR EACH ROW EXECUTE FUNCTION app.check_revision();

CREATE FUNCTION app.check_approval() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- What was asked is fixed; approved is what enough second persons approved, in time, in exactly this text.
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NOT EXISTS (SELECT FROM app.draft_revisions r JOIN app.guidance_drafts d ON d.id = r.draft_id
                   WHERE r.id = NEW.revision_id AND r.draft_id = NEW.draft_id AND r.number = d.revision AND r.content_hash = NEW.content_hash)
       OR NOT EXISTS (SELECT FROM app.member_segments s WHERE s.id = NEW.segment_id AND s.definition_hash = NEW.segment_hash)
       OR NEW.approvals_needed < app.approvals_for(NEW.draft_id) THEN
      RAISE EXCEPTION 'an approval request names the newest text, its segment''s definition and enough approvals'
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.draft_id, NEW.revision_id, NEW.content_hash, NEW.segment_id, NEW.segment_hash, NEW.approvals_needed, NEW.requested_by,
      NEW.requested_at, NEW.expires_at) IS DISTINCT FROM
     (OLD.draft_id, OLD.revision_id, OLD.content_hash, OLD.segment_id, OLD.segment_hash, OLD.approvals_needed, OLD.requested_by,
      OLD.requested_at, OLD.expires_at)
     OR (OLD.recipient_count IS NOT NULL OR OLD.state <> 'pending') AND NEW.recipient_count IS DISTINCT FROM OLD.recipient_count
     OR OLD.decided_at IS NOT NULL AND NEW.state = OLD.state AND NEW.decided_at IS DISTINCT FROM OLD.decided_at THEN
    RAISE EXCEPTION 'what A-% asks is fixed', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'approved' AND OLD.state <> 'approved' THEN
    NEW.decided_at := app.pw_now();
    IF OLD.expires_at <= NEW.decided_at OR OLD.approvals_needed > (
        SELECT count(*) FROM app.approval_decisions d
        WHERE d.request_id = OLD.id AND d.decision = 'approve' AND d.content_hash = OLD.content_hash AND d.count_seen = OLD.recipient_count) THEN
      RAISE EXCEPTION 'A-% lacks approvals, or is too late', OLD.id USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER asked BEFORE INSERT OR UPDATE ON app.approval_requests FOR EACH ROW EXECUTE FUNCTION app.check_approval();

CREATE FUNCTION app.check_second_person() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- Four eyes: whoever wrote, edited or submitted any revision of the draft cannot approve it. No role is exempt, and nobody
-- decides in another's name: the actor is whoever is logged in, at the time of the database.
DECLARE q app.approval_requests;
BEGIN
  NEW.actor := session_user;
  NEW.at := app.pw_now();
  SELECT * INTO q FROM app.approval_requests WHERE id = NEW.request_id FOR UPDATE;
  IF q.state <> 'pending' OR q.content_hash <> NEW.content_hash OR NEW.decision = 'approve' AND (q.expires_at <= NEW.at
      OR q.recipient_count IS NULL OR NEW.count_seen IS DISTINCT FROM q.recipient_count) THEN
    RAISE EXCEPTION 'A-% is not waiting for a decision on this text and count', NEW.request_id USING ERRCODE = 'check_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM app.users u WHERE u.name = NEW.actor AND u.state = 'active' AND u.role IN ('approver', 'admin')) THEN
    RAISE EXCEPTION '% is no approver here', NEW.actor USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.decision = 'approve' AND (NEW.actor = q.requested_by OR EXISTS (
      SELECT FROM app.guidance_drafts d LEFT JOIN app.draft_revisions r ON r.draft_id = d.id
      WHERE d.id = q.draft_id AND NEW.actor IN (d.author, r.editor))) THEN
    RAISE EXCEPTION 'an author or editor of a draft cannot approve it' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER second_person BEFORE INSERT ON app.approval_decisions
  FOR EACH ROW EXECUTE FUNCTION app.check_second_person();

CREATE FUNCTION app.check_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- At the end of each transaction draft, approval request and publication agree, whoever wrote them. (SECURITY DEFINER: a
-- deferred trigger runs as the person, who has no rights on tables.)
DECLARE d app.guidance_drafts; pending integer; live integer; chain bigint;
BEGIN
  chain := CASE TG_TABLE_NAME WHEN 'guidance_drafts' THEN (to_jsonb(NEW) ->> 'id')::bigint ELSE (to_jsonb(NEW) ->> 'draft_id')::bigint END;
  SELECT * INTO d FROM app.guidance_drafts WHERE id = chain;
  SELECT count(*) INTO pending FROM app.approval_requests q WHERE q.draft_id = chain AND q.state = 'pending';
  SELECT count(*) INTO live FROM app.guidance_publications p WHERE p.draft_id = chain AND p.state IN ('grace', 'releasing', 'paused');
  IF d.revision IS DISTINCT FROM (SELECT coalesce(max(r.number), 0) FROM app.draft_revisions r WHERE r.draft_id = chain) THEN
    RAISE EXCEPTION 'G-% does not point to its newest text', chain USING ERRCODE = 'check_violation';
  END IF;
  IF pending <> (d.state = 'submitted')::integer OR live <> (d.state = 'approved')::integer THEN
    RAISE EXCEPTION 'G-% is %, with % waiting approval requests and % publications under way', chain, d.state, pending, live
      USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM app.approval_requests q JOIN app.draft_revisions r ON r.id = q.revision_id
             WHERE q.draft_id = chain AND q.state = 'pending' AND r.number <> d.revision)
     OR EXISTS (SELECT FROM app.approval_requests q LEFT JOIN app.guidance_publications p ON p.request_id = q.id
                WHERE q.draft_id = chain AND (q.state = 'approved') <> coalesce(p.state NOT IN ('withdrawn', 'lapsed'), false)) THEN
    RAISE EXCEPTION 'G-% has an approval that does not fit its publication or its text', chain USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chain AFTER INSERT OR UPDATE ON app.guidance_drafts DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.check_chain();
CREATE CONSTRAINT TRIGGER chain AFTER INSERT ON app.draft_revisions DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.check_chain();
CREATE CONSTRAINT TRIGGER chain AFTER INSERT OR UPDATE ON app.approval_requests DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.check_chain();
CREATE CONSTRAINT TRIGGER chain AFTER INSERT OR UPDATE ON app.guidance_publications DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.check_chain();

CREATE FUNCTION app.check_publication() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- No publication without a live approval of exactly this text; none released early, late or while frozen.
DECLARE q app.approval_requests; yes integer;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT * INTO q FROM app.approval_requests WHERE id = NEW.request_id;
    SELECT count(*) INTO yes FROM app.approval_decisions d
     WHERE d.request_id = NEW.request_id AND d.decision = 'approve' AND d.content_hash = NEW.content_hash;
    IF q.state <> 'approved' OR q.revision_id <> NEW.revision_id OR q.content_hash <> NEW.content_hash
       OR q.draft_id <> NEW.draft_id OR q.segment_id <> NEW.segment_id OR q.recipient_count <> NEW.approved_count
       OR yes < q.approvals_needed THEN
      RAISE EXCEPTION 'a publication needs a live approval of exactly this text, segment and count'
        USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.approved_at < q.decided_at OR NEW.release_at < NEW.approved_at
         + (SELECT (value #>> '{}')::interval FROM app.system_config WHERE key = 'grace_period') THEN
      RAISE EXCEPTION 'the grace period counts from the approval' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.state = 'sent' AND OLD.state <> 'sent' AND (NEW.frozen_count IS NULL OR EXISTS (
      SELECT FROM app.publication_recipients r WHERE r.publication_id = NEW.id AND r.state IN ('queued', 'claimed', 'sending', 'deferred'))) THEN
    RAISE EXCEPTION 'P-% has recipients whose mail has not left', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state = 'releasing' AND OLD.state <> 'releasing' THEN
    IF (SELECT value FROM app.system_config WHERE key = 'frozen') <> 'false'::jsonb THEN
      RAISE EXCEPTION 'the system is frozen: nothing is released' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state = 'grace' AND app.pw_now() < OLD.release_at THEN
      RAISE EXCEPTION 'the grace period of P-% ends at %', OLD.id, OLD.release_at USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.state = 'grace' AND app.pw_now() > OLD.lapse_at THEN
      RAISE EXCEPTION 'P-% lapsed at %: it needs a new yes', OLD.id, OLD.lapse_at USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  IF OLD.state = 'grace' AND NEW.state = 'releasing' THEN
    NEW.released_at := app.pw_now();
  ELSIF NEW.released_at IS DISTINCT FROM OLD.released_at THEN
    RAISE EXCEPTION 'P-% is released when it is released', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  IF (NEW.draft_id, NEW.revision_id, NEW.request_id, NEW.content_hash, NEW.segment_id, NEW.approved_count,
      NEW.approved_at, NEW.lapse_at) IS DISTINCT FROM
     (OLD.draft_id, OLD.revision_id, OLD.request_id, OLD.content_hash, OLD.segment_id, OLD.approved_count,
      OLD.approved_at, OLD.lapse_at) OR NEW.release_at < OLD.release_at THEN
    RAISE EXCEPTION 'what was approved of P-% is fixed', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approved BEFORE INSERT OR UPDATE ON app.guidance_publications
  FOR EACH ROW EXECUTE FUNCTION app.check_publication();

CREATE FUNCTION app.check_recipient() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- Rows are frozen at release; a mail may leave only while its publication is releasing and nothing is frozen.
DECLARE p_state text;
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.state IS NOT DISTINCT FROM OLD.state THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' OR NEW.state IN ('claimed', 'sending') THEN
    SELECT state INTO p_state FROM app.guidance_publications WHERE id = NEW.publication_id;
    IF p_state <> 'releasing' THEN
      RAISE EXCEPTION 'P-% is %: its recipients stay as they are', NEW.publication_id, p_state
        USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'sending' AND (SELECT value FROM app.system_config WHERE key = 'frozen') <> 'false'::jsonb THEN
      RAISE EXCEPTION 'the system is frozen: no mail leaves' USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER released BEFORE INSERT OR UPDATE OF state ON app.publication_recipients
  FOR EACH ROW EXECUTE FUNCTION app.check_recipient();
CREATE TRIGGER theirs BEFORE UPDATE OF publication_id ON app.publication_recipients
  FOR EACH ROW WHEN (NEW.publication_id <> OLD.publication_id) EXECUTE FUNCTION app.refuse_rewrite();

CREATE FUNCTION app.check_config() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- The daemon brings facts of the YAML; it neither ends a frost nor says what this database is.
BEGIN
  IF pg_has_role(session_user, 'pw_daemon', 'MEMBER') AND NOT pg_has_role(session_user, 'pw_owner', 'MEMBER')
     AND (NEW.key IN ('rls', 'install_id', 'origin', 'timescaledb') OR NEW.key = 'frozen' AND NEW.value <> 'true'::jsonb OR NEW.key <> OLD.key) THEN
    RAISE EXCEPTION 'the daemon does not set %', NEW.key USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER facts BEFORE UPDATE ON app.system_config FOR EACH ROW EXECUTE FUNCTION app.check_config();

-- Counters. To count a hundred thousand rows takes longer than a screen may: these are exact and of the transaction of
-- what they count. A writer adds to a row that nobody else holds, or to a new one, so that writers never wait for each
-- other here and there are no more rows of one kind than there were writers at once.
CREATE FUNCTION app.add_waiting(p_document integer, p_severity text, p_waiting bigint) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  UPDATE app.queue_counts SET waiting = waiting + p_waiting
   WHERE id = (SELECT c.id FROM app.queue_counts c WHERE c.document_id = p_document AND c.severity = p_severity
               ORDER BY c.id LIMIT 1 FOR UPDATE SKIP LOCKED);
  IF NOT FOUND THEN
    INSERT INTO app.queue_counts (document_id, severity, waiting) VALUES (p_document, p_severity, p_waiting);
  END IF;
END $$;
CREATE FUNCTION app.count_queue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM app.add_waiting(document_id, severity, count(*)) FROM came
      WHERE status IN ('queued', 'unconfirmed') GROUP BY document_id, severity;
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM app.add_waiting(document_id, severity, -count(*)) FROM gone
      WHERE status IN ('queued', 'unconfirmed') GROUP BY document_id, severity;
  ELSE
    PERFORM app.add_waiting(document_id, severity, sum(n)::bigint) FROM (
      SELECT document_id, severity, 1 AS n FROM came WHERE status IN ('queued', 'unconfirmed') UNION ALL
      SELECT document_id, severity, -1 FROM gone WHERE status IN ('queued', 'unconfirmed')) moved
      GROUP BY document_id, severity HAVING sum(n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER counted_new AFTER INSERT ON app.change_states
  REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION app.count_queue();
CREATE TRIGGER counted AFTER UPDATE ON app.change_states
  REFERENCING OLD TABLE AS gone NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION app.count_queue();
CREATE TRIGGER counted_gone AFTER DELETE ON app.change_states
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION app.count_queue();

CREATE FUNCTION app.add_recipients(p_publication bigint, p_state text, p_recipients bigint, p_first timestamptz, p_last timestamptz)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  UPDATE app.publication_counts SET recipients = recipients + p_recipients, first_sent_at = least(first_sent_at, p_first),
         last_sent_at = greatest(last_sent_at, p_last)
   WHERE id = (SELECT c.id FROM app.publication_counts c WHERE c.publication_id = p_publication AND c.state = p_state
               ORDER BY c.id LIMIT 1 FOR UPDATE SKIP LOCKED);
  IF NOT FOUND THEN
    INSERT INTO app.publication_counts (publication_id, state, recipients, first_sent_at, last_sent_at)
    VALUES (p_publication, p_state, p_recipients, p_first, p_last);
  END IF;
END $$;
CREATE FUNCTION app.count_recipients() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM app.add_recipients(publication_id, state, count(*), min(sent_at), max(sent_at)) FROM came GROUP BY publication_id, state;
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM app.add_recipients(publication_id, state, -count(*), NULL, NULL) FROM gone GROUP BY publication_id, state;
  ELSE
    PERFORM app.add_recipients(publication_id, state, sum(n)::bigint, min(sent_at), max(sent_at)) FROM (
      SELECT publication_id, state, 1 AS n, sent_at FROM came UNION ALL SELECT publication_id, state, -1, NULL FROM gone) moved
      GROUP BY publication_id, state HAVING sum(n) <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER counted_new AFTER INSERT ON app.publication_recipients
  REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION app.count_recipients();
CREATE TRIGGER counted AFTER UPDATE ON app.publication_recipients
  REFERENCING OLD TABLE AS gone NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION app.count_recipients();
CREATE TRIGGER counted_gone AFTER DELETE ON app.publication_recipients
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION app.count_recipients();

CREATE FUNCTION app.recount() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- All counters from the rows they count; for rows that came while triggers were off. Writers wait meanwhile.
BEGIN
  LOCK TABLE app.change_states, app.publication_recipients IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM app.queue_counts;
  DELETE FROM app.publication_counts;
  INSERT INTO app.queue_counts (document_id, severity, waiting)
  SELECT document_id, severity, count(*) FROM app.change_states WHERE status IN ('queued', 'unconfirmed') GROUP BY 1, 2;
  INSERT INTO app.publication_counts (publication_id, state, recipients, first_sent_at, last_sent_at)
  SELECT publication_id, state, count(*), min(sent_at), max(sent_at) FROM app.publication_recipients GROUP BY 1, 2;
END $$;

-- 8. Series (TimescaleDB where present; columnstore, retention and the daily figures: api/012_series.sql) ----
CREATE FUNCTION app.make_series() RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, app, pg_temp AS $$
-- By the owner: the five series become hypertables, rows that are there already move along; how many were changed. Triggers
-- of ours rest meanwhile: a row that moves is not a new one, and must keep its time, its transaction and its hash.
DECLARE s record; t text; made boolean; guards text[]; n integer := 0; home name;
BEGIN
  SELECT extnamespace::regnamespace::name INTO home FROM pg_extension WHERE extname = 'timescaledb';
  IF home IS NULL THEN RETURN 0; END IF;
  FOR s IN SELECT * FROM (VALUES ('policy_snapshots', 'fetched_at', interval '1 month'),
      ('policy_changes', 'detected_at', interval '1 month'), ('delivery_events', 'at', interval '1 month'),
      ('audit_log', 'at', interval '1 month'), ('system_metrics', 'at', interval '1 day')) AS v(name, col, chunk)
  LOOP
    EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.hypertables h WHERE h.hypertable_schema = ''app'' AND h.hypertable_name = $1)'
      INTO made USING s.name;
    CONTINUE WHEN made;
    EXECUTE format('LOCK TABLE app.%I IN ACCESS EXCLUSIVE MODE', s.name);
    guards := ARRAY(SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g
                    WHERE g.tgrelid = format('app.%I', s.name)::regclass AND NOT g.tgisinternal ORDER BY g.tgname);
    FOR t IN SELECT g.tgname FROM pg_trigger g WHERE g.tgrelid = format('app.%I', s.name)::regclass AND NOT g.tgisinternal LOOP
      EXECUTE format('DROP TRIGGER %I ON app.%I', t, s.name);
    END LOOP;
    EXECUTE format('SELECT %I.create_hypertable($1::regclass, $2::name, chunk_time_interval => $3, migrate_data => true)', home)
      USING format('app.%I', s.name), s.col, s.chunk;
    FOREACH t IN ARRAY guards LOOP
      EXECUTE t;
    END LOOP;
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;
COMMENT ON FUNCTION app.make_series IS 'Makes the series hypertables where TimescaleDB is; 0 where it is not, or nothing is left to do.';
SELECT app.make_series();

-- 9. First rows -------------------------------------------------------------------------------------
INSERT INTO app.platforms (key, name, aliases, position) VALUES
  ('x', 'X', '{Twitter}', 1), ('facebook', 'Facebook', '{}', 2), ('instagram', 'Instagram', '{}', 3),
  ('linkedin', 'LinkedIn', '{}', 4), ('tiktok', 'TikTok', '{}', 5), ('youtube', 'YouTube', '{}', 6),
  ('bluesky', 'Bluesky', '{}', 7);
INSERT INTO app.member_segments (key, name, criteria) VALUES
  ('all',         'All members',            '{}'),
  ('journalists', 'Journalists',            '{"kind": ["journalist"]}'),
  ('creators',    'Creators',               '{"kind": ["creator"]}'),
  ('eu',          'Members in the European Union', '{"country": ["AT","BE","BG","CY","CZ","DE","DK","EE","ES","FI","FR","GR","HR","HU","IE","IT","LT","LU","LV","MT","NL","PL","PT","RO","SE","SI","SK"]}');
INSERT INTO app.system_config (key, value) VALUES
  ('install_id',       to_jsonb(gen_random_uuid()::text)),
  ('frozen',           'false'),
  ('frozen_reason',    'null'),
  ('rls',              'false'),
  ('origin',           '"installation"'),                  -- demo, bench and tests write their own word here
  ('approvals_needed', '1'),
  ('approvals_needed_critical', '1'),                      -- the larger counts when a draft rests on a critical change
  ('grace_period',     '"00:05:00"'),
  ('approval_expiry',  '"7 days"'),
  ('release_window',   '"24:00:00"'),
  ('growth_limit',     '0.02'),
  ('settings_sha256',  'null'),
  ('request_key',      'null'),                            -- public: what people seal arguments with; only the daemon opens them
  ('timescaledb',      coalesce((SELECT to_jsonb(extversion) FROM pg_extension WHERE extname = 'timescaledb'), 'null'));
INSERT INTO app.users (name, role)
VALUES (coalesce(nullif(current_setting('policywatch.admin_name', true), ''), 'admin'), 'admin');

-- 10. The daemon's rights, one by one -----------------------------------------------------------------
GRANT EXECUTE ON FUNCTION app.pw_now(), app.hint(text, bigint, integer) TO pw_daemon, pw_rolemaker;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO pw_daemon;
GRANT INSERT, UPDATE ON app.platforms, app.policy_documents, app.document_pages, app.hosts, app.document_search,
  app.alerts, app.workers, app.rate_buckets, app.member_segments TO pw_daemon;
GRANT INSERT ON app.extraction_rules, app.contents, app.captures, app.snapshot_keys, app.policy_snapshots,
  app.policy_changes, app.change_states, app.change_analyses, app.publication_recipients, app.suppressions,
  app.inbound_raw, app.delivery_events, app.audit_seals, app.system_metrics TO pw_daemon;
GRANT UPDATE (status, machine_severity, severity, second_look_at, version, updated_at) ON app.change_states TO pw_daemon;
GRANT UPDATE (state, released_at, ended_at, ended_by, frozen_count, pause_reason, release_at, version)
  ON app.guidance_publications TO pw_daemon;
GRANT UPDATE ON app.publication_recipients TO pw_daemon;
GRANT UPDATE (state, owner, lease_until, result, version, ended_at) ON app.requests TO pw_daemon;
GRANT UPDATE (payload, state, outcome) ON app.inbound_raw TO pw_daemon;
GRANT UPDATE (ended_at, ended_by, ended_how) ON app.user_sessions TO pw_daemon;
GRANT UPDATE (value, updated_at, updated_by) ON app.system_config TO pw_daemon;
GRANT DELETE ON app.system_metrics, app.acts, app.workers TO pw_daemon;
RESET ROLE;

-- 11. What PostgreSQL gives to everybody and nobody here needs ------------------------------------------
DO $$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS signature, p.proname LIKE '%advisory%' AS advisory FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = 'pg_catalog' AND (p.proname LIKE 'pg\_%advisory%'
             OR p.proname IN ('lo_create', 'lo_creat', 'lo_from_bytea', 'lo_put')) LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.signature);
    IF f.advisory THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pw_owner, pw_daemon', f.signature);
    END IF;
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'advisory locks and large objects stay open to everybody: revoking them needs an administrator';
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE FUNCTION app.secure_database() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- Database-level rights are in no dump and in no template copy: run after create, restore and up.
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO pw_viewer, pw_daemon, pw_owner', current_database());
  EXECUTE format('GRANT CREATE ON DATABASE %I TO pw_owner', current_database());
END $$;
REVOKE EXECUTE ON FUNCTION app.secure_database() FROM PUBLIC;
SELECT app.secure_database();
