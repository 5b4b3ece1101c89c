-- One window of a source, as a canonical clip on disk.
-- output: clip_sha256, split, label
-- cluster: clip_id
CREATE TABLE clips (
    work_key VARCHAR NOT NULL CHECK (length(work_key) = 32),  -- unique: 16-byte hash (hex) of item, stage fingerprint and source sha256
    clip_id VARCHAR NOT NULL CHECK (length(clip_id) = 32),  -- hash of dataset, source id, start_ms, end_ms: survives a change of content
    dataset VARCHAR NOT NULL,  -- name of the dataset
    source_id VARCHAR NOT NULL,  -- identity of the source within the dataset
    video_id VARCHAR,  -- the video that the source is a clip of, where an index says so; the same whatever the dataset
    source_sha256 VARCHAR NOT NULL CHECK (length(source_sha256) = 64),  -- sha256 of the source file
    split VARCHAR NOT NULL,  -- train, held_out, instrument, or the dataset's own name, when the clip was made; now: see sources
    label VARCHAR,  -- class label, where the dataset has one, when the clip was made; now: see sources
    start_ms BIGINT NOT NULL CHECK (start_ms >= 0),  -- start of the window on the source's timeline, ms
    end_ms BIGINT NOT NULL CHECK (end_ms > start_ms),  -- end of the window on the source's timeline, ms
    path VARCHAR NOT NULL,  -- canonical clip, relative to the root's media/
    clip_sha256 VARCHAR NOT NULL CHECK (length(clip_sha256) = 64),  -- sha256 of the canonical clip
    bytes BIGINT NOT NULL CHECK (bytes > 0),  -- size of the canonical clip, bytes
    width_px INTEGER NOT NULL CHECK (width_px > 0),  -- width of the canonical clip, px
    height_px INTEGER NOT NULL CHECK (height_px > 0),  -- height of the canonical clip, px
    frames INTEGER NOT NULL CHECK (frames > 0),  -- frames of the canonical clip
    video_rate_hz DOUBLE NOT NULL CHECK (video_rate_hz > 0),  -- frame rate of the canonical clip, Hz
    samples BIGINT NOT NULL CHECK (samples > 0),  -- audio samples of the canonical clip, mono
    audio_rate_hz INTEGER NOT NULL CHECK (audio_rate_hz > 0),  -- sampling rate of the canonical clip, Hz
    source_width_px INTEGER NOT NULL,  -- width of the source's picture after rotation, px
    source_height_px INTEGER NOT NULL,  -- height of the source's picture after rotation, px
    source_video_rate_hz DOUBLE,  -- average frame rate of the source, Hz; null where the container does not say
    source_audio_rate_hz INTEGER,  -- sampling rate of the source, Hz
    source_channels INTEGER,  -- audio channels of the source
    source_video_codec VARCHAR NOT NULL,  -- video codec of the source
    source_audio_codec VARCHAR,  -- audio codec of the source
    source_duration_s DOUBLE,  -- duration of the source, s
    rotation_deg INTEGER NOT NULL,  -- rotation that was applied, degrees counter-clockwise
    held_frames INTEGER NOT NULL CHECK (held_frames >= 0),  -- frames before the source's first picture or after its last, which show that one (at most one)
    decode_errors INTEGER NOT NULL CHECK (decode_errors >= 0),  -- packets of the source that did not decode, and damaged pictures
    audio_peak DOUBLE NOT NULL,  -- peak of the sound, 0 to 1
    audio_rms_db DOUBLE,  -- level of the sound, dBFS; null for digital silence
    motion DOUBLE NOT NULL,  -- mean absolute difference of neighbouring frames, grey levels 0 to 255
    is_silent BOOLEAN NOT NULL,  -- the sound's peak is below 1e-4
    is_still BOOLEAN NOT NULL,  -- the picture does not change
    picture_hash VARCHAR CHECK (length(picture_hash) = 128),  -- signs of low frequencies at eight moments, hex; null for flat pictures, and for clips of format 1
    sound_print VARCHAR CHECK (length(sound_print) % 4 = 0),  -- signs of energy differences over band and time, four hex digits a frame; null where hardly anything is heard, and for clips of format 1
    event_times_s DOUBLE[],  -- known sound event times, s from the start of the clip (rendered files only)
    attributes VARCHAR NOT NULL,  -- facts carried over from the source, a JSON object of texts
    stage_fp VARCHAR NOT NULL CHECK (length(stage_fp) = 32),  -- fingerprint of the stage that wrote the row: version, parameters, weights, upstream
    run_id VARCHAR NOT NULL,  -- the run that wrote the row (Prefect flow run id, or a local id)
    created_at TIMESTAMPTZ NOT NULL  -- when the row was made, UTC
);
