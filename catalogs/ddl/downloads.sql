-- One clip's file of an index dataset, fetched or found, and validated: what ingest works on.
-- output: source_sha256
CREATE TABLE downloads (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of dataset, source id and span
    dataset VARCHAR NOT NULL,  -- name of the dataset
    source_id VARCHAR NOT NULL,  -- identity within the dataset, and stem of the file
    video_id VARCHAR NOT NULL,  -- the video that it is a clip of; the same whatever the dataset
    start_ms BIGINT CHECK (start_ms >= 0),  -- start of the clip in its video, ms; null for the whole video
    end_ms BIGINT CHECK (end_ms > start_ms),  -- end of the clip in its video, ms; null for the whole video
    source VARCHAR NOT NULL,  -- kind of the source that had it: folder, tar, http, youtube, …
    origin VARCHAR NOT NULL,  -- where it came from: a URL without secrets, or a path
    path VARCHAR NOT NULL,  -- the clip's file, relative to the root's media/; a link there where it stays with its owner
    source_sha256 VARCHAR NOT NULL CHECK (length(source_sha256) = 64),  -- sha256 of the file's content
    bytes BIGINT NOT NULL CHECK (bytes > 0),  -- size of the file, bytes
    container VARCHAR NOT NULL,  -- container format, in FFmpeg's words
    duration_s DOUBLE NOT NULL CHECK (duration_s > 0),  -- how long picture and sound both go on, measured, s
    frames INTEGER NOT NULL CHECK (frames > 0),  -- pictures that decode
    width_px INTEGER NOT NULL CHECK (width_px > 0),  -- width of the picture as shown, px
    height_px INTEGER NOT NULL CHECK (height_px > 0),  -- height of the picture as shown, px
    video_rate_hz DOUBLE NOT NULL CHECK (video_rate_hz > 0),  -- mean frame rate, measured, Hz
    video_codec VARCHAR NOT NULL,  -- video codec
    audio_rate_hz INTEGER NOT NULL CHECK (audio_rate_hz > 0),  -- sampling rate, Hz
    channels INTEGER NOT NULL CHECK (channels > 0),  -- audio channels
    audio_codec VARCHAR NOT NULL,  -- audio codec
    audio_peak DOUBLE NOT NULL CHECK (audio_peak >= 0),  -- peak of the sound as one channel, 0 to 1
    audio_rms_db DOUBLE,  -- level of the sound as one channel, dBFS; null for digital silence
    motion DOUBLE NOT NULL CHECK (motion >= 0),  -- mean absolute difference of neighbouring pictures of 64 px short side, grey levels 0 to 255
    is_silent BOOLEAN NOT NULL,  -- the sound's peak is below 1e-4
    is_still BOOLEAN NOT NULL,  -- the picture does not change
    decode_errors INTEGER NOT NULL CHECK (decode_errors >= 0),  -- packets that do not decode, and damaged pictures
    index_sha256 VARCHAR CHECK (length(index_sha256) = 64),  -- sha256 of the index that lists the clip; null where no file does
    tools VARCHAR NOT NULL,  -- versions of what fetched, cut and measured it, a JSON object of texts
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
