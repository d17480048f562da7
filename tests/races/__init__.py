"""Names of tables swing under drivers that prepare eagerly."""
