-- What the program asks a server before there is any schema.

-- name: database_there
-- CREATE DATABASE has no IF NOT EXISTS.
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = %(name)s) AS there;

-- name: create_database
-- {name}: template0, so that nothing of the server's template comes along and the encoding is ours to choose.
CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8';

-- name: drop_database
-- {name}: with whoever is still connected; only ever one that this program began itself.
DROP DATABASE IF EXISTS {name} WITH (FORCE);

-- name: rename_database
-- {old}, {new}: a restored database gets its name when it is whole and frozen.
ALTER DATABASE {old} RENAME TO {new};

-- name: read_files_again
-- pg_hba.conf and pg_ident.conf, for connections to come.
SELECT pg_catalog.pg_reload_conf();

-- name: end_connections
-- Background workers of an extension look into every database, and a rename needs it empty.
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = %(name)s;
