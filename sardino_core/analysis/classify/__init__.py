"""A small classifier from a few labelled areas: features, training pixels, estimators, their file and their report."""
