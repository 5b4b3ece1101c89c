-- What the ledger says last of every item that failed and was not asked for again, newest first; a clip that was fetched
-- after all is none.
WITH last AS (
    SELECT
        *,
        count(*) FILTER (WHERE event = 'failed') OVER (PARTITION BY stage, item_key) AS tries,
        row_number() OVER (PARTITION BY stage, item_key ORDER BY created_at DESC, event DESC, work_key) AS back
    FROM attempts
)
SELECT stage, dataset, item, error_class, message, is_terminal, tries, retry_at, created_at, item_key
FROM last
WHERE back = 1 AND event = 'failed'
    AND NOT (stage = 'fetch' AND item_key IN (SELECT work_key FROM stored.downloads))
ORDER BY created_at DESC, stage, item;
