-- What one captioner said of one clip. Append-only: a new captioner adds rows beside the old.
-- output: text_hash, status
CREATE TABLE captions (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- the clip
    clip_sha256 VARCHAR NOT NULL CHECK (length(clip_sha256) = 64),  -- sha256 of the canonical clip that was looked at
    captioner VARCHAR NOT NULL,  -- kind of the captioner
    captioner_revision VARCHAR NOT NULL,  -- model id and revision, or the version of the rule
    prompt_hash VARCHAR,  -- the prompt; null for captioners without one
    frame_indices INTEGER[],  -- frames that were looked at; null for captioners that look at none
    raw_text_hash VARCHAR,  -- the text as it came; null where there is none
    text_hash VARCHAR,  -- the cleaned text; null where there is none
    cleaning_version INTEGER NOT NULL,  -- version of the caption cleaning
    tokens_in INTEGER,  -- tokens given to the captioner
    tokens_out INTEGER,  -- tokens that it made
    finish_reason VARCHAR,  -- why generation stopped
    status VARCHAR NOT NULL CHECK (status IN ('success', 'truncated', 'refused', 'empty', 'error')),  -- what became of it
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
