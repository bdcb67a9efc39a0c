-- Which pages are readable, by which step, and why not; from the view of schema read.

-- name: pages
SELECT platform, document, url, render, step, readable, reason, health, robots, last_good_at
FROM read.page_steps
WHERE (%(platform)s::text IS NULL OR platform = %(platform)s);

-- name: counts
SELECT platform, step, readable, health, reason, count(*) AS pages
FROM read.page_steps
WHERE (%(platform)s::text IS NULL OR platform = %(platform)s)
GROUP BY platform, step, readable, health, reason;
