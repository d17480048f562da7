"""Functions and operators of a user's schema that fit better than PostgreSQL's own, for what is said without a schema.

PostgreSQL takes the best match over all schemas of the search_path, pg_catalog first only among equals: oid = bigint
has no operator of its own, so one in public would run in the place of oid = oid. A trap fails, and what it counts stays
counted when the error is swallowed.
"""

import re
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "proxy"
TYPES = ("int4", "int8", "oid", "numeric", "float8", "text", "name", "bool", "regclass", "tid", "pg_lsn", "timestamptz", "jsonb", "text[]")
OPERATORS = ("=", "<>", "<", ">", "<=", ">=", "||", "+", "-", "*", "~", "->>")

HELPERS = """
CREATE SEQUENCE public.caught;
CREATE FUNCTION public.spring(what text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN PERFORM nextval('public.caught'); RAISE EXCEPTION 'captured: %', what; END $$;
"""

# every pair of types for which PostgreSQL has no such operator of its own, but one that it would cast them for
OPERATOR_TRAPS = """
DO $do$ DECLARE l text; r text; o text; BEGIN
FOR l, r IN SELECT a, b FROM unnest($1::text[]) a, unnest($1::text[]) b LOOP
  EXECUTE format('CREATE FUNCTION public.trap(a %s, b %s) RETURNS bool LANGUAGE plpgsql AS '
                 '$f$ BEGIN PERFORM public.spring(%L); END $f$', l, r, l || ' op ' || r);
  FOR o IN SELECT p.oprname FROM pg_operator p JOIN pg_type a ON a.oid = p.oprleft JOIN pg_type b ON b.oid = p.oprright
      WHERE p.oprname = ANY ($2) AND (a.typname = 'anynonarray' OR a.typcategory = (SELECT typcategory FROM pg_type WHERE oid = l::regtype))
      AND (b.typname = 'anynonarray' OR b.typcategory = (SELECT typcategory FROM pg_type WHERE oid = r::regtype))
      GROUP BY 1 HAVING NOT bool_or(p.oprleft = l::regtype AND p.oprright = r::regtype) LOOP
    EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.trap, LEFTARG = %s, RIGHTARG = %s)', o, l, r);
  END LOOP;
END LOOP; END $do$"""

# of each function one argument at a time of a type that it would be given by a cast
FUNCTION_TRAPS = """
WITH like_it (own, other) AS (VALUES ('regclass', 'oid'), ('regclass', 'int8'), ('text', 'name'), ('text', '"char"'), ('oid', 'regclass'),
  ('text', 'regclass'), ('int8', 'int4'), ('int4', 'int2'), ('numeric', 'int8'), ('numeric', 'int4'), ('float8', 'numeric'),
  ('"any"', 'text'), ('"any"', 'name'), ('"any"', 'int8'), ('anyelement', 'text'), ('anyelement', 'int8'), ('anyelement', 'name'),
  ('anyelement', 'jsonb'), ('anyelement', 'oid'), ('anyarray', 'text[]'), ('anyarray', 'oid[]'), ('anyarray', 'int2[]'),
  ('timestamptz', 'timestamp'), ('name', 'text')),
p AS (SELECT p.proname, p.prokind, coalesce(p.provariadic, 0) AS many, p.proargtypes::oid[] AS args FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ($1) AND p.pronargs BETWEEN 1 AND 5),
made AS (SELECT proname, (SELECT string_agg(CASE WHEN i = k THEN l.other ELSE format_type(args[i], NULL) END, ', ' ORDER BY i)
    FROM generate_series(0, array_length(args, 1) - 1) i) AS list
  FROM p, generate_series(0, array_length(args, 1) - 1) k, like_it l WHERE many = 0 AND args[k] = l.own::regtype
  UNION SELECT proname, concat_ws(', ', CASE WHEN array_length(args, 1) > 1 THEN 'text' END, x.types) FROM p, (VALUES ('text'), ('name'),
    ('regclass'), ('name, name'), ('text, text'), ('name, int8'), ('text, int8'), ('text, int4'), ('text, text, text'), ('text, name, text, name'),
    ('text, text, text, text'), ('int8, int8, numeric, numeric'), ('int8, int8'), ('text, tid'), ('regclass, text, tid')) x (types)
  WHERE many <> 0)
SELECT format('CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.spring(%L); END $f$',
  proname, list, proname || '(' || list || ')')
FROM made WHERE list !~ 'any|internal|cstring' AND NOT EXISTS (SELECT FROM pg_proc q WHERE q.proname = made.proname
  AND q.pronamespace = 'pg_catalog'::regnamespace AND pg_get_function_identity_arguments(q.oid) = list)"""

# where a schema stands in front of pg_catalog they need not even fit better; and a table without columns fits nothing
FRONT = """
CREATE SCHEMA front;
DO $do$ DECLARE r record; BEGIN
FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname = ANY ($1) LOOP
  EXECUTE format('CREATE TABLE front.%I ()', r.relname);
END LOOP;
FOR r IN SELECT DISTINCT oprleft::regtype AS l, oprright::regtype AS r FROM pg_operator WHERE oprname = ANY ($2)
    AND oprleft = ANY ($3::regtype[]) AND oprright = ANY ($3::regtype[]) LOOP
  EXECUTE format('CREATE FUNCTION front.trap(a %s, b %s) RETURNS bool LANGUAGE plpgsql AS '
                 '$f$ BEGIN PERFORM public.spring(%L); END $f$', r.l, r.r, r.l || ' op ' || r.r);
END LOOP;
FOR r IN SELECT oprname AS o, oprleft::regtype AS l, oprright::regtype AS r FROM pg_operator WHERE oprname = ANY ($2)
    AND oprleft = ANY ($3::regtype[]) AND oprright = ANY ($3::regtype[]) LOOP
  EXECUTE format('CREATE OPERATOR front.%s (FUNCTION = front.trap, LEFTARG = %s, RIGHTARG = %s)', r.o, r.l, r.r);
END LOOP;
FOR r IN SELECT DISTINCT proname, oidvectortypes(proargtypes) AS list FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND proname = ANY ($4) AND oidvectortypes(proargtypes) !~ '"any"|internal|cstring' LOOP
  EXECUTE format('CREATE FUNCTION front.%I(%s) RETURNS text LANGUAGE plpgsql AS '
                 '$f$ BEGIN PERFORM public.spring(%L); END $f$', r.proname, r.list, r.proname || '(' || r.list || ')');
END LOOP; END $do$"""


def said():
    """Names in the sources that may be those of functions."""
    return sorted({name for path in SOURCES.glob("*/*.c") for name in re.findall(r"\b([a-z][a-z_0-9]+)\(", path.read_text())})


def array(words):
    return "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]"


def lay(db):
    """Returns a function that tells what was caught so far."""
    with db.connect(options="-c search_path=pg_catalog") as conn:  # or they catch each other
        conn.execute(HELPERS)
        conn.execute(OPERATOR_TRAPS.replace("$1", array(TYPES)).replace("$2", array(OPERATORS)))
        made = [row[0] for row in conn.execute(FUNCTION_TRAPS.replace("%", "%%").replace("$1", "%s"), (said(),))]
        assert len(made) > 200
        conn.execute(";".join(made))
    return lambda: db.one("SELECT is_called FROM public.caught")


def lay_in_front(db):
    """More of them, behind lay(); who connects from now on meets them first."""
    tables = {name for path in SOURCES.glob("*/*.c") for name in re.findall(r"\bpg_[a-z_]+\b", path.read_text())}
    with db.connect(options="-c search_path=pg_catalog") as conn:
        text = FRONT
        for mark, words in (("$1", sorted(tables)), ("$2", OPERATORS), ("$3", TYPES), ("$4", said())):
            text = text.replace(mark, array(words))
        conn.execute(text)
        assert conn.execute("SELECT count(*) FROM pg_proc WHERE pronamespace = 'front'::regnamespace").fetchone()[0] > 200
        conn.execute(f'ALTER DATABASE "{db.name}" SET search_path = front, pg_catalog, public')
