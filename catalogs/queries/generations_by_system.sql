-- Generated clips by task and system.
SELECT task, system, model_id, count(*) AS clips, sum(bytes)::BIGINT AS bytes
FROM generations
GROUP BY task, system, model_id
ORDER BY task, system, model_id;
