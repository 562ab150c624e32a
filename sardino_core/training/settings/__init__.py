"""What a run is told: frozen dataclasses, from YAML and the command line. No torch."""
