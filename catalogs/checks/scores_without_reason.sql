-- Scores with neither a value nor a reason, or with both.
SELECT 'scores' AS table_name, work_key, name || ': value ' || coalesce(value::VARCHAR, 'null') || ', reason ' || coalesce(reason, 'null') AS message
FROM scores
WHERE (value IS NULL) = (reason IS NULL)
ORDER BY work_key;
