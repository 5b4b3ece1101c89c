-- One number of one evaluation, with what it stands on.
-- output: value, reason
CREATE TABLE scores (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    name VARCHAR NOT NULL,  -- metric.extractor.protocol
    task VARCHAR NOT NULL,  -- the task, or all
    system VARCHAR NOT NULL,  -- what was scored: uniform, untrained, codec_round_trip, real, …
    model_id VARCHAR,  -- the model; null for systems without one
    value DOUBLE,  -- the number; null where it cannot be computed
    low DOUBLE,  -- lower end of the 95 % interval
    high DOUBLE,  -- upper end of the 95 % interval
    p DOUBLE,  -- p value of a permutation within classes; null where none was made
    reason VARCHAR,  -- why there is no value; null where there is one
    n_generated BIGINT NOT NULL CHECK (n_generated >= 0),  -- generated items
    n_reference BIGINT NOT NULL CHECK (n_reference >= 0),  -- reference items
    protocol VARCHAR NOT NULL,  -- name of the protocol
    protocol_hash VARCHAR NOT NULL CHECK (length(protocol_hash) = 32),  -- hash of the protocol
    extractors VARCHAR,  -- fingerprint of each extractor that looked, weights and all, a JSON object; null before it was kept
    clips_digest VARCHAR CHECK (length(clips_digest) = 64),  -- digest of the real clips on both sides, and of what is known of them; null before it was kept
    data_digest VARCHAR NOT NULL,  -- content digest of the tables that it stands on
    versions VARCHAR NOT NULL,  -- Delta version of each table that was read, a JSON object
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
