"""The generated half of the corpus: statements from a seed, the same on every run.

files() gives the files by name; lines() gives statements of one line each, for the player of the
extended protocol. Statements may fail as they like, but may not depend on time, oids or chance.
"""

import random
import re

from values import BAD, CONDITIONS, FUNCTIONS, INTS, OPERATORS, TEXTS, TYPES

SEED = 20240229

TABLES = """\
CREATE TABLE corpus_t (a int PRIMARY KEY, b int, c text, d date, e int[], f jsonb, g bytea);
INSERT INTO corpus_t SELECT i, nullif(i * 7 % 11, 4), 'row-' || i % 10, date '2024-01-01' + i * 13,
    ARRAY[i, i % 4, 2], jsonb_build_object('k', i % 3, 'v', repeat('w', i % 5)), decode(lpad(to_hex(i), 2, '0'), 'hex')
    FROM generate_series(1, 30) i;
CREATE TABLE corpus_u (ref int REFERENCES corpus_t, note varchar(12) NOT NULL CHECK (note <> 'never'), v numeric(8,2));
INSERT INTO corpus_u SELECT i % 15 + 1, 'note ' || i, i * 1.25 FROM generate_series(1, 40) i;
CREATE VIEW corpus_v AS SELECT a, b, c, d, e, f, g FROM corpus_t WHERE a % 2 = 0;
ANALYZE corpus_t, corpus_u;
"""

# What COPY is asked for; each both ways.
COPY_OPTIONS = ["", "(FORMAT csv)", "(FORMAT csv, HEADER)", "(FORMAT csv, FORCE_QUOTE *)", "(DELIMITER '|')",
                "(NULL '<none>')", "(FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\')", "(ENCODING 'LATIN1')",
                "(FORMAT csv, NULL '', HEADER true)", "(FORMAT nonsense)", "(DELIMITER 'ab')", "(HEADER match)",
                "(FORMAT text, QUOTE '\"')", "(FORMAT csv, FORCE_NULL (c))", "(FORCE_QUOTE (a))", "(ENCODING 'none')"]


def literal(text):
    return "'" + text + "'" if "\\\\" not in text else "E'" + text + "'"


def cast(text, name):
    return f"{literal(text)}::{name}"


def array_of(name):
    return name if name.endswith("[]") else name + "[]"


def type_statements(rng):
    """Input and output of every type: plain, in arrays, in rows, in json, and what is refused."""
    for name, texts in TYPES.items():
        for text in texts:
            value = cast(text, name)
            yield f"SELECT {value} AS v, pg_typeof({value}) AS t"
            yield f"SELECT {value}::text AS v, {value} IS NULL AS n, ROW({value}, NULL) AS r"
        values = ", ".join(cast(t, name) for t in texts)
        yield f"SELECT ARRAY[{values}, NULL] AS a" if not name.endswith("[]") else f"SELECT {values}"
        yield f"SELECT * FROM (VALUES ({'), ('.join(cast(t, name) for t in texts)}), (NULL)) AS v(x)"
        yield f"SELECT to_json({cast(texts[-1], name)}), NULL::{name} AS nothing, '{{}}'::{array_of(name)} AS empty"
        for text in rng.sample(BAD, 3):
            yield f"SELECT {cast(text, name)} AS refused"
        yield f"SELECT format('%L %s', {cast(texts[0], name)}, {cast(texts[-1], name)})"


def cast_statements(rng):
    """Casts from every type to others, most of which do not exist."""
    names = list(TYPES)
    for source in names:
        for target in ["text", *rng.sample(names, 8)]:
            yield f"SELECT {cast(rng.choice(TYPES[source]), source)}::{target} AS cast"


def operator_statements(rng):
    for name, texts in TYPES.items():
        for operator in rng.sample(OPERATORS, 7):
            left, right = rng.choice(texts), rng.choice(texts)
            yield f"SELECT {cast(left, name)} {operator} {cast(right, name)} AS result"
        yield f"SELECT {cast(texts[0], name)} {rng.choice(OPERATORS)} {cast('1', 'int4')} AS mixed"


def function_statements(rng):
    for name, texts in TYPES.items():
        for function in rng.sample(FUNCTIONS, 7):
            yield f"SELECT {function}({cast(rng.choice(texts), name)}) AS result"
        yield f"SELECT {rng.choice(FUNCTIONS)}({cast(texts[0], name)}, {cast(texts[-1], name)}) AS two"


def query(rng, depth=0):
    """A random query of the two tables. Its order is total, so that its rows have one order."""
    columns = [rng.choice(rng.choice([INTS, TEXTS])) for _ in range(rng.randint(1, 4))]
    out = "SELECT " + rng.choice(["", "", "DISTINCT "]) + ", ".join(f"{c} AS c{i}" for i, c in enumerate(columns))
    source = rng.choice(["corpus_t t", "corpus_t t", "corpus_t t JOIN corpus_u u ON u.ref = t.a",
                         "corpus_t t LEFT JOIN corpus_u u ON t.a = u.ref + 3", "corpus_v t", "public.kept k JOIN corpus_t t ON t.a = k.id",
                         "corpus_t t, LATERAL (SELECT count(*) AS n FROM corpus_u WHERE ref = t.a) l"])
    out += f" FROM {source}"
    if rng.random() < 0.7:
        out += " WHERE " + f" {rng.choice(['AND', 'OR'])} ".join(
            rng.choice(CONDITIONS) for _ in range(rng.randint(1, 2)))
    if rng.random() < 0.08:
        out += " GROUP BY " + rng.choice(["a, b, c", "1", "a", "ROLLUP (a, c)", "c, b, a, f, e, d, g"])
    order = ", ".join(str(i + 1) for i in range(len(columns)))
    if depth == 0 and rng.random() < 0.12:
        return f"WITH w AS ({query(rng, 1)}) SELECT * FROM w ORDER BY w::text LIMIT 5"
    if depth == 0 and rng.random() < 0.1:
        return f"({out}) {rng.choice(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])} ({query(rng, 1)}) ORDER BY 1 LIMIT 9"
    return out + f" ORDER BY {order}" + rng.choice(["", " LIMIT 3", " LIMIT 4 OFFSET 2", " FETCH FIRST 2 ROWS WITH TIES"])


def query_statements(rng):
    for _ in range(450):
        yield query(rng)


TOKEN = re.compile(r"\s+|\w+|'[^']*'|.", re.S)
WRONG = ["selec", "FROM", ")", "(", ",", "'open", "$1", "::", "@@@", "nosuch()", "\"", "AS", "END", "1x", "[", "!!", "NULL",
         "U&'\\00zz'", "E'\\xzz'", "/* open", "ORDER BY", "é"]


def broken(rng, text):
    """One token of a statement removed, doubled, replaced or moved."""
    tokens = [t for t in TOKEN.findall(text)]
    at = rng.randrange(len(tokens))
    how = rng.randrange(4)
    if how == 0:
        del tokens[at]
    elif how == 1:
        tokens.insert(at, tokens[at])
    elif how == 2:
        tokens[at] = f" {rng.choice(WRONG)} "
    else:
        other = rng.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def broken_statements(rng):
    for _ in range(700):
        yield broken(rng, query(rng))


def change_statements(rng):
    """Changes of rows, most in transactions with savepoints, with and without errors."""
    changes = [
        "INSERT INTO corpus_u VALUES ({i}, 'n{i}', {i}.5) RETURNING *",
        "INSERT INTO corpus_u VALUES ({i}, 'never', 1)",
        "INSERT INTO corpus_u VALUES ({i}, NULL, 1)",
        "INSERT INTO corpus_u VALUES ({i}, repeat('x', {i}), 1)",
        "INSERT INTO corpus_u VALUES (900 + {i}, 'orphan', 1)",
        "INSERT INTO corpus_t (a, c) VALUES ({i}, 'dup') ON CONFLICT (a) DO UPDATE SET b = excluded.a RETURNING a, b",
        "INSERT INTO corpus_t (a, c) VALUES ({i}, 'dup')",
        "UPDATE corpus_t SET b = b + {i} WHERE a % 7 = {i} % 7 RETURNING a, b",
        "UPDATE corpus_t SET b = 2147483647 + {i} WHERE a = {i}",
        "UPDATE corpus_u SET v = v * 1000000 WHERE ref = {i} % 15",
        "DELETE FROM corpus_u WHERE ref = {i} RETURNING note",
        "DELETE FROM corpus_t WHERE a = {i}",
        "SELECT count(*), sum(b) FROM corpus_t WHERE a <> {i}",
        "SELECT 1 / (a - {i}) FROM corpus_t ORDER BY a LIMIT 3",
        "MERGE INTO corpus_t t USING (VALUES ({i})) s(x) ON t.a = s.x WHEN MATCHED THEN UPDATE SET b = 1 "
        "WHEN NOT MATCHED THEN INSERT (a) VALUES (s.x)",
        "TRUNCATE corpus_u", "LOCK TABLE corpus_t IN EXCLUSIVE MODE", "SET LOCAL work_mem = '{i}MB'", "SHOW work_mem",
    ]
    control = ["SAVEPOINT s{n}", "ROLLBACK TO s{n}", "RELEASE s{n}", "COMMIT", "ROLLBACK", "BEGIN", "COMMIT AND CHAIN",
               "BEGIN ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ ONLY", "ABORT", "END", "SET TRANSACTION READ ONLY"]
    for _ in range(90):
        yield "BEGIN"
        for _ in range(rng.randint(2, 7)):
            text = rng.choice(control[:3] if rng.random() < 0.8 else control) if rng.random() < 0.35 else rng.choice(changes)
            yield text.format(i=rng.randint(1, 40), n=rng.randint(1, 3))
        yield rng.choice(["ROLLBACK", "ROLLBACK", "COMMIT"])
        yield "ROLLBACK"


def copy_file(rng):
    for options in COPY_OPTIONS:
        for source in ("corpus_t (a, b, c, d)", "(SELECT a, c, f, g FROM corpus_t ORDER BY a LIMIT 4)"):
            yield f"COPY {source} TO STDOUT {options};\n"
        for rows in ("901|x\n", "1,2\n\\.\n", "902\tok\n903\t\\N\n", "904,\"quo\"\"ted\"\n905,\n", "x\ty\n", "a,c\n906,h\n",
                     "907\tone\ttoo many\n", "\n"):
            if rng.random() < 0.6:
                yield f"COPY corpus_t (a, c) FROM STDIN {options};\n{rows}" + ("" if rows.endswith("\\.\n") else "\\.\n")
        yield "DELETE FROM corpus_t WHERE a > 900 RETURNING a, c;\n"


KINDS = {"types": type_statements, "casts": cast_statements, "operators": operator_statements,
         "functions": function_statements, "queries": query_statements, "broken": broken_statements,
         "changes": change_statements}


def lines(kind):
    """Statements of one kind, one line each, without the semicolon."""
    return list(KINDS[kind](random.Random(f"{SEED} {kind}")))


# psql must see where a broken statement ends: outside of quotes and comments \\g ends it.
OPENS = re.compile(r"'open|\"|/\* open|\\")


def closed(text):
    return not OPENS.search(text) and text.count("'") % 2 == 0


def files():
    """(name, text) of each generated file."""
    out = {}
    for kind in KINDS:
        body = [text for text in lines(kind) if kind != "broken" or closed(text)]
        end = " \\g\n" if kind == "broken" else ";\n"
        wrap = [text + end for text in body]
        if kind in ("types", "operators", "queries"):  # a sixth is described too
            wrap = [f"{text[:-2]} \\gdesc\n{text}" if i % 6 == 0 else text for i, text in enumerate(wrap)]
        out[f"generated_{kind}"] = TABLES + "".join(wrap)
    out["generated_copy"] = TABLES + "".join(copy_file(random.Random(f"{SEED} copy")))
    return out
