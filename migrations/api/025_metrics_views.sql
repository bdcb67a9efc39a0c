-- What operators measure: sizes, ages, replicas, and the newest of each measurement that the daemon stored.
SET LOCAL ROLE pw_owner;

CREATE VIEW read.table_sizes WITH (security_barrier) AS
SELECT c.relname AS relation, pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS rows
FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') AND (SELECT app.may_read());
COMMENT ON VIEW read.table_sizes IS 'Bytes with indexes and TOAST, rows as the planner estimates them (chunks of a series count apart).';

CREATE VIEW read.queue_ages WITH (security_barrier) AS
SELECT q.queue, q.waiting, q.oldest_seconds FROM (
SELECT 'changes'::text AS queue, (SELECT coalesce(sum(c.waiting), 0)::bigint FROM app.queue_counts c) AS waiting,
       extract(epoch FROM app.pw_now() - (SELECT min(detected_at) FROM app.change_states
                                          WHERE status IN ('queued', 'unconfirmed')))::double precision AS oldest_seconds
UNION ALL
SELECT 'visits', count(*), extract(epoch FROM app.pw_now() - min(due_at))::double precision
  FROM app.policy_documents WHERE state = 'active' AND due_at <= (SELECT app.pw_now())
UNION ALL
SELECT 'approvals', count(*), extract(epoch FROM app.pw_now() - min(requested_at))::double precision
  FROM app.approval_requests WHERE state = 'pending'
UNION ALL
SELECT 'recipients', (SELECT coalesce(sum(c.recipients), 0)::bigint FROM app.publication_counts c WHERE c.state IN ('queued', 'deferred')),
       extract(epoch FROM app.pw_now() - (
         SELECT min(r.next_at) FROM app.guidance_publications p
         CROSS JOIN LATERAL (SELECT x.next_at FROM app.publication_recipients x
                             WHERE x.publication_id = p.id AND x.state IN ('queued', 'deferred') ORDER BY x.next_at LIMIT 1) r
         WHERE p.state IN ('grace', 'releasing', 'paused')))::double precision
UNION ALL
SELECT 'requests', count(*), extract(epoch FROM app.pw_now() - min(requested_at))::double precision
  FROM app.requests WHERE state IN ('waiting', 'serving')
) q WHERE (SELECT app.may_read());

CREATE OR REPLACE FUNCTION app.replicas() RETURNS TABLE (replica text, state text, lag_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, app, pg_temp AS $$
  SELECT coalesce(nullif(application_name, ''), client_addr::text, 'replica'), state,
         coalesce(extract(epoch FROM replay_lag), 0)::double precision FROM pg_stat_replication $$;
COMMENT ON FUNCTION app.replicas IS 'One row per replica; none without replication.';
GRANT EXECUTE ON FUNCTION app.replicas() TO pw_viewer, pw_auditor, pw_daemon;

CREATE VIEW read.replication WITH (security_barrier) AS SELECT replica, state, lag_seconds FROM app.replicas() WHERE (SELECT app.may_read());

CREATE VIEW read.newest_metrics WITH (security_barrier) AS
SELECT DISTINCT ON (m.name, m.labels) m.name, m.labels, m.value, m.at FROM app.system_metrics m
WHERE m.at > (SELECT app.pw_now()) - interval '15 minutes' AND (SELECT app.may_read())
ORDER BY m.name, m.labels, m.at DESC;

CREATE VIEW read.delivery_daily WITH (security_barrier) AS
SELECT e.publication_id, e.day, e.kind, e.events FROM app.delivery_daily e
WHERE (SELECT app.may_read())
  AND ((SELECT app.sees_all()) OR e.publication_id IN (SELECT p.id FROM app.guidance_publications p));
COMMENT ON VIEW read.delivery_daily IS 'Delivery events per publication, day (UTC) and kind.';

CREATE VIEW read.source_states WITH (security_barrier) AS
SELECT CASE WHEN d.state = 'active' THEN d.health ELSE d.state END AS state, count(*) AS documents,
       count(*) FILTER (WHERE d.state = 'active' AND d.blind_since IS NOT NULL) AS blind
FROM app.policy_documents d WHERE d.state <> 'archived' AND (SELECT app.may_read()) GROUP BY 1;
COMMENT ON VIEW read.source_states IS 'Documents by state of health, and how many of them are blind.';

CREATE VIEW read.digests WITH (security_barrier) AS
SELECT g.audience, g.day, g.state, g.cause, g.recipients, g.at, app.pw_now() - g.at AS age FROM app.digests g
WHERE (SELECT app.may_read()) ORDER BY g.day DESC, g.audience;
COMMENT ON VIEW read.digests IS 'The daily digests: to how many, how it ended. No addresses.';

GRANT SELECT ON read.source_states, read.digests, read.delivery_daily, read.table_sizes, read.queue_ages, read.replication, read.newest_metrics TO pw_viewer, pw_auditor, pw_daemon;
GRANT USAGE ON SCHEMA read TO pw_daemon;
RESET ROLE;
