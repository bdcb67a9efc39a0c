-- What the series get beyond plain tables, by edition. plain: nothing, the daemon forgets by itself. apache: chunks, which
-- the daemon drops whole. timescale: columnstore, policies that the server runs, a daily continuous aggregate.
-- Nothing of policy_snapshots, policy_changes, delivery_events and audit_log is ever deleted.

DO $$
-- Anybody who logs in could schedule work that runs for ever (and could then not be dropped as a role).
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_proc p
           JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
           JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'timescaledb'
           WHERE p.proname ~ '^(add_job|alter_job|add_.*_policy|add_policies|alter_policies)$' LOOP
    EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO pw_owner', f);
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'jobs of TimescaleDB stay open to everybody: revoking them needs an administrator';
END $$;

SET LOCAL ROLE pw_owner;

CREATE OR REPLACE FUNCTION app.series_edition() RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, app, pg_temp AS $$
-- That a function of the Community edition exists says nothing: the Apache edition has it too, and it raises.
DECLARE made boolean := false;
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
    EXECUTE 'SELECT count(*) = 5 FROM timescaledb_information.hypertables WHERE hypertable_schema = ''app''' INTO made;
  END IF;
  RETURN CASE WHEN NOT made THEN 'plain' WHEN current_setting('timescaledb.license', true) = 'timescale' THEN 'timescale' ELSE 'apache' END;
END $$;
COMMENT ON FUNCTION app.series_edition IS 'plain (ordinary tables) | apache (hypertables) | timescale (with columnstore, policies, continuous aggregate).';

CREATE OR REPLACE FUNCTION app.settle_series() RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, app, pg_temp AS $$
-- Brings columnstore, policies and app.delivery_daily to what the edition allows; safe to repeat. Returns the edition.
DECLARE
  edition text := app.series_edition();
  home name := (SELECT extnamespace::regnamespace::name FROM pg_extension WHERE extname = 'timescaledb');
  daily boolean := false;
  compressed boolean;
  s record;
BEGIN
  IF edition = 'timescale' THEN
    FOR s IN SELECT * FROM (VALUES ('delivery_events', 'publication_id', interval '3 months'),
        ('audit_log', '', interval '3 months'), ('system_metrics', 'name', interval '7 days')) AS v(name, segments, after) LOOP
      EXECUTE 'SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_schema = ''app'' AND hypertable_name = $1'
        INTO compressed USING s.name;
      IF NOT compressed THEN
        EXECUTE format('ALTER TABLE app.%I SET (timescaledb.compress, timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = ''at, id'')',
                       s.name, s.segments);
      END IF;
      EXECUTE format('CALL %I.add_columnstore_policy($1::regclass, after => $2, if_not_exists => true)', home)
        USING format('app.%I', s.name), s.after;
    END LOOP;
    EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.continuous_aggregates WHERE view_schema = ''app'' AND view_name = ''delivery_daily'')'
      INTO daily;
    IF NOT daily THEN
      DROP VIEW IF EXISTS app.delivery_daily;
      EXECUTE format('CREATE MATERIALIZED VIEW app.delivery_daily WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
        SELECT publication_id, %I.time_bucket(interval ''1 day'', at) AS day, kind, count(*) AS events
        FROM app.delivery_events GROUP BY 1, 2, 3 WITH NO DATA', home);
    END IF;
    -- From the beginning: an event that is written late still finds its day.
    EXECUTE format('SELECT %I.add_continuous_aggregate_policy(''app.delivery_daily'', start_offset => NULL::interval,
      end_offset => interval ''1 day'', schedule_interval => interval ''1 hour'', if_not_exists => true)', home);
  ELSE
    IF home IS NOT NULL THEN  -- the licence went back: what the server made stays readable
      EXECUTE 'SELECT EXISTS (SELECT FROM timescaledb_information.continuous_aggregates WHERE view_schema = ''app'' AND view_name = ''delivery_daily'')'
        INTO daily;
    END IF;
    IF NOT daily THEN
      CREATE OR REPLACE VIEW app.delivery_daily AS
      SELECT publication_id, date_trunc('day', at, 'UTC') AS day, kind, count(*) AS events FROM app.delivery_events GROUP BY 1, 2, 3;
    END IF;
  END IF;
  RETURN edition;
END $$;
COMMENT ON FUNCTION app.settle_series IS 'Columnstore, policies and the daily figures as the edition allows; returns the edition.';

CREATE OR REPLACE FUNCTION app.forget_metrics(p_keep interval, p_most integer, OUT way text, OUT gone bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp AS $$
-- way: rows (DELETE, at most p_most of them), chunks (dropped whole), policy (the server does it; gone is 1 when it was set anew).
DECLARE
  home name := (SELECT extnamespace::regnamespace::name FROM pg_extension WHERE extname = 'timescaledb');
  stands interval;
BEGIN
  CASE app.series_edition()
  WHEN 'timescale' THEN
    way := 'policy';
    EXECUTE 'SELECT (config ->> ''drop_after'')::interval FROM timescaledb_information.jobs WHERE proc_name = ''policy_retention''
             AND hypertable_schema = ''app'' AND hypertable_name = ''system_metrics''' INTO stands;
    gone := (stands IS DISTINCT FROM p_keep)::integer;
    IF gone > 0 THEN
      EXECUTE format('SELECT %I.remove_retention_policy(''app.system_metrics'', if_exists => true)', home);
      EXECUTE format('SELECT %I.add_retention_policy(''app.system_metrics'', drop_after => $1)', home) USING p_keep;
    END IF;
  WHEN 'apache' THEN
    way := 'chunks';
    EXECUTE format('SELECT count(*) FROM %I.drop_chunks(''app.system_metrics'', older_than => $1)', home)
      INTO gone USING app.pw_now() - p_keep;
  ELSE
    way := 'rows';
    DELETE FROM app.system_metrics m USING (
      SELECT o.id, o.at FROM app.system_metrics o WHERE o.at < (SELECT app.pw_now()) - p_keep ORDER BY o.at LIMIT p_most) old
    WHERE m.id = old.id AND m.at = old.at;
    GET DIAGNOSTICS gone = ROW_COUNT;
  END CASE;
END $$;
COMMENT ON FUNCTION app.forget_metrics IS 'Figures beyond their retention go, in the way of the edition; called again while rows go.';
GRANT EXECUTE ON FUNCTION app.forget_metrics(interval, integer) TO pw_daemon;

SELECT app.settle_series();
RESET ROLE;
