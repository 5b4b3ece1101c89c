"""The subject: audio-visual clips, latents, the UniForm model, its metrics. Knows no Prefect, no Ray, no MLflow."""

__version__ = "0.1.0"
