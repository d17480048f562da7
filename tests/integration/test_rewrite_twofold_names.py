"""A table with the name of one of its own columns: whether a statement means the column or the row is told by the other
names in it, then by the session's side; by the name alone, the column that was there before."""

import pytest

NOTE = {"name": "rename_note", "operations": [{"rename_column": {"table": "note", "from": "note", "to": "body"}}]}
MARK = {"name": "rename_grade", "operations": [{"rename_column": {"table": "mark", "from": "grade", "to": "mark"}}]}
SIDES = {"nobody": "", "old": "-c segue.schema=old", "new": "-c segue.schema=new"}

BOTH = "INSERT INTO note (id, body, note) VALUES (9, 'b', 'b') RETURNING note::text"
ALONE = "SELECT note::text FROM note WHERE id = 1"
ROW = "(1,7,n1)"

# What each side has of it; the first: who has not said a side.
SOAKING = {
    "SELECT note || body FROM note WHERE id = 1": ("n1n1", "n1n1", "n1n1"),
    BOTH: ("b", "b", "b"),
    "INSERT INTO note (id, note) VALUES (9, 'b') ON CONFLICT (note) DO NOTHING RETURNING note::text": ("b", "b", "b"),
    "UPDATE note SET note = 'b' WHERE note = 'n1' RETURNING note::text": ("b", "b", "b"),
    "SELECT note::text FROM note WHERE note.note = 'n1' ORDER BY note": ("n1", "n1", "n1"),
    ALONE: ("n1", "n1", ROW),
    "SELECT to_json(note)::text FROM note WHERE id = 1": ('"n1"', '"n1"', '{"id":1,"more":7,"body":"n1"}'),
    "SELECT string_agg(id::text, '' ORDER BY note) FROM note WHERE note > 'n1'": ("32", "32", None),
    "SELECT note::text FROM note WHERE body = 'n1'": ("n1", "n1", ROW),
    "SELECT string_agg((SELECT note FROM note n WHERE n.id = u.id), ',') FROM u": ("n1", "n1", "u1"),
    "SELECT string_agg((SELECT note FROM note n WHERE n.id = u.id AND n.note = 'n1'), ',') FROM u": ("n1", "n1", "n1"),
    "SELECT string_agg((SELECT max(note) FROM note n WHERE n.note = 'n1' AND body = 'u2'), ',') FROM u": ("n1", "n1", None),
    "SELECT body FROM note n JOIN u USING (id)": ("u2", "u2", None),
    "SELECT count(*)::text FROM (SELECT left(note, 1) AS note FROM note n GROUP BY note) s": ("3", "3", "3"),
}
READY = {
    "SELECT grade || mark FROM mark WHERE id = 1": ("g1g1", "g1g1", "g1g1"),
    "SELECT mark::text FROM mark WHERE id = 1": ("(1,g1,7)", "(1,g1,7)", "g1"),
    "INSERT INTO mark (id, grade, mark) VALUES (9, 'b', 'b') RETURNING mark::text": ("b", "b", "b"),
    "UPDATE mark SET mark = 'b' WHERE mark = 'g1' RETURNING mark::text": ("b", "b", "b"),
}


def differing(proxy, expected):
    found = []
    for at, (side, options) in enumerate(SIDES.items()):
        with proxy.connect(options=options) as conn:
            for sql, values in expected.items():
                for prepared in (False, True) if values[at] else ():
                    with conn.transaction(force_rollback=True):
                        got = conn.execute(sql, prepare=prepared).fetchone()
                    if got is None or got[0] != values[at]:
                        found.append((side, prepared, sql, got, values[at]))
    return found


@pytest.mark.one_version
def test_a_name_of_a_table_and_its_column_means_what_the_statement_says(db, segue):
    db.sql("CREATE TABLE note (id int PRIMARY KEY, note text UNIQUE, more int)")
    db.sql("INSERT INTO note VALUES (1, 'n1', 7), (2, 'n3', 8), (3, 'n2', 9)")
    db.sql("CREATE TABLE mark (id int PRIMARY KEY, grade text, more int)")
    db.sql("INSERT INTO mark VALUES (1, 'g1', 7)")
    db.sql("CREATE TABLE u (id int, note text, body text)")
    db.sql("INSERT INTO u VALUES (1, 'u1', 'u2')")
    proxy = segue(db, workers=1)
    proxy.ready(MARK)
    assert not differing(proxy, READY)
    proxy.soaking(NOTE)
    assert not differing(proxy, SOAKING)
    with proxy.connect() as kept:
        assert kept.execute(ALONE, prepare=True).fetchone() == ("n1",)
        proxy.cli("rollback", NOTE["name"])
        assert kept.execute(ALONE, prepare=True).fetchone() == ("n1",)  # as it was prepared
    assert db.one("SELECT count(*) FROM note WHERE note IS DISTINCT FROM body") == 0
