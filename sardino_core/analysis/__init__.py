"""What a map is worth, and whether a scene suits a model: sampling, accuracy, agreement. No networks, no training."""
