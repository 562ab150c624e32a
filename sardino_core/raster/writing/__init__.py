"""From arrays to finished files, whole or not at all."""
