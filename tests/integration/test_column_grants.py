"""A role that may use some columns only: what it may say without segue, it may say through it."""

import contextlib
import itertools

import psycopg
import pytest

pytestmark = pytest.mark.newest_unless_told

# {c}: the column by the side's name; {h}: by the other one, which two other tables have, too
SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, {columns});
CREATE TABLE words (id int PRIMARY KEY, word text);
CREATE TABLE others (id int PRIMARY KEY, label text, title text);
CREATE TABLE thirds (label text, title text, what int);
INSERT INTO items (id, {c}, secret, note, kind) SELECT i, 'l' || i, 's' || i, 'n' || i, i % 3 FROM generate_series(1, 9) i;
INSERT INTO words SELECT i, 'w' || i FROM generate_series(1, 6) i;
INSERT INTO others SELECT i, 'l' || i, 't' || i FROM generate_series(1, 5) i;
INSERT INTO thirds SELECT label, title, id FROM others;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON items USING ((kind < 2) IS NOT FALSE AND secret IS DISTINCT FROM 's4') WITH CHECK (true);
GRANT SELECT (id, {c}, kind), INSERT (id, {c}), UPDATE ({c}) ON items TO PUBLIC;
GRANT SELECT (note), DELETE ON items TO app;
GRANT SELECT (id, {c}, kind, secret, note), INSERT (id, {c}), UPDATE ({c}) ON items TO reader;
GRANT ALL ON words, others, thirds TO PUBLIC
"""
# what the role may say on a table that does not migrate; a join by all names, an alias over a join, a list of
# aliases, a USING beside a hidden name: there a sub-select stands in the table's place
ALLOWED = """
SELECT id, {c}, word FROM items NATURAL JOIN words ORDER BY id
SELECT count(*) FROM items NATURAL JOIN words
SELECT count(*) FROM words NATURAL LEFT JOIN items
SELECT {c}, count(*) FROM items NATURAL JOIN words GROUP BY {c} ORDER BY 1
SELECT i.id FROM items i NATURAL JOIN words FOR UPDATE OF i
SELECT w.* FROM items i NATURAL JOIN words w ORDER BY 1
SELECT id, n FROM items NATURAL JOIN (SELECT id, count(*) AS n FROM words GROUP BY id) s ORDER BY 1
SELECT id FROM items NATURAL JOIN generate_series(1, 5) AS id ORDER BY 1
SELECT x.b FROM items AS x(a, b) ORDER BY a
SELECT a, kind, note FROM items x(a) ORDER BY a
SELECT x.b, e FROM items AS x(a, b, c, d, e) WHERE a < 3 FOR UPDATE
SELECT b AS secret, e FROM items x(a, b, c, d, e) ORDER BY a
SELECT x.{h}, id FROM items AS x(a, {h}), words WHERE words.id = a ORDER BY 2
SELECT count(*) FROM items x(a)
SELECT (SELECT max(word) FROM words w WHERE w.id = x.a) FROM items x(a, b) ORDER BY 1
SELECT w.word, s.b FROM items x(a, b), LATERAL (SELECT x.b) s, words w WHERE w.id = x.a ORDER BY 1
SELECT 1 FROM words w WHERE EXISTS (SELECT 1 FROM items x(a, b) WHERE a = w.id)
SELECT j.{c}, j.word, j.id FROM (items JOIN words USING (id)) AS j ORDER BY 1
SELECT j.word FROM (items i JOIN words w ON i.id = w.id AND i.kind = 1) AS j ORDER BY 1
SELECT i.{c} FROM items i JOIN others o USING (id) JOIN thirds t USING ({h}) ORDER BY 1
SELECT {h} FROM items i JOIN others o USING (id) JOIN thirds t USING ({h}) ORDER BY 1
SELECT i.id, {h} FROM items i JOIN thirds t ON t.what = i.id JOIN others o USING ({h}) ORDER BY 1
SELECT {h} FROM (VALUES ('a', 1)) AS v({h}, n) JOIN items ON id = n
SELECT o.id, (SELECT i.{c} FROM items i WHERE {h} = 't1' AND i.id = o.id) FROM others o ORDER BY 1
SELECT count(*) FILTER (WHERE {h} = 't1') AS {h} FROM others o JOIN items i USING (id)
INSERT INTO items (id, {c}) VALUES (20, 'x') RETURNING id, {c}
INSERT INTO items (id, {c}) VALUES (20, DEFAULT), (21, 'b'), (22, 'c'), (23, 'd'), (24, 'e'), (25, 'f'), (26, 'g'), (27, 'h')
INSERT INTO items (id, {c}) VALUES (20, 'a'), (21, 'b'), (22, 'c'), (23, 'd'), (24, 'e'), (25, 'f'), (26, 'g'), (27, 'h')
INSERT INTO items (id, {c}) SELECT id + 20, md5(word || random()) FROM words
INSERT INTO items (id, {c}) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET {c} = excluded.{c} || 'y' WHERE items.kind = 1 RETURNING {c}
INSERT INTO words (id, word) SELECT a + 20, b::text FROM items x(a, b)
UPDATE items SET {c} = 'x'
UPDATE items SET {c} = DEFAULT WHERE id = 1 RETURNING {c}
UPDATE items SET {c} = md5(random()::text) WHERE id < 3
UPDATE items SET {c} = (SELECT word FROM words w WHERE w.id = items.id) WHERE id = 1 RETURNING id, {c}
UPDATE items i SET {c} = w.word FROM words w WHERE w.id = i.id RETURNING i.{c}, w.*
UPDATE words w SET word = x.b::text FROM items x(a, b) WHERE w.id = x.a RETURNING w.*, x.b
UPDATE words w SET word = i.{c} FROM items i NATURAL JOIN (SELECT id, {c} FROM others) o WHERE w.id = i.kind
DELETE FROM words w USING items x(a, b) WHERE w.id = x.a RETURNING w.*, x.b
DELETE FROM items i USING words NATURAL JOIN others WHERE i.id = words.id RETURNING i.{c}
WITH x AS (UPDATE items SET {c} = 'q' WHERE id = 1 RETURNING id, {c}) SELECT * FROM x NATURAL JOIN words
MERGE INTO words w USING items x(a, b) ON w.id = x.a WHEN MATCHED THEN UPDATE SET word = x.b::text WHEN NOT MATCHED THEN INSERT VALUES (x.a, x.b::text)
MERGE INTO items i USING words w ON w.id = i.id WHEN MATCHED THEN UPDATE SET {c} = w.word WHEN NOT MATCHED THEN INSERT (id, {c}) VALUES (w.id + 50, w.word)
"""
REFUSED = """
SELECT * FROM items NATURAL JOIN words
SELECT * FROM items x(a, b)
SELECT x.c, x.d FROM items x(a, b, c, d)
SELECT secret FROM items NATURAL JOIN words
SELECT j.secret FROM (items JOIN words USING (id)) AS j
SELECT j.* FROM (items JOIN words USING (id)) AS j
SELECT j FROM (items JOIN words USING (id)) AS j
SELECT count(i) FROM items i
SELECT count(*) FROM items i WHERE i IS NOT NULL
SELECT x::text FROM items x(a, b)
SELECT 1 FROM words WHERE EXISTS (SELECT * FROM items)
SELECT i.row_to_json FROM items i
SELECT i.id FROM items i NATURAL JOIN items b
UPDATE items SET {c} = secret
UPDATE items SET {c} = 'x' RETURNING *
INSERT INTO items VALUES (20, NULL, NULL, NULL, NULL)
INSERT INTO items (id, {c}) VALUES (20, 'x') RETURNING items::text
"""
# a join by all names beside a table that has one called as a hidden column: what else joins is not known, so that it takes all columns
BESIDE_HIDDEN = """
SELECT i.id, {c}, o.{h} FROM items i NATURAL JOIN others o ORDER BY 1
SELECT * FROM items NATURAL JOIN others ORDER BY 1
SELECT count(*) FROM thirds NATURAL JOIN items
SELECT i.id FROM (SELECT 1 AS id, 'no' AS {h}) o NATURAL JOIN items i
"""
FILE = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
REST = "kind int, secret text, note text"
SIDES = {"old": {"c": "label", "h": "title", "columns": f"label text DEFAULT 'none', {REST}"},
         "new": {"c": "title", "h": "label", "columns": f"{REST}, title text DEFAULT 'none'"}}


def said(conn, statement):
    """Its rows, or the error."""
    try:
        with conn.transaction(force_rollback=True):
            cur = conn.execute(statement)
            return [d.name for d in cur.description or ()], cur.statusmessage, cur.fetchall() if cur.description else None
    except psycopg.Error as error:
        return error.sqlstate, error.diag.message_primary


def statements(side, texts):
    return [line.format(**SIDES[side]) for line in texts.strip().splitlines()]


@contextlib.contextmanager
def as_role(connect, role, **options):
    """A role without login is one that a session has become."""
    with connect(user="app" if role == "app" else "postgres", **options) as conn:
        conn.autocommit = True
        if role != "app":
            conn.execute(f"SET ROLE {role}")
        yield conn


def differences(texts, side, directly, through):
    for statement in statements(side, texts):
        direct, got = said(directly, statement), said(through, statement)
        if "random" in statement:
            direct, got = direct[:2], got[:2]
        if direct != got:
            yield f"{side}: {statement}: {got} instead of {direct}"


def test_columns_that_a_role_may_use_are_enough(db, copy, segue, pg):
    """`app` may use some of the columns, `reader` each of them by itself."""
    found = []
    with pg.database() as other:
        plain = {"old": copy, "new": other}
        for side, where in plain.items():
            where.sql(SCHEMA.format(**SIDES[side]))
            with as_role(where.connect, "app") as conn:  # the lists say what the server does
                assert not [s for s in statements(side, ALLOWED) if said(conn, s)[0] == "42501"]
                assert not [s for s in statements(side, REFUSED) if said(conn, s)[0] != "42501"]
        db.sql(SCHEMA.format(**SIDES["old"]))
        proxy = segue(db)
        proxy.ready(FILE)
        for phase in ("ready", "soaking"):
            if phase == "soaking":
                proxy.cli("cutover", "m")
            for role, side in itertools.product(("app", "reader"), SIDES):
                texts = REFUSED + (ALLOWED if role == "app" else BESIDE_HIDDEN)
                with as_role(plain[side].connect, role) as directly, \
                        as_role(proxy.connect, role, options=f"-c segue.schema={side}") as through:
                    found += [f"{phase}, {role}, {d}" for d in differences(texts, side, directly, through)]
    assert not found, "\n".join([f"{len(found)} differ", *found])
