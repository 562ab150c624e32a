"""Many dates of one place: which files are one pass, one grid for all, and means over time."""
