"""Land cover, attention maps and token embeddings from Sentinel-1 with self-distilled vision transformers.

This package never imports qgis or PyQt, and importing it costs nothing: torch, rasterio and numpy are imported where
they are used. See `sardino_core.inference` for the way from a raster to a map, `sardino --help` for the command line.
"""

__version__ = "0.1.0"
