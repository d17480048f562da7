"""Names that a server reserves, of whatever version, are quoted where a rewrite writes them."""

import json
import subprocess

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
