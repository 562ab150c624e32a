"""What a map is worth: sampling, accuracy, agreement, fewer classes; what a scene holds. No networks, no training."""
