"""The plugin in a real QGIS; run by the Python that sees it (`make test-qgis`)."""
