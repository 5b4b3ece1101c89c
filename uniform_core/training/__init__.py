"""Training: configuration, samples, trainer, checkpoints, export. The parts are imported by their own names."""
