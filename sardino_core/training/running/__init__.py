"""What surrounds a training loop: run folder, checkpoints, log, several processes, precision."""
