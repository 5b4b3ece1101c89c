-- A trained model or a feature net, complete on disk.
-- output: weights_sha256
CREATE TABLE models (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    model_id VARCHAR NOT NULL CHECK (length(model_id) = 32),  -- identity of the trained weights: hash of the training fingerprint and data digest
    kind VARCHAR NOT NULL,  -- uniform, unimodal (of sound or of picture alone), checkpoint (of one in training), video_net, mel_net or sync_net
    path VARCHAR NOT NULL,  -- folder, relative to the root's checkpoints/
    weights_sha256 VARCHAR NOT NULL CHECK (length(weights_sha256) = 64),  -- sha256 of the weights file
    parameters BIGINT NOT NULL CHECK (parameters > 0),  -- number of trained values
    steps BIGINT NOT NULL CHECK (steps >= 0),  -- optimizer steps
    data_digest VARCHAR NOT NULL,  -- content digest of the tables that it was trained on
    versions VARCHAR NOT NULL,  -- Delta version of each table that was read, a JSON object
    corpus VARCHAR,  -- the version of a corpus that its captions came from, name@version; null where the run's captioners said them
    metrics VARCHAR NOT NULL,  -- final numbers of the training, a JSON object
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
