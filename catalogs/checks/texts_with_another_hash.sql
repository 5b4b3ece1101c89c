-- Texts and prompts that are not the ones that their hash names.
SELECT 'caption_texts' AS table_name, work_key, 'hash ' || text_hash || ' is not the hash of its text' AS message
FROM caption_texts
WHERE substr(sha256(text), 1, 32) <> text_hash
UNION ALL
SELECT 'prompts', work_key, 'hash ' || prompt_hash || ' is not the hash of its prompt'
FROM prompts
WHERE substr(sha256(prompt), 1, 32) <> prompt_hash
ORDER BY table_name, work_key;
