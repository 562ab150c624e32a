"""Widgets. Nothing here is imported before a window needs it."""
