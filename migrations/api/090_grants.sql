-- Every person may call every act; the act itself checks the role in this database's users. The daemon may call none.
DO $$
DECLARE f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS signature FROM pg_proc p WHERE p.pronamespace = 'act'::regnamespace LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.signature);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pw_viewer', f.signature);
  END LOOP;
END $$;
REVOKE CREATE ON SCHEMA act FROM pw_rolemaker;
