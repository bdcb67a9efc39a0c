-- Tests replace the database clock after `up`: real time plus an offset that a test moves.
CREATE TABLE IF NOT EXISTS app.test_clock (shift interval NOT NULL DEFAULT '0');
INSERT INTO app.test_clock SELECT '0' WHERE NOT EXISTS (SELECT FROM app.test_clock);
GRANT SELECT ON app.test_clock TO PUBLIC;
CREATE OR REPLACE FUNCTION app.pw_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, app, pg_temp
AS $$ SELECT pg_catalog.clock_timestamp() + (SELECT shift FROM app.test_clock) $$;
