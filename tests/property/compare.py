"""The catalog of a database, whole: what lib.catalog has of each table, and what is of partitions, sequences and comments."""

from lib import catalog

SKIPPED = f"NOT IN ('segue', 'pg_catalog', 'information_schema', 'pg_toast') AND n.nspname {catalog.LASTING}"

# Parts of a partitioned table's index: the server names them by the columns that they are made for.
PARTS = f"""
SELECT i.indrelid::regclass::text, c.relname, c.oid::regclass::text, pg_partition_root(c.oid)::regclass::text,
       replace(pg_get_indexdef(c.oid), quote_ident(c.relname), '')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND n.nspname {SKIPPED}"""

# Of keys `connoinherit` makes no difference; nor `convalidated` of parts on the side that is referred to, which PostgreSQL
# leaves alone (before 18). NOT NULL is named otherwise where it comes with a new column; what a leaf inherits of it is its
# own, too, where a key has been made over an index (README).
CONSTRAINTS = f"""
SELECT k.conrelid::regclass::text, CASE WHEN k.conparentid = 0 AND k.contype <> 'n' THEN k.conname END, k.contype, replace(pg_get_constraintdef(k.oid), CASE WHEN p.oid IS NULL THEN '' ELSE ' NOT VALID' END, ''),
       p.oid IS NOT NULL OR k.convalidated, k.condeferrable, k.condeferred, k.contype = 'c' AND k.connoinherit, k.coninhcount,
       k.conislocal OR k.contype = 'n' AND k.coninhcount > 0 AND r.relispartition AND r.relkind = 'r', obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace JOIN pg_class r ON r.oid = k.conrelid
LEFT JOIN pg_constraint p ON p.oid = k.conparentid AND p.conrelid = k.conrelid
WHERE k.conrelid <> 0 AND n.nspname {SKIPPED}"""

INHERITED = f"""
SELECT a.attrelid::regclass::text, a.attname, a.attinhcount, a.attislocal FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname {SKIPPED}"""

SEQUENCES = f"""
SELECT s.seqrelid::regclass::text, s.seqtypid::regtype::text, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname {SKIPPED}"""

COMMENTS = f"""
SELECT c.oid::regclass::text, obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relispartition AND n.nspname {SKIPPED}"""


def _rows(conn, query):
    return sorted(conn.execute(query).fetchall(), key=str)


def whole(conn):
    """A form for catalog.difference; rows and the order of columns are not in it."""
    out = catalog.whole(conn)
    out.pop("rows")
    out["parts"] = {}
    for table, name, index, root, text in _rows(conn, PARTS):
        facts = out["tables"][table]["indexes"].pop(name)
        out["relations"].pop(index, None)
        out["parts"].setdefault(f"{table} of {root}", []).append((text, *facts[1:]))
    for doc in out["tables"].values():
        del doc["constraints"]
    out["constraints"] = {}
    for table, *facts in _rows(conn, CONSTRAINTS):
        out["constraints"].setdefault(table, []).append(tuple(facts))
    for what, query in (("inherited", INHERITED), ("sequences", SEQUENCES), ("comments", COMMENTS)):
        out[what] = {str(row[:2] if what == "inherited" else row[0]): tuple(row[1:]) for row in _rows(conn, query)}
    return out
