-- What was measured of single clips: by evaluation, system, task and name, how many clips, and how their values lie; the
-- newest evaluation first.
WITH newest AS (
    SELECT stage_fp, max(created_at) AS made FROM clip_scores GROUP BY stage_fp
), found AS (
    SELECT
        stage_fp,
        system,
        task,
        name,
        count(*) AS clips,
        avg(value) AS mean,
        min(value) AS least,
        median(value) AS median,
        max(value) AS most
    FROM clip_scores
    GROUP BY stage_fp, system, task, name
)
SELECT f.stage_fp AS evaluation, f.* EXCLUDE (stage_fp)
FROM found f JOIN newest n USING (stage_fp)
ORDER BY n.made DESC, evaluation, f.system != 'uniform', f.system, f.task, f.name;
