-- Latents by codec and stage fingerprint, and how many clips they cover.
SELECT modality, codec, stage_fp, count(*) AS latents, count(DISTINCT clip_id) AS clips, min(dtype) AS dtype
FROM latents
GROUP BY modality, codec, stage_fp
ORDER BY modality DESC, codec, stage_fp;
