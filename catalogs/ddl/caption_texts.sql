-- A text, once, by its hash; work_key is that hash.
-- output: text_hash
-- cluster: text_hash
CREATE TABLE caption_texts (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    text_hash VARCHAR NOT NULL CHECK (length(text_hash) = 32),  -- hash of the text
    text VARCHAR NOT NULL,  -- the text
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
