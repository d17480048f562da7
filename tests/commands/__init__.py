"""Contradictory commands at the same moment: README.md."""
