"""make soak-migrate: migrations back and forth on a large table under traffic, replicas attached."""
