-- One number of one clip of an evaluation: what a score that is a mean over clips consists of, and what else was measured of a clip.
-- output: value
CREATE TABLE clip_scores (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of the score, the name and the clip
    score_key VARCHAR NOT NULL CHECK (length(score_key) = 32),  -- the row of scores that it was measured for
    name VARCHAR NOT NULL,  -- metric.extractor.protocol; of a count or a distance that is no score, the same form
    task VARCHAR NOT NULL,  -- the task, or all
    system VARCHAR NOT NULL,  -- whose clip: uniform, untrained, codec_round_trip, real, …
    model_id VARCHAR,  -- the model; null for systems without one
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- the real clip that gave the condition; of a folder: hash of the name and of the real clip of that name
    clip_name VARCHAR,  -- the clip's name in the folder that was scored; null where clip_id says it
    value DOUBLE NOT NULL,  -- the number, in the units of its metric
    video_sha256 VARCHAR NOT NULL CHECK (length(video_sha256) = 64),  -- sha256 of the file whose picture was looked at; 64 zeros where no file has it
    audio_sha256 VARCHAR NOT NULL CHECK (length(audio_sha256) = 64),  -- sha256 of the file whose sound was listened to; 64 zeros where no file has it
    protocol_hash VARCHAR NOT NULL CHECK (length(protocol_hash) = 32),  -- hash of the protocol
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
