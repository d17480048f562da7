"""Random schemas, operations, writers, roads and faults; README.md."""
