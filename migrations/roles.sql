-- The group roles. Run by the migration runner in the transaction of each migration, before it, and by a restore
-- before the dump, whose owners and grants name them (another cluster may not have them). Safe to repeat.
-- Roles belong to the cluster, not to the database: made when missing, never dropped by a down file. People's own
-- login roles are not here: the administrator's is made after `up`, the others by act.user_add.
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT * FROM (VALUES
      ('pw_owner',     'LOGIN'),            -- LOGIN without password: background jobs of the series need it
      ('pw_rolemaker', 'NOLOGIN CREATEROLE'),
      ('pw_peer',      'NOLOGIN'),           -- members are identified by their operating system account
      ('pw_viewer',    'NOLOGIN'), ('pw_reviewer', 'NOLOGIN'), ('pw_editor', 'NOLOGIN'),
      ('pw_approver',  'NOLOGIN'), ('pw_admin',    'NOLOGIN'), ('pw_auditor', 'NOLOGIN'),
      ('pw_daemon',    'LOGIN')) AS v(name, options)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I %s', r.name, r.options);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of the cluster was faster
      END;
    END IF;
  END LOOP;
END $$;
DO $$
BEGIN  -- an administrator who is no superuser acts as these two only when they are granted
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
     AND NOT (pg_has_role('pw_owner', 'USAGE') AND pg_has_role('pw_rolemaker', 'USAGE')) THEN
    EXECUTE format('GRANT pw_owner, pw_rolemaker TO %I', current_user);
  END IF;
END $$;
GRANT pw_viewer   TO pw_reviewer, pw_auditor;
GRANT pw_reviewer TO pw_editor;
GRANT pw_editor   TO pw_approver;
GRANT pw_approver TO pw_admin;
-- PostgreSQL 16 and later let a role with CREATEROLE grant only what it holds with ADMIN.
GRANT pw_viewer, pw_reviewer, pw_editor, pw_approver, pw_admin, pw_auditor, pw_peer TO pw_rolemaker WITH ADMIN OPTION;

DO $$
BEGIN  -- the owner sees replicas and their lag; an administrator may refuse it
  GRANT pg_read_all_stats TO pw_owner;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'pw_owner does not see replication statistics';
END $$;
DO $$
BEGIN  -- the owner's narrow function ends connections of people whose session was ended; an administrator may refuse it
  GRANT pg_signal_backend TO pw_owner;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'pw_owner cannot end connections: an ended session stops at its next act';
END $$;
