-- Row-level security of people scoped to platforms: switched by the owner of the tables.

-- name: quick
-- A desk that reads holds no lock for long; whoever does is not waited for.
SELECT pg_catalog.set_config('lock_timeout', '10s', true) AS lock_timeout;

-- name: on
SELECT app.rls_on() AS tables;

-- name: off
SELECT app.rls_off() AS tables;

-- name: state
-- What the catalogue says and what system_config tells; scoped: people that a scope is set for.
SELECT (SELECT count(*) FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
        WHERE p.polname = 'scope' AND c.relnamespace = 'app'::regnamespace) AS tables,
       (SELECT count(*) FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
        WHERE p.polname = 'scope' AND c.relnamespace = 'app'::regnamespace
          AND c.relrowsecurity AND c.relforcerowsecurity) AS limited,
       (SELECT value = 'true'::jsonb FROM app.system_config WHERE key = 'rls') AS told,
       (SELECT count(*) FROM app.users WHERE platforms IS NOT NULL AND state = 'active') AS scoped;
