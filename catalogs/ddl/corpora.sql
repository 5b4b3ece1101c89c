-- Versions of named caption corpora: a policy, and the captions that it selected from the catalog of that day.
-- output: corpus, content_digest
CREATE TABLE corpora (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: hash of name, policy and content
    version VARCHAR NOT NULL CHECK (length(version) = 32),  -- the version: work_key
    corpus VARCHAR NOT NULL,  -- name of the corpus
    policy VARCHAR NOT NULL,  -- which caption stands for a clip, JSON
    versions VARCHAR NOT NULL,  -- Delta versions of the tables that it is read from, JSON
    content_digest VARCHAR NOT NULL CHECK (length(content_digest) = 64),  -- hash of (clip, caption, text) of all, whatever their order
    clips BIGINT NOT NULL CHECK (clips >= 0),  -- clips that have a caption in it
    texts BIGINT NOT NULL CHECK (texts >= 0),  -- different texts
    flagged BIGINT NOT NULL CHECK (flagged >= 0),  -- captions with a flag, duplicates among them
    by_selector BIGINT[] NOT NULL,  -- captions by the selectors of the policy, in their order
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
