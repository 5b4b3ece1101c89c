-- Every model that can make clips, the newest first, and how many numbers speak of it.
SELECT m.model_id, strftime(m.created_at, '%Y-%m-%d %H:%M:%S') AS trained, m.steps, m.parameters, count(s.work_key) AS scores
FROM models m LEFT JOIN scores s ON s.model_id = m.model_id AND s.system = 'uniform'
WHERE m.kind = 'uniform'
GROUP BY ALL ORDER BY trained DESC, m.model_id;
