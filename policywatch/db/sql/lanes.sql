-- name: take_lanes
-- One request at a time per host over all daemons. A row: that lane is ours until the lease ends. While an open
-- breaker is probed it stays open for all others; the probe is ours alone, since the lane is. Hosts come sorted and
-- are locked in that order.
INSERT INTO app.hosts AS h (host, owner, lease_until, next_allowed_at)
SELECT a.host, a.holder, app.pw_now() + %(lease)s::interval, app.pw_now()
FROM unnest(%(hosts)s::text[], %(holders)s::text[]) AS a(host, holder) ORDER BY a.host
ON CONFLICT (host) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until,
  open_until = CASE WHEN h.open_until IS NOT NULL THEN excluded.lease_until END
  WHERE h.next_allowed_at <= app.pw_now() AND (h.lease_until IS NULL OR h.lease_until < app.pw_now())
    AND (h.open_until IS NULL OR h.open_until <= app.pw_now())
RETURNING h.host, h.robots_status, h.robots_at,
          extract(epoch FROM app.pw_now() - h.robots_at)::double precision AS robots_age;

-- name: lane_wait
-- Why a lane is not free, and for how many seconds: its gap or what the host asked for, its breaker, its holder.
SELECT greatest(extract(epoch FROM h.next_allowed_at - app.pw_now()), 0)::double precision AS gap,
       greatest(extract(epoch FROM h.open_until - app.pw_now()), 0)::double precision AS shut,
       coalesce(h.lease_until >= app.pw_now(), false) AS held, h.cause,
       to_char(greatest(h.next_allowed_at, h.open_until) AT TIME ZONE 'UTC', 'HH24:MI') AS until
FROM app.hosts h WHERE h.host = %(host)s;

-- name: leave_lanes
-- What a turn came to. Not used: nothing is known and no gap begins. Five failures in a row open the breaker for
-- 5 min, each further one (of a probe) twice as long, at most 6 h. 429 and 503 without Retry-After: 15 min, doubling,
-- at most a day.
WITH a AS (
  SELECT * FROM unnest(%(hosts)s::text[], %(holders)s::text[], %(gaps)s::interval[], %(used)s::boolean[],
    %(failed)s::text[], %(asked)s::text[], %(waits)s::interval[]) AS a(host, holder, gap, used, failed, asked, wait)
), ours AS MATERIALIZED (
  SELECT h.host FROM app.hosts h JOIN a ON a.host = h.host AND a.holder = h.owner ORDER BY h.host FOR UPDATE OF h
)
UPDATE app.hosts h SET
  owner = NULL, lease_until = NULL,
  next_allowed_at = greatest(h.next_allowed_at, CASE WHEN a.used THEN app.pw_now() + a.gap END,
    CASE WHEN a.asked IS NOT NULL
      THEN app.pw_now() + coalesce(a.wait, least(coalesce(h.back_off * 2, '15 minutes'), '24 hours')) END),
  back_off = CASE WHEN a.asked IS NOT NULL AND a.wait IS NULL THEN least(coalesce(h.back_off * 2, '15 minutes'), '24 hours')
    WHEN a.used AND a.asked IS NULL AND a.failed IS NULL THEN NULL ELSE h.back_off END,
  failures = CASE WHEN NOT a.used THEN h.failures WHEN a.failed IS NULL THEN 0 ELSE h.failures + 1 END,
  open_until = CASE WHEN a.used AND a.failed IS NULL THEN NULL
    WHEN a.used AND h.failures >= 4 THEN app.pw_now() + least('5 minutes'::interval * 2 ^ least(h.failures - 4, 10), '6 hours')
    WHEN h.open_until IS NOT NULL THEN app.pw_now() END,
  cause = CASE WHEN NOT a.used THEN h.cause WHEN a.asked IS NOT NULL THEN a.asked WHEN a.failed IS NULL THEN NULL
    WHEN h.failures >= 4 THEN left(format('%%s requests in a row failed, the last: %%s', h.failures + 1, a.failed), 500)
    ELSE h.cause END
FROM a JOIN ours ON ours.host = a.host
WHERE h.host = a.host
RETURNING h.host, greatest(extract(epoch FROM h.next_allowed_at - app.pw_now()), 0)::double precision AS wait;

-- name: robots_of
-- The robots.txt of a host as it was last fetched.
SELECT robots, robots_status, robots_at FROM app.hosts WHERE host = %(host)s;

-- name: keep_robots
-- Fetched anew. The row is there: its lane was taken for it.
UPDATE app.hosts SET robots = %(text)s, robots_status = %(status)s, robots_at = app.pw_now() WHERE host = %(host)s;
