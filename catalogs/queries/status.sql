-- Every table: its rows, the bytes of the files that it names (media only), and when it was last written, UTC.
SELECT 'attempts' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM attempts
UNION ALL
SELECT 'caption_texts' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM caption_texts
UNION ALL
SELECT 'captions' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM captions
UNION ALL
SELECT 'clip_scores' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM clip_scores
UNION ALL
SELECT 'clips' AS table_name, count(*) AS rows, sum(bytes)::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM clips
UNION ALL
SELECT 'corpora' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM corpora
UNION ALL
SELECT 'corpus_events' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM corpus_events
UNION ALL
SELECT 'corpus_texts' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM corpus_texts
UNION ALL
SELECT 'downloads' AS table_name, count(*) AS rows, sum(bytes)::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM downloads
UNION ALL
SELECT 'features' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM features
UNION ALL
SELECT 'generations' AS table_name, count(*) AS rows, sum(bytes)::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM generations
UNION ALL
SELECT 'latents' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM latents
UNION ALL
SELECT 'models' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM models
UNION ALL
SELECT 'prompts' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM prompts
UNION ALL
SELECT 'scores' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM scores
UNION ALL
SELECT 'screens' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM screens
UNION ALL
SELECT 'sources' AS table_name, count(*) AS rows, sum(bytes)::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM sources
UNION ALL
SELECT 'text_features' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM text_features
UNION ALL
SELECT 'tombstones' AS table_name, count(*) AS rows, NULL::BIGINT AS bytes, strftime(max(created_at), '%Y-%m-%d %H:%M:%S') AS last_write FROM tombstones
ORDER BY table_name;
