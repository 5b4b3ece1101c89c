-- Clips whose picture and sound differ in length, that last longer than their window (by over a frame), or whose rates
-- differ within a stage. A window may be longer than its clip: `clip_s` above the duration of the spec.
WITH measured AS (
    SELECT
        *,
        frames / video_rate_hz AS video_s,
        samples / audio_rate_hz AS audio_s,
        (end_ms - start_ms) / 1000 AS window_s,
        count(DISTINCT (frames, video_rate_hz, samples, audio_rate_hz)) OVER (PARTITION BY stage_fp) AS forms
    FROM clips
)
SELECT
    'clips' AS table_name,
    work_key,
    format('{}: video {:.3f} s, audio {:.3f} s, window {:.3f} s, {} forms in its stage', path, video_s, audio_s, window_s, forms)
        AS message
FROM measured
WHERE abs(video_s - audio_s) > 0.001 OR video_s - window_s > 1 / video_rate_hz + 0.001 OR forms > 1
ORDER BY work_key;
