-- The newest number of every score of each evaluation, with its interval and what it stands on; the newest evaluation
-- first. One model has as many evaluations as it was scored ways: other guidance, other clips. In MLflow the
-- evaluation is the tag uniform.evaluation, and its settings are the parameters of that run.
SELECT stage_fp AS evaluation, name, task, system, model_id, value, low, high, reason, n_generated, n_reference,
    protocol, protocol_hash, data_digest, created_at
FROM scores
QUALIFY row_number() OVER (PARTITION BY stage_fp, name, protocol_hash, task, system, model_id ORDER BY created_at DESC, work_key) = 1
ORDER BY max(created_at) OVER (PARTITION BY stage_fp) DESC, stage_fp, name, task, system, model_id;
