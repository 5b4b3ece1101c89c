-- Which version of a corpus is the active one: each row moves the pointer of its corpus; the last one holds.
-- output: version
CREATE TABLE corpus_events (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: hash of corpus and number, so that of two at once one is first
    corpus VARCHAR NOT NULL,  -- name of the corpus
    number INTEGER NOT NULL CHECK (number >= 0),  -- place among the events of the corpus
    kind VARCHAR NOT NULL CHECK (kind IN ('activate', 'rollback')),  -- to a version that is named, or to the one that was active before
    version VARCHAR NOT NULL CHECK (length(version) = 32),  -- the version that is active from here on
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
