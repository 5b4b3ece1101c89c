-- Texts that occur more than once in a version of a corpus, by selector. A text that is not here occurs once.
-- output: copies
CREATE TABLE corpus_texts (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: hash of version, selector and text
    version VARCHAR NOT NULL CHECK (length(version) = 32),  -- the version of a corpus
    place INTEGER NOT NULL CHECK (place >= 0),  -- the selector, by its place in the policy
    text_hash VARCHAR NOT NULL CHECK (length(text_hash) = 32),  -- the text
    copies BIGINT NOT NULL CHECK (copies > 1),  -- clips for which the selector would take this text
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
