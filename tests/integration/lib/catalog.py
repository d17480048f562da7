"""What the catalog says, in a form that can be compared: names instead of numbers."""

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
       pg_get_expr(d.adbin, d.adrelid), a.attstorage, coalesce(a.attstattarget, -1), a.attacl::text,
       co.collname, col_description(a.attrelid, a.attnum), a.attcompression::text, array_to_string(a.attoptions, ', ')
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped"""
COLUMN_FIELDS = ("type", "not_null", "identity", "generated", "default", "storage", "statistics", "privileges",
                 "collation", "comment", "compression", "options")

INDEXES = """
SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisvalid,
       obj_description(c.oid, 'pg_class'),
       array(SELECT a.attstattarget FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum),
       array(SELECT pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_depend d
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'x' ORDER BY 1),
       (SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %(table)s::regclass"""

# NOT NULL is compared with the columns, and by itself where that is asked for (NOT_NULL): of new
# columns its constraints, new in 18, may be named otherwise
CONSTRAINTS = """
SELECT conname, contype, pg_get_constraintdef(oid), convalidated, obj_description(oid, 'pg_constraint')
FROM pg_constraint
WHERE (conrelid = %(table)s::regclass OR confrelid = %(table)s::regclass) AND contype <> 'n'"""

NOT_NULL = """
SELECT a.attname, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
WHERE k.conrelid = %(table)s::regclass AND k.contype = 'n'"""

TRIGGERS = """
SELECT tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal"""

STATISTICS = """
SELECT s.stxname, array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys::int2[])
                        ORDER BY 1),
       pg_get_statisticsobjdef_expressions(s.oid), s.stxkind::text, coalesce(s.stxstattarget, -1), pg_get_userbyid(s.stxowner),
       obj_description(s.oid, 'pg_statistic_ext')
FROM pg_statistic_ext s WHERE s.stxrelid = %(table)s::regclass"""

POLICIES = """
SELECT polname, polcmd, polpermissive, array(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END FROM unnest(polroles) r),
       pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polrelid = %(table)s::regclass"""

SEQUENCES = """
SELECT s.relname, a.attname FROM pg_depend d
JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refobjid = %(table)s::regclass AND d.deptype IN ('a', 'i')"""


def _rows(conn, query, table):
    return sorted(conn.execute(query, {"table": table}).fetchall(), key=str)


def table(conn, name):
    """Everything a renamed column could have lost; the order of columns does not count."""
    return {
        "columns": {row[0]: dict(zip(COLUMN_FIELDS, row[1:])) for row in _rows(conn, COLUMNS, name)},
        "indexes": {row[0]: row[1:] for row in _rows(conn, INDEXES, name)},
        "constraints": {row[0]: row[1:] for row in _rows(conn, CONSTRAINTS, name)},
        "triggers": {row[0]: row[1:] for row in _rows(conn, TRIGGERS, name)},
        "sequences": dict(_rows(conn, SEQUENCES, name)),
        "statistics": {row[0]: row[1:] for row in _rows(conn, STATISTICS, name)},
        "policies": {row[0]: row[1:] for row in _rows(conn, POLICIES, name)},
    }


def not_null(conn, name):
    """Columns to the name, text and comment of what makes them NOT NULL; none before 18."""
    return {row[0]: row[1:] for row in _rows(conn, NOT_NULL, name)}


def difference(one, other, path=""):
    """Lines that tell where two such forms differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        out = []
        for key in sorted(one.keys() | other.keys(), key=str):
            if key not in one or key not in other:
                side = one if key in one else other
                out.append(f"{path}/{key}: only {'in the first' if side is one else 'in the second'}: {side[key]}")
            else:
                out += difference(one[key], other[key], f"{path}/{key}")
        return out
    return [] if one == other else [f"{path}: {one!r} against {other!r}"]


# Temporary ones go with their session; those of one that the server has taken down stay in the catalog for a while, without their files.
LASTING = r"NOT LIKE ALL (ARRAY['pg\_temp\_%%', 'pg\_toast\_temp\_%%'])"


def whole(conn, without=("segue",)):
    """The tables, functions, types and schemas of a database, but for those of some schemas and what is a session's."""
    skip = list(without) + ["pg_catalog", "information_schema", "pg_toast"]
    tables = conn.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p') AND n.nspname <> ALL (%s) AND n.nspname {LASTING}", (skip,)).fetchall()
    relations = conn.execute(
        "SELECT c.oid::regclass::text, c.relkind, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a), pg_get_userbyid(c.relowner), c.relreplident, "
        "(SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = c.oid AND indisreplident), c.relpersistence, "
        "c.relrowsecurity, c.relforcerowsecurity, CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END FROM pg_class c "
        f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname <> ALL (%s) AND n.nspname {LASTING}", (skip,)).fetchall()
    functions = conn.execute(
        "SELECT p.oid::regprocedure::text, md5(p.prosrc) FROM pg_proc p JOIN pg_namespace n "
        "ON n.oid = p.pronamespace WHERE n.nspname <> ALL (%s)", (skip,)).fetchall()
    types = conn.execute(
        "SELECT t.oid::regtype::text, t.typtype, t.typacl::text, array(SELECT enumlabel::text FROM pg_enum "
        "WHERE enumtypid = t.oid ORDER BY enumsortorder) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
        "WHERE t.typtype IN ('e', 'd') AND n.nspname <> ALL (%s)", (skip,)).fetchall()
    schemas = conn.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname <> ALL (%s) AND nspname NOT LIKE 'pg\\_%%'", (skip,)).fetchall()
    return {
        "tables": {name: table(conn, name) for (name,) in tables},
        "relations": {row[0]: row[1:] for row in relations},
        "functions": dict(functions),
        "types": {row[0]: row[1:] for row in types},
        "schemas": sorted(schemas),
        "rows": {name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in tables},
    }


def traces(conn):
    """What segue has left outside its own schema: triggers, functions, columns, indexes, constraints."""
    return conn.execute(r"""
        SELECT 'trigger', tgrelid::regclass::text || '.' || tgname FROM pg_trigger
         WHERE NOT tgisinternal AND (tgname LIKE '~segue%%' OR tgfoid IN
               (SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'segue'))
        UNION ALL
        SELECT 'guard function', proname FROM pg_proc WHERE pronamespace = to_regnamespace('segue')
           AND prorettype = 'trigger'::regtype
        UNION ALL
        SELECT 'relation', oid::regclass::text FROM pg_class WHERE relname LIKE '%%segue%%'
           AND relnamespace IS DISTINCT FROM to_regnamespace('segue') AND relkind <> 't'
           AND relnamespace <> 'pg_toast'::regnamespace
        UNION ALL
        SELECT 'statistics', stxname FROM pg_statistic_ext WHERE stxname LIKE '%%segue%%'
        UNION ALL
        SELECT 'constraint', conname FROM pg_constraint WHERE conname LIKE '%%segue%%'
           AND connamespace IS DISTINCT FROM to_regnamespace('segue')
        UNION ALL
        SELECT 'column', attrelid::regclass::text || '.' || attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
         WHERE attname LIKE '%%segue%%' AND NOT attisdropped AND c.relnamespace IS DISTINCT FROM to_regnamespace('segue')
           AND c.relnamespace <> 'pg_toast'::regnamespace
        """).fetchall()
