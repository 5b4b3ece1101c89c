-- Every caption of every clip, newest captioner last.
SELECT k.dataset, k.source_id, k.start_ms, c.clip_id, c.captioner, c.captioner_revision, c.status, t.text
FROM captions c
JOIN clips k USING (clip_id, clip_sha256)
LEFT JOIN caption_texts t ON t.text_hash = c.text_hash
ORDER BY k.dataset, k.source_id, k.start_ms, c.created_at, c.work_key;
