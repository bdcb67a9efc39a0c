-- Bytes stored once by their SHA-256, and the chain of bases that rebuilds them.

-- name: known
-- Which of the hashes are stored, and how deep: one question per batch.
SELECT sha256, depth FROM app.contents WHERE sha256 = ANY(%(hashes)s::bytea[]);

-- name: insert_many
-- One statement per batch; what another writer stored meanwhile stays as it is.
INSERT INTO app.contents (sha256, codec, base_sha256, depth, raw_len, payload)
SELECT t.sha256, t.codec, t.base_sha256, t.depth, t.raw_len, t.payload
FROM unnest(%(sha256)s::bytea[], %(codec)s::text[], %(base_sha256)s::bytea[], %(depth)s::integer[],
            %(raw_len)s::integer[], %(payload)s::bytea[])
     AS t (sha256, codec, base_sha256, depth, raw_len, payload)
ON CONFLICT (sha256) DO NOTHING;

-- name: chain
-- The content and all it leans on, the wanted one first. For the daemon.
WITH RECURSIVE chain AS (
  SELECT c.sha256, c.codec, c.base_sha256, c.raw_len, c.payload, 0 AS step
  FROM app.contents c WHERE c.sha256 = %(sha256)s
  UNION ALL
  SELECT c.sha256, c.codec, c.base_sha256, c.raw_len, c.payload, b.step + 1
  FROM chain b JOIN app.contents c ON c.sha256 = b.base_sha256 WHERE b.step < 100
)
SELECT sha256, codec, base_sha256, raw_len, payload FROM chain ORDER BY step;

-- name: chain_for_people
-- The same through the view that people may read; LIMIT keeps each step a search by the key, which no join with a barrier is.
WITH RECURSIVE chain AS (
  SELECT c.sha256, c.codec, c.base_sha256, c.raw_len, c.payload, 0 AS step
  FROM read.contents c WHERE c.sha256 = %(sha256)s
  UNION ALL
  SELECT c.sha256, c.codec, c.base_sha256, c.raw_len, c.payload, b.step + 1
  FROM chain b CROSS JOIN LATERAL (SELECT x.* FROM read.contents x WHERE x.sha256 = b.base_sha256 LIMIT 1) c WHERE b.step < 100
)
SELECT sha256, codec, base_sha256, raw_len, payload FROM chain ORDER BY step;
