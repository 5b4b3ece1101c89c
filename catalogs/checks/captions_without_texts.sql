-- Captions whose raw or cleaned text, or that of a try that was not kept, is not there.
SELECT 'captions' AS table_name, c.work_key, 'no text ' || h.text_hash AS message
FROM captions c, unnest([c.raw_text_hash, c.text_hash] || coalesce(c.other_raw_text_hashes, [])) AS h(text_hash)
WHERE h.text_hash IS NOT NULL AND h.text_hash NOT IN (SELECT text_hash FROM caption_texts)
ORDER BY c.work_key;
