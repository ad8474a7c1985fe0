"""What crosses the border between two stages, written once: paths, record tables, settings."""
