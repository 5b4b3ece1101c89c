-- What one screener says of how picture and sound of a clip belong together. A new screener adds rows, never columns.
-- output: av_offset_s, on_screen
CREATE TABLE screens (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of clip, screener and the clip's content
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- the clip
    clip_sha256 VARCHAR NOT NULL CHECK (length(clip_sha256) = 64),  -- sha256 of the canonical clip that was looked at
    dataset VARCHAR NOT NULL,  -- name of the dataset
    screener VARCHAR NOT NULL,  -- name of the screener: tinysync, …
    av_offset_s DOUBLE NOT NULL,  -- by how much the sound comes after the picture where they agree best, s; negative where before
    on_screen DOUBLE NOT NULL,  -- by how much they agree there more than elsewhere: 0 where no offset stands out
    n INTEGER NOT NULL CHECK (n > 0),  -- offsets that were compared
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
