"""Names that a server reserves, of whatever version, are quoted where segue writes them."""

import json
import subprocess

import pytest
from lib.segue import BUILD

RESERVED = "SELECT word, quote_ident(word) FROM pg_get_keywords() WHERE quote_ident(word) <> word ORDER BY word"


def rewritten(sql, columns):
    """What becomes of it in an old session, where t has these columns and a new one."""
    table = {"migration": "m", "schema": "public", "name": "t", "old": [], "new": ["n"], "twins": [], "relatives": [],
             "partitions": [], "early": False, "reversed": False,
             "columns": [{"name": name, "sight": "new" if name == "n" else "both", "generated": False}
                         for name in ["n", *columns]]}
    lines = [{"tables": [table], "namesakes": []}, {"sql": sql, "side": "old", "shadowed": 0, "position": 0}]
    done = subprocess.run([BUILD / "rewrite"], input="".join(json.dumps(line) + "\n" for line in lines), text=True,
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["text"]


def test_words_that_the_server_reserves_are_quoted(db):
    names, quoted = zip(*db.sql(RESERVED))
    assert len(names) > 100
    assert rewritten("COPY t TO STDOUT", names) == f"COPY t ({', '.join(quoted)}) TO STDOUT"
    db.sql(f"CREATE TABLE t ({', '.join(q + ' int' for q in quoted)}, n int)")
    db.sql(rewritten(f"INSERT INTO t VALUES ({', '.join('1' for _ in names)})", names))
    assert db.one("SELECT count(*) FROM t WHERE n IS NULL") == 1


# What PL/pgSQL reserves and SQL does not (src/pl/plpgsql/src/pl_reserved_kwlist.h): NEW.begin is no column there.
PLPGSQL = ("begin", "by", "declare", "execute", "foreach", "if", "loop", "strict", "while")
WORDS = {"name": "words", "operations": [
    *[{"rename_column": {"table": "t", "from": word, "to": f"n_{word}"}} for word in PLPGSQL],
    *[{"rename_column": {"table": "t", "from": f"o_{word}", "to": f"{word}_", "type": "bigint", "up": f"o_{word} + {word}",
                         "down": f"({word}_ - {word})::int"}} for word in PLPGSQL],
    {"rename_column": {"table": "u", "from": "x", "to": "begin"}},
    {"rename_column": {"table": "u", "from": "if", "to": "loop", "type": "bigint", "up": "if * 2", "down": "(loop / 2)::int"}},
    {"add_column": {"table": "u", "column": {"name": "by", "type": "int"}, "up": "strict + 1"}},
    {"change_columns": {"table": "u", "from": ["while"], "to": [{"name": "declare", "type": "int"}, {"name": "execute", "type": "int"}],
                        "up": {"declare": "while / 10", "execute": "while % 10"}, "down": {"while": "declare * 10 + execute"}}}]}


@pytest.mark.newest_unless_told
def test_words_that_plpgsql_reserves_are_names_of_columns(db, segue):
    columns = ", ".join(f'"{word}" int, o_{word} int' for word in PLPGSQL)
    db.sql(f'CREATE TABLE t (id int PRIMARY KEY, {columns}); CREATE TABLE u (id int PRIMARY KEY, x int, "if" int, "strict" int, "while" int)')
    db.sql("INSERT INTO t SELECT i" + ", i" * 2 * len(PLPGSQL) + " FROM generate_series(1, 3) i; INSERT INTO u VALUES (1, 2, 3, 4, 56)")
    proxy = segue(db)
    proxy.ready(WORDS)

    def in_step():
        pairs = " AND ".join(f'"{word}" = n_{word} AND {word}_ = o_{word} + "{word}"' for word in PLPGSQL)
        assert db.one(f"SELECT bool_and({pairs}) FROM t")
        assert db.one('SELECT bool_and(x = "begin" AND "loop" = "if" * 2 AND "while" = "declare" * 10 + "execute") FROM u')

    db.sql("INSERT INTO t SELECT 4" + ", 4" * 2 * len(PLPGSQL) + "; UPDATE t SET " + ", ".join(f'"{w}" = 7, o_{w} = 8' for w in PLPGSQL))
    db.sql('INSERT INTO u VALUES (2, 3, 4, 5, 67); UPDATE u SET x = 9, "if" = 10, "strict" = 11, "while" = 12')
    in_step()
    assert db.one('SELECT min("by") FROM u') == 12
    proxy.cli("cutover", "words")
    db.sql("UPDATE t SET " + ", ".join(f"n_{w} = 17, {w}_ = 88" for w in PLPGSQL))
    db.sql('UPDATE u SET "begin" = 19, "loop" = 20, "declare" = 3, "execute" = 4')
    in_step()
    proxy.cli("complete", "words", "--force")
