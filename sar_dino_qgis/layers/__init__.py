"""How results look in QGIS. Styles are files beside the rasters, so that whoever gets the raster sees the same."""
