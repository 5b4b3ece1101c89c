-- The features of one text by one encoder, ragged: only the real tokens.
-- output: tensor_sha256
CREATE TABLE text_features (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    text_hash VARCHAR NOT NULL CHECK (length(text_hash) = 32),  -- the text
    encoder VARCHAR NOT NULL,  -- kind of the text encoder
    tokens INTEGER NOT NULL CHECK (tokens > 0),  -- real tokens
    is_truncated BOOLEAN NOT NULL,  -- the text was longer than the encoder's limit
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
