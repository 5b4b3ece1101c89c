-- The failure ledger: one event a row, never changed.
CREATE TABLE attempts (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    stage VARCHAR NOT NULL,  -- the stage that failed, or that is asked to try again
    item_key VARCHAR NOT NULL CHECK (length(item_key) = 32),  -- the work that failed: the work_key that its row would have had
    item VARCHAR NOT NULL,  -- the item in words: dataset, source, window
    dataset VARCHAR NOT NULL,  -- name of the dataset; empty where there is none
    event VARCHAR NOT NULL CHECK (event IN ('failed', 'retry_requested')),  -- what happened
    error_class VARCHAR NOT NULL,  -- short constant: too_short, no_audio, undecodable, crash, timeout, …
    message VARCHAR NOT NULL,  -- what was expected and what was found
    is_terminal BOOLEAN NOT NULL,  -- no further try until somebody asks for one
    retry_at TIMESTAMPTZ,  -- the earliest next try, UTC; null where terminal or at once
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
