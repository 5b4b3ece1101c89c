-- Clips by dataset, split and label: how many, how long, how large, how many silent or still.
SELECT
    dataset,
    split,
    label,
    count(*) AS clips,
    sum(end_ms - start_ms)::BIGINT / 1000 AS duration_s,
    sum(bytes)::BIGINT AS bytes,
    count(*) FILTER (WHERE is_silent) AS silent,
    count(*) FILTER (WHERE is_still) AS still
FROM clips
GROUP BY dataset, split, label
ORDER BY dataset, split, label;
