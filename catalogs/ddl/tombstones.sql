-- What was taken down: applies to every version that is read.
CREATE TABLE tombstones (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    dataset VARCHAR NOT NULL,  -- name of the dataset; empty for a video of every dataset
    source_id VARCHAR NOT NULL,  -- the source that is gone; or a video that is, with a row for each of its clips beside
    reason VARCHAR NOT NULL,  -- why: takedown request, bad clip, …
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
