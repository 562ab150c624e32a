"""What the core and its callers (command line, QGIS plugin) say to each other. Standard library, Python 3.9."""
