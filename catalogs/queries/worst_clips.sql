-- The clips of the model that was measured last, of each task those of its newest evaluation, the worst first. `badness`
-- is the mean over a clip's measures of the share of clips that are better by it: 1 is the worst by each. Measures of which
-- neither direction is better are left out.
WITH measured AS (
    SELECT task, stage_fp, model_id, max(created_at) AS made FROM clip_scores WHERE system = 'uniform'
    GROUP BY task, stage_fp, model_id
), newest AS (
    SELECT task, stage_fp FROM measured
    WHERE model_id IS NOT DISTINCT FROM (SELECT model_id FROM measured ORDER BY made DESC, stage_fp LIMIT 1)
    QUALIFY row_number() OVER (PARTITION BY task ORDER BY made DESC, stage_fp) = 1
), ranked AS (
    SELECT
        task,
        clip_id,
        name,
        video_sha256,
        audio_sha256,
        percent_rank() OVER (
            PARTITION BY task, name, protocol_hash ORDER BY CASE WHEN starts_with(name, 'kl') THEN value ELSE -value END
        ) AS badness
    FROM clip_scores SEMI JOIN newest USING (task, stage_fp)
    WHERE system = 'uniform'
        AND split_part(name, '.', 1) NOT IN ('av_align_chance', 'onset_count', 'motion_peak_count', 'nearest_trained')
), ordered AS (
    SELECT
        r.task,
        r.clip_id,
        count(*) AS measures,
        avg(r.badness) AS badness,
        arg_max(r.name, r.badness) AS worst_by,
        min(r.video_sha256) AS video_sha256,
        min(r.audio_sha256) AS audio_sha256
    FROM ranked r
    GROUP BY r.task, r.clip_id
), named AS (
    SELECT clip_id, any_value(label) AS label FROM clips GROUP BY clip_id
), files AS (
    SELECT file_sha256 AS sha256, min(path) AS path FROM generations GROUP BY file_sha256
)
SELECT o.task, o.clip_id, n.label, o.measures, o.badness, o.worst_by, f.path
FROM ordered o
LEFT JOIN named n USING (clip_id)
LEFT JOIN files f ON f.sha256 = o.video_sha256
ORDER BY o.badness DESC, o.task, o.clip_id;
