-- The one channel of hints.

-- name: listen
-- A connection of its own: while it waits for notifications nothing else can run on it.
LISTEN policywatch;
