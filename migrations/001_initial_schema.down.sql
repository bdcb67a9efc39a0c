-- Everything of 001 and of api/*.sql but the runner's own tables and the cluster's roles.
DROP SCHEMA IF EXISTS act CASCADE;
DROP SCHEMA IF EXISTS read CASCADE;
DO $$
DECLARE o record;
BEGIN
  FOR o IN SELECT c.oid::regclass AS name FROM pg_class c
           WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')
             AND c.relname NOT IN ('schema_migrations', 'api_files') LOOP
    EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', o.name);
  END LOOP;
  FOR o IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace LOOP
    EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', o.name);
  END LOOP;
  FOR o IN SELECT t.oid::regtype AS name FROM pg_type t
           WHERE t.typnamespace = 'app'::regnamespace AND t.typtype IN ('e', 'd') LOOP
    EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', o.name);
  END LOOP;
END $$;
