"""What is compared: how each arm is trained on a cell's labels and asked about other places."""
