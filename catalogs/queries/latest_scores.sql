-- The newest number of every score, with its interval and what it stands on.
SELECT name, task, system, model_id, value, low, high, reason, n_generated, n_reference, protocol, data_digest
FROM scores
QUALIFY row_number() OVER (PARTITION BY name, task, system, model_id ORDER BY created_at DESC, work_key) = 1
ORDER BY name, task, system, model_id;
