"""Helpers of the integration tests: servers, segue, chaos, traffic, catalog."""
