-- One file of a dataset, as it was found, fetched or rendered.
-- output: source_sha256, split, label, caption
CREATE TABLE sources (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    dataset VARCHAR NOT NULL,  -- name of the dataset
    source_id VARCHAR NOT NULL,  -- identity within the dataset; for folders the path relative to the folder
    video_id VARCHAR,  -- the video that the source is a clip of, where an index says so; the same whatever the dataset
    split VARCHAR NOT NULL,  -- train, held_out, instrument, or the dataset's own name
    label VARCHAR,  -- class label, where the dataset has one
    caption VARCHAR,  -- caption that came with the source, where there is one
    path VARCHAR NOT NULL,  -- the file: relative to the root's media/, or absolute where it stays with its owner
    source_sha256 VARCHAR NOT NULL CHECK (length(source_sha256) = 64),  -- sha256 of the file's content
    bytes BIGINT NOT NULL CHECK (bytes >= 0),  -- size of the file, bytes
    clip_ids VARCHAR[] NOT NULL,  -- the windows of this source that became clips, in order of time
    event_times_s DOUBLE[],  -- known sound event times on the source's timeline, s (rendered files only)
    attributes VARCHAR NOT NULL,  -- further facts of the source, a JSON object of texts
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
