"""Node tasks."""
