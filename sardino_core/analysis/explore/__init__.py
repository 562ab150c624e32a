"""Token space without labels: clusters, their codebook, and likeness to marked places. No network, no rasters."""
