-- What an extractor saw in one file.
-- output: tensor_sha256
CREATE TABLE features (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    content_sha256 VARCHAR NOT NULL CHECK (length(content_sha256) = 64),  -- sha256 of the file that was looked at
    modality VARCHAR NOT NULL CHECK (modality IN ('video', 'audio', 'joint')),  -- what was looked at
    extractor VARCHAR NOT NULL,  -- name of the extractor
    extractor_fp VARCHAR NOT NULL CHECK (length(extractor_fp) = 32),  -- fingerprint of the extractor: weights and parameters
    layer VARCHAR NOT NULL,  -- which output: features, logits, …
    protocol_part VARCHAR NOT NULL CHECK (length(protocol_part) = 32),  -- hash of the loading rule: rate, size, window
    shard VARCHAR NOT NULL,  -- tensor shard, relative to the root's tensors/
    row_group INTEGER NOT NULL CHECK (row_group >= 0),  -- row group within the shard
    row_in_group INTEGER NOT NULL CHECK (row_in_group >= 0),  -- row within the row group
    shape BIGINT[] NOT NULL,  -- shape of the tensor, elements per axis
    dtype VARCHAR NOT NULL,  -- element type of the tensor, NumPy name
    tensor_sha256 VARCHAR NOT NULL CHECK (length(tensor_sha256) = 64),  -- sha256 of the tensor's bytes
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
