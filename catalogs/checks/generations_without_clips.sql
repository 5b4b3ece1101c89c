-- Generations whose reference clip is not there.
SELECT 'generations' AS table_name, work_key, 'no clip ' || clip_id AS message
FROM generations
ANTI JOIN clips USING (clip_id)
ORDER BY work_key;
