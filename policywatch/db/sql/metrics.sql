-- Measurements: read by the daemon's exposition and by `policywatch metrics`; written by the daemon alone.

-- name: table_sizes
SELECT relation, bytes, rows FROM read.table_sizes ORDER BY relation;

-- name: queue_ages
SELECT queue, waiting, coalesce(oldest_seconds, 0) AS oldest_seconds FROM read.queue_ages;

-- name: replication
SELECT replica, state, lag_seconds FROM read.replication;

-- name: sources
SELECT state, documents, blind FROM read.source_states ORDER BY state;

-- name: digest_ages
SELECT audience, extract(epoch FROM min(age))::double precision AS seconds FROM read.digests WHERE state = 'sent' GROUP BY audience;

-- name: newest
SELECT name, labels, value, at FROM read.newest_metrics ORDER BY name, labels;

-- name: store
INSERT INTO app.system_metrics (name, labels, value)
SELECT m.name, m.labels, m.value
FROM jsonb_to_recordset(%(samples)s::jsonb) AS m (name text, labels jsonb, value double precision);
