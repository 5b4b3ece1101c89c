-- Captions of clips, or of contents of clips, that are not there.
SELECT 'captions' AS table_name, work_key, 'no clip ' || clip_id || ' with sha256 ' || clip_sha256 AS message
FROM captions
ANTI JOIN clips USING (clip_id, clip_sha256)
ORDER BY work_key;
