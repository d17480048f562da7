"""The rules of the migrations, as rewrite.c reads them, derived from the catalog of an expanded database."""

from . import schema

COLUMNS = """
SELECT a.attname, a.attgenerated <> '' FROM pg_attribute a
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

KEY = """
SELECT a.attname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
WHERE k.conrelid = %(oid)s AND k.contype = 'p' AND NOT k.condeferrable"""

PARTITIONS = """
SELECT r.relname, r.oid FROM pg_inherits i JOIN pg_class r ON r.oid = i.inhrelid
WHERE i.inhparent = %(oid)s ORDER BY r.relname"""

RELATIVES = """
SELECT r.relname FROM pg_inherits i JOIN pg_class r ON r.oid = i.inhrelid WHERE i.inhparent = %(oid)s
UNION SELECT r.relname FROM pg_constraint k JOIN pg_class r ON r.oid IN (k.conrelid, k.confrelid)
WHERE k.contype = 'f' AND %(oid)s IN (k.conrelid, k.confrelid) AND r.oid <> %(oid)s"""

# Relations that are called as a migrating table is, or have a column called as one of theirs.
NAMESAKES = """
SELECT n.nspname, c.relname, coalesce(array_agg(a.attname::text ORDER BY a.place) FILTER (WHERE a.attname = ANY (%(columns)s)), '{}'),
  coalesce(array_agg(a.place ORDER BY a.place) FILTER (WHERE a.attname = ANY (%(columns)s)), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN (SELECT *, row_number() OVER (PARTITION BY attrelid ORDER BY attnum) AS place FROM pg_attribute
      WHERE attnum > 0 AND NOT attisdropped) AS a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname NOT IN ('segue', 'pg_toast')
  AND NOT (n.nspname = 'public' AND c.relname = ANY (%(tables)s))
GROUP BY 1, 2
HAVING c.relname = ANY (%(tables)s) OR bool_or(a.attname = ANY (%(columns)s))"""


# Kind (segue/sql/functions.h) and name, of the functions that the statements here use.
FUNCTIONS = """
SELECT CASE WHEN bool_and((provolatile = 'i' AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
    OR provolatile = 's') AND (pronamespace = 'pg_catalog'::regnamespace OR provolatile = 'i' AND pronargdefaults = 0)) THEN 'f' ELSE 'g' END
  || proname FROM pg_proc WHERE proname NOT LIKE 'pg\\_%' GROUP BY proname HAVING bool_and(prokind = 'f' AND NOT proretset)
UNION ALL SELECT DISTINCT 'o' || oprname FROM pg_operator
UNION ALL SELECT 's' || proname FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype WHERE p.oid <> 'unnest(tsvector)'::regprocedure AND proname NOT LIKE 'pg\\_%' GROUP BY proname
  HAVING bool_and((typtype IN ('b', 'e', 'r', 'm') OR typtype = 'p' AND (typname LIKE 'any%' OR typname = 'void'))
                  AND NOT coalesce(proargmodes && '{o,b,t}'::"char"[], false))
UNION ALL SELECT 'c'"""


def _table(conn, name):
    old, new, twins, pairs = [], [], [], []
    migration = None
    for migration_name, kind, fields in schema.operations():
        if schema.table_of(kind, fields) != name:
            continue
        migration = migration_name
        if kind == "rename_table":
            continue
        if kind == "add_column":
            new.append(fields["column"]["name"])
            continue
        old.append(fields["from"])
        new.append(fields["to"])
        (pairs if "up" in fields else twins).append([fields["from"], fields["to"]])
    oid = conn.execute("SELECT format('%%I', %s::text)::regclass::oid", (name,)).fetchone()[0]
    relatives = [row[0] for row in conn.execute(RELATIVES, {"oid": oid}).fetchall()]

    def columns(of):
        return [{"name": column, "generated": generated,
                 "sight": "old" if column in old else "new" if column in new else "both"}
                for column, generated in conn.execute(COLUMNS, {"oid": of}).fetchall()]

    partitions = [{"schema": "public", "name": partition, "columns": columns(of)}
                  for partition, of in conn.execute(PARTITIONS, {"oid": oid}).fetchall()]
    return {"migration": migration, "schema": "public", "name": name, "other": schema.turned().get(name),
            "old": old, "new": new, "columns": columns(oid), "key": [row[0] for row in conn.execute(KEY, {"oid": oid}).fetchall()], "twins": twins, "pairs": pairs, "relatives": relatives, "partitions": partitions, "early": True, "reversed": False}


def describe(conn):
    """Before anything is filled."""
    tables = [_table(conn, name) for name in schema.migrating()]
    columns = sorted({column for table in tables for column in table["old"] + table["new"]})
    found = conn.execute(NAMESAKES, {"tables": [t["name"] for t in tables], "columns": columns}).fetchall()
    return {"tables": tables, "returns_rows": conn.info.server_version >= 180000,
            "functions": [row[0] for row in conn.execute(FUNCTIONS).fetchall()],
            "namesakes": [{"schema": schema_, "name": name, "columns": own, "places": places}
                          for schema_, name, own, places in found]}


def turn(tables, reversed_):
    """Of tables as describe() gives them, from ready on. reversed_: cut over."""
    for table in tables:
        table["early"] = False
        if table["other"] and table["reversed"] != reversed_:
            table["name"], table["other"] = table["other"], table["name"]
        table["reversed"] = reversed_


APART = "rows apart"


def in_step_sql(filled):
    """By either name of a table that migrates: counts the rows of which a plain rename's columns are not the same bytes.
    %s is what the table is called. Not filled: of rows that nobody has written since, the new ones are NULL."""
    counts = {}
    for name in schema.migrating():
        pairs = [(f["from"], f["to"]) for _, kind, f in schema.operations()
                 if kind == "rename_column" and f["table"] == name and "up" not in f]
        if not pairs:
            continue
        differs = " OR ".join(f'ROW(segue_row."{old}")::record OPERATOR(pg_catalog.*<>) ROW(segue_row."{new}")::record'
                              + ("" if filled else f' AND segue_row."{new}" IS NOT NULL') for old, new in pairs)
        for called in {schema.called(side, name) for side in ("old", "new")}:
            counts[called] = f"""SELECT '{APART}', '{name} ' || count(*) FROM public."%s" segue_row WHERE {differs}"""
    return counts
