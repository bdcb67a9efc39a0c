-- What the program asks a server before there is any schema.

-- name: database_there
-- CREATE DATABASE has no IF NOT EXISTS.
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = %(name)s) AS there;

-- name: create_database
-- {name}: template0, so that nothing of the server's template comes along and the encoding is ours to choose.
CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8';
