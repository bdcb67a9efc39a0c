-- The audit log: what auditors and administrators read of it, and how the daemon seals it.

-- name: listed
-- Newest first: the view's order, cut where the index is still in order.
SELECT x.* FROM (
  SELECT id, at, actor, session_id, action, object_kind, object_id, outcome, code, before, after FROM read.audit
  WHERE (%(actor)s::text IS NULL OR actor = %(actor)s) AND (%(action)s::text IS NULL OR action LIKE %(action)s)
    AND (%(object_kind)s::text IS NULL OR object_kind = %(object_kind)s) AND (%(object_id)s::text IS NULL OR object_id = %(object_id)s)
    AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
    AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  LIMIT %(limit)s) x ORDER BY x.id DESC;

-- name: may_check
-- Whether this person may read the log at all: others would see an empty one and believe it.
SELECT coalesce(bool_or(role IN ('admin', 'auditor')), false) OR pg_has_role(session_user, 'pw_owner', 'MEMBER')
       OR pg_has_role(session_user, 'pw_daemon', 'MEMBER') AS may FROM read.me;

-- name: at_one_time
-- All that follows sees the log of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: rows_between
-- A window of numbers, in their order; JSON as the server prints it, since that is what was hashed.
SELECT id, at, actor, session_id::text AS session_id, action, object_kind, object_id, outcome, code, before::text AS before,
       after::text AS after, xid, leaf,
       (%(actor)s::text IS NULL OR actor = %(actor)s) AND (%(action)s::text IS NULL OR action LIKE %(action)s)
       AND (%(object_kind)s::text IS NULL OR object_kind = %(object_kind)s) AND (%(object_id)s::text IS NULL OR object_id = %(object_id)s)
       AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
       AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s) AS wanted
FROM read.audit WHERE id >= %(first)s AND id < %(end)s ORDER BY id;

-- name: unsealed_rows
-- Rows that no seal names, in pages by number.
SELECT id, at, actor, session_id::text AS session_id, action, object_kind, object_id, outcome, code, before::text AS before,
       after::text AS after, xid, leaf, system_identifier,
       (%(actor)s::text IS NULL OR actor = %(actor)s) AND (%(action)s::text IS NULL OR action LIKE %(action)s)
       AND (%(object_kind)s::text IS NULL OR object_kind = %(object_kind)s) AND (%(object_id)s::text IS NULL OR object_id = %(object_id)s)
       AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
       AND (%(since)s::timestamptz IS NULL OR at >= %(since)s) AND (%(until)s::timestamptz IS NULL OR at < %(until)s) AS wanted
FROM read.audit_unsealed WHERE id > %(after)s ORDER BY id LIMIT %(limit)s;

-- name: seals
-- In the order of the chain, in pages by number.
SELECT n, epoch, system_identifier, low, high, row_count, first_id, last_id, ids, root, chain, at
FROM read.audit_seals WHERE n > %(after)s ORDER BY n LIMIT %(limit)s;

-- name: seal_before
-- The newest seal that cannot hold a row of this time or a later one: where a chain of later rows begins.
SELECT n, epoch, system_identifier, low, high, row_count, first_id, last_id, ids, root, chain, at
FROM read.audit_seals WHERE at < %(since)s ORDER BY n DESC LIMIT 1;

-- name: newest_seal
SELECT n, epoch, system_identifier, low, high, row_count, first_id, last_id, ids, root, chain, at
FROM read.audit_seals ORDER BY n DESC LIMIT 1;

-- name: seal
SELECT n, epoch, system_identifier, low, high, row_count, first_id, last_id, ids, root, chain, at
FROM read.audit_seals WHERE n = %(n)s;

-- name: sealed_rows
-- How many rows the seals up to one hold.
SELECT coalesce(sum(row_count), 0)::bigint AS rows FROM read.audit_seals WHERE n <= %(n)s;

-- name: cluster
SELECT c.system_identifier FROM pg_catalog.pg_control_system() c;

-- name: try_sealing
-- One daemon seals at a time; the others pass on. Held to the end of the transaction.
SELECT pg_catalog.pg_try_advisory_xact_lock(%(key)s) AS held;

-- name: waiting
-- What is to be sealed: rows of finished transactions (counted up to a limit) with the age of the oldest, and the age of
-- the oldest row of all. In another cluster than the newest seal's, every row that no seal names.
WITH newest AS (
  SELECT s.epoch, s.high, s.system_identifier FROM app.audit_seals s ORDER BY s.id DESC LIMIT 1
), here AS (
  SELECT c.system_identifier, pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) AS horizon FROM pg_catalog.pg_control_system() c
), opened AS (
  SELECT coalesce(s.last_id, 0) AS boundary FROM app.audit_seals s JOIN newest n ON n.epoch = s.epoch WHERE s.low = '0'
)
SELECT n.high IS NULL AS opening,
       (SELECT count(*) FROM (SELECT FROM app.audit_log a WHERE a.xid >= n.high AND a.xid < h.horizon AND a.id > o.boundary
                              LIMIT %(limit)s) x) AS rows,
       (SELECT app.pw_now() - min(a.at) FROM app.audit_log a WHERE a.xid >= n.high AND a.xid < h.horizon AND a.id > o.boundary) AS age,
       (SELECT app.pw_now() - min(a.at) FROM app.audit_log a WHERE a.xid >= n.high AND a.id > o.boundary) AS oldest
FROM here h LEFT JOIN newest n USING (system_identifier) LEFT JOIN opened o ON n.high IS NOT NULL;

-- name: unsealed_age
-- Before the first seal of an epoch, where transaction numbers say nothing.
SELECT app.pw_now() - min(at) AS age FROM read.audit_unsealed;

-- name: hold
SELECT app.hold_audit();

-- name: head
-- The newest seal, whichever cluster it was made in, and how far this cluster's transactions have all ended.
SELECT c.system_identifier AS here, pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text AS horizon,
       s.system_identifier, s.epoch, s.high::text AS high, s.chain,
       (SELECT coalesce(o.last_id, 0) FROM app.audit_seals o WHERE o.epoch = s.epoch AND o.low = '0') AS boundary
FROM pg_catalog.pg_control_system() c LEFT JOIN (SELECT * FROM app.audit_seals ORDER BY id DESC LIMIT 1) s ON true;

-- name: members
-- The rows that a seal will name: transactions from `low` on that had ended at `high`. Nothing can join them any more.
SELECT count(*) AS row_count, min(a.id) AS first_id, max(a.id) AS last_id, range_agg(int8range(a.id, a.id, '[]')) AS ids
FROM app.audit_log a WHERE a.xid >= %(low)s::text::xid8 AND a.xid < %(high)s::text::xid8 AND a.id > %(boundary)s;

-- name: members_opening
-- The rows that the first seal of an epoch names: all that no seal has.
SELECT count(*) AS row_count, min(u.id) AS first_id, (SELECT coalesce(max(a.id), 0) FROM app.audit_log a) AS last_id,
       range_agg(int8range(u.id, u.id, '[]')) AS ids
FROM read.audit_unsealed u;

-- name: leaves
-- Their hashes, in pages by number.
SELECT a.id, a.leaf FROM app.audit_log a
WHERE a.id > %(after)s AND a.id <= %(last)s AND %(ids)s::int8multirange @> a.id ORDER BY a.id LIMIT %(limit)s;

-- name: add_seal
INSERT INTO app.audit_seals (epoch, system_identifier, low, high, row_count, first_id, last_id, ids, root, chain)
VALUES (%(epoch)s, %(here)s, %(low)s::text::xid8, %(high)s::text::xid8, %(row_count)s, %(first_id)s, %(last_id)s,
        coalesce(%(ids)s::int8multirange, '{}'), %(root)s, %(chain)s)
RETURNING id AS n, epoch, system_identifier, low::text AS low, high::text AS high, row_count, first_id, last_id, ids, root, chain, at;
