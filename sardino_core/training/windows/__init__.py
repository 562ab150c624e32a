"""From files to windows: which rasters and labels belong together, where windows lie, what is read. No torch."""
