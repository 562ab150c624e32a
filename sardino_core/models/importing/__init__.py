"""From other projects' checkpoints to a model file."""
