"""Statements on an expanded schema against the same on a schema of one side only; README.md."""
