"""Rasters in and out: grids, calibrated reading, tiling, blending, streamed writing. No torch, no models."""
