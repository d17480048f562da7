"""What plan may refuse of what is generated, and why that is right. Everything else that it refuses is a failure."""

import re

# What only a server says, or an accident: never of a file that is sound.
STRANGE = re.compile(r"syntax error|internal|cache lookup|unexpected|assert|XX000|terminated|does not exist|cannot cast|must be type", re.I)

# (words, why)
PERMITTED = [(re.compile(words), why) for words, why in (
    # README, "What it does not do yet"
    (r"a partition's own object on column .* cannot be carried", "an index of one partition alone"),
    (r"PostgreSQL builds the index of an exclusion constraint", "only under a lock that keeps writers out"),
    (r"an exclusion constraint cannot be carried", "the same, of a split"),
    (r"is part of the partition key", "PostgreSQL puts no table on another key"),
    (r"is an identity column: it must be NOT NULL, and smallint, integer or bigint", "PostgreSQL's own rule"),
    (r"foreign keys of partitioned tables cannot be carried yet", "a scan under a lock"),
    (r"a foreign key of a partitioned table cannot be made again without reading", "a scan under a lock"),
    (r"must include all partitioning columns", "README: they are among its own"),
    # what depends on columns that go, or get another half
    (r"it reads the column and would block its drop", "a rule, or a view over views"),
    (r"row security policies cannot be carried", "a policy reads the column"),
    (r"a generated column reads the column", "it would have to be computed anew"),
    (r"it fires on the column, or its WHEN reads it", "a trigger"),
    (r"extended statistics over it would go with it", "of a column that is dropped or split"),
    (r"another table's foreign key refers to the column", "of a column that is dropped"),
    (r"values of type .* have no order", "of extended statistics"),
    (r"cannot follow the change of type", "an expression that the new type has not"),
    (r"has no default operator class for", "an index that the new type cannot have"),
    (r"until complete it would refuse all but one row of the new application", "a unique index over a constant"),
    # NOT NULL
    (r"is NOT NULL until complete: rows of the new application need a value", "down is left out"),
    (r"is NOT NULL and has no default: until complete, rows of the new application need a value", "down is left out"),
    (r"of the primary key, or an identity column: it cannot be NULL", "PostgreSQL's own rule"),
    (r"its column .* cannot be NULL", "a key, or the replica identity"),
    # values
    (r"the column is NOT NULL and up gives NULL for", "rows that up has no value for"),
    (r"the default of .* cannot be moved|up cannot take the default", "a default that up does not stand"),
    (r"a domain with constraints, cannot be added without rewriting the table", "PostgreSQL would"),
    (r"its sequence would be called .*, which is taken, or too long", "a name of 63 bytes"),
    # whole things
    (r"constraint .* needs it", "drop_constraint is for that"),
    (r".* needs it$", "an index that a foreign key needs"),
    (r"it is the replica identity of|it is the table's replica identity", "set_replica_identity first"),
    (r"it depends on what drop_table drops", "a foreign key, or a view"),
    (r"it is on column .*, which this file replaces", "of set_replica_identity: an index that is made anew"),
    (r"this file drops it: complete would leave table", "the same, of one that goes"),
    (r"its column .* may be NULL from the cut-over on", "the same: PostgreSQL wants NOT NULL"),
    (r"the file drops table .*, too|the file drops its table|the file drops it, and changes it by another operation", "said twice"),
    (r"this file (drops|replaces) (table|column|constraint|index) ", "of what another operation needs"),
    (r"it goes with column", "of what goes in any case"),
    (r"it is called .* when complete runs what names it by its old name", "README, on rename_table and sql"),
    (r"relations have one of its two names: too many", "of rename_table"),
    (r"the file changes this table by another operation", "SQL of the file's own"),
    (r"it stands between two operations on", "SQL of the file's own"),
    (r"publication .* sends", "what subscribers could not tell"),
    (r"it uses type", "of remove_enum"),
    (r"row security of .* would hide rows", "README: whoever owns the table, and bypasses nothing"),
    (r"would run after the guard", "a trigger's name"),
    (r"a role that may write to the table may not use what", "README: who may not call it"),
)]


def is_permitted(text):
    return any(words.search(text) for words, _ in PERMITTED)
