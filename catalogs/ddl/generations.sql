-- One clip that a model made.
-- output: file_sha256
CREATE TABLE generations (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    model_id VARCHAR NOT NULL CHECK (length(model_id) = 32),  -- the model
    task VARCHAR NOT NULL CHECK (task IN ('t2av', 'a2v', 'v2a')),  -- the task
    system VARCHAR NOT NULL,  -- uniform, or a baseline: untrained, codec_round_trip, …
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- the real clip that gave the condition, and stands as reference
    text_hash VARCHAR,  -- the caption that was given; null without text
    seed BIGINT NOT NULL,  -- seed of the noise
    steps INTEGER NOT NULL CHECK (steps >= 0),  -- sampling steps
    guidance DOUBLE NOT NULL,  -- scale of text guidance; 1 is none
    modality_guidance DOUBLE,  -- scale of guidance by the given sound or picture; 1 is none; null in rows of before it was kept
    guide_scale VARCHAR,  -- scales of guidance by an early average of the model, by modality made, a JSON object; null where there is none
    sampler VARCHAR,  -- sampler with its parameters, a JSON object; null where nothing was sampled, or before it was kept
    path VARCHAR NOT NULL,  -- the mp4, relative to the root's media/
    file_sha256 VARCHAR NOT NULL CHECK (length(file_sha256) = 64),  -- sha256 of the mp4
    bytes BIGINT NOT NULL CHECK (bytes > 0),  -- size of the mp4, bytes
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
