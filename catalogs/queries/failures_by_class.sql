-- How many items stand as failed, by stage and class of error; an example of each.
WITH last AS (
    SELECT
        *,
        count(*) FILTER (WHERE event = 'failed') OVER (PARTITION BY stage, item_key) AS tries,
        row_number() OVER (PARTITION BY stage, item_key ORDER BY created_at DESC, event DESC, work_key) AS back
    FROM attempts
)
SELECT
    stage,
    error_class,
    count(*) AS items,
    count(*) FILTER (WHERE is_terminal) AS terminal,
    sum(tries)::BIGINT AS tries,
    min(item) AS example
FROM last
WHERE back = 1 AND event = 'failed'
    AND NOT (stage = 'fetch' AND item_key IN (SELECT work_key FROM stored.downloads))
GROUP BY stage, error_class
ORDER BY stage, items DESC, error_class;
