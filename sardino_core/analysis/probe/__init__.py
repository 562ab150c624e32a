"""How much land cover features of a patch give away: samples -> features -> folds -> probes -> scores -> report."""
