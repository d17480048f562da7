"""Views over a column that changes its type: refused by name, with the statements to make them again."""

import json

import pytest
from lib import catalog

SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.t (id int PRIMARY KEY, n int, "Odd \\"" int, note text);
INSERT INTO app.t SELECT i, i, i, 'n' || i FROM generate_series(1, 9) i;
CREATE VIEW one WITH (security_barrier = true) AS SELECT id, n + 1 AS "up N", note FROM app.t WHERE n < 8 WITH LOCAL CHECK OPTION;
CREATE VIEW "two; DROP" AS SELECT count(*) AS c, "up N" FROM one GROUP BY 2;
CREATE MATERIALIZED VIEW kept WITH (fillfactor = 70) AS SELECT "up N", c FROM "two; DROP" WITH DATA;
CREATE MATERIALIZED VIEW empty AS SELECT max("Odd \\"") AS m FROM app.t WITH NO DATA;
CREATE VIEW other AS SELECT note FROM app.t;
CREATE UNIQUE INDEX kept_up ON kept ("up N") WHERE c > 0; CREATE INDEX "kept c" ON kept (c DESC);
ALTER MATERIALIZED VIEW kept CLUSTER ON "kept c"; ALTER MATERIALIZED VIEW kept ALTER c SET STATISTICS 7;
CREATE STATISTICS kept_both ON "up N", c FROM kept;
ALTER VIEW one ALTER id SET DEFAULT 7;
COMMENT ON VIEW one IS 'it''s one'; COMMENT ON COLUMN one."up N" IS 'higher'; COMMENT ON MATERIALIZED VIEW kept IS 'kept';
COMMENT ON INDEX kept_up IS 'an index';
GRANT SELECT, INSERT ON one TO app; GRANT SELECT (c) ON "two; DROP" TO PUBLIC; GRANT SELECT ON kept TO app WITH GRANT OPTION;
ALTER VIEW "two; DROP" OWNER TO app; REVOKE ALL ON other FROM postgres;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF DELETE ON one FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE RULE swallow AS ON INSERT TO "two; DROP" DO INSTEAD NOTHING;
""".replace('\\"', '""')
FILE = {"name": "wide", "operations": [
    {"alter_column": {"table": "app.t", "column": "n", "type": "bigint", "up": "n", "down": "n"}},
    {"alter_column": {"table": "app.t", "column": 'Odd "', "type": "bigint", "up": '"Odd """', "down": '"Odd """'}}]}
VIEWS = """
SELECT c.oid::regclass::text, c.relkind, pg_get_viewdef(c.oid), c.reloptions, c.relacl::text, pg_get_userbyid(c.relowner),
       c.relispopulated, obj_description(c.oid, 'pg_class'), x.*
FROM pg_class c, LATERAL (SELECT
  (SELECT array_agg(format('%s %s %s %s %s', attname, nullif(attstattarget, -1), attacl, col_description(c.oid, attnum),
          pg_get_expr(adbin, adrelid)) ORDER BY attnum) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = c.oid AND attnum > 0),
  (SELECT array_agg(format('%s %s %s', pg_get_indexdef(indexrelid), indisclustered, obj_description(indexrelid, 'pg_class'))
     ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = c.oid),
  (SELECT array_agg(pg_get_triggerdef(oid) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid),
  (SELECT array_agg(pg_get_ruledef(oid) ORDER BY rulename) FROM pg_rewrite WHERE ev_class = c.oid),
  (SELECT array_agg(pg_get_statisticsobjdef(oid) ORDER BY stxname) FROM pg_statistic_ext WHERE stxrelid = c.oid)) x
WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'public'::regnamespace ORDER BY 1
"""


def test_views_are_dropped_and_made_again_by_the_statements_that_plan_shows(db, segue):
    db.sql(SCHEMA)
    before = db.sql(VIEWS)
    assert len(before) == 5
    proxy = segue(db)
    file = proxy.file(FILE)
    plan = proxy.cli("plan", file, check=1)
    shown = plan.out or plan.err
    for word in ("view public.one: column n", "refused:", "DROP MATERIALIZED VIEW public.kept;", "CREATE UNIQUE INDEX kept_up"):
        assert word in shown, f"{word!r} is not in\n{shown}"
    rows = json.loads(proxy.cli("plan", file, "--json", check=1).out)
    (script,) = [row["sql"] for row in rows if row["stage"] == "REFUSED" and row["sql"]]
    assert "other" not in script and all(line.strip() in shown for line in script.splitlines())
    drop, make = script.split("-- from the cut-over on\n")
    with db.connect() as conn:  # as they stand there, without any CASCADE
        conn.execute(drop)
        assert [row[0] for row in db.sql(VIEWS)] == ["other"]
    name = proxy.soaking(FILE)
    db.sql(make)
    assert [row for row in db.sql(VIEWS)] == before
    assert db.one('SELECT count(*) FROM kept') == 7 and db.one("SELECT max(\"up N\") FROM one") == 8
    proxy.cli("complete", name)
    assert db.one("SELECT pg_typeof(\"up N\")::text FROM one LIMIT 1") == "bigint"
    with db.connect() as conn:
        assert catalog.traces(conn) == []


@pytest.mark.one_version
def test_views_are_made_again_over_a_table_that_has_another_name_by_then(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE o (id int PRIMARY KEY); INSERT INTO t VALUES (1, 7); INSERT INTO o VALUES (1);"
           "CREATE VIEW one AS SELECT t.n, o.* FROM t JOIN o USING (id); CREATE VIEW two AS SELECT max(n) AS t FROM t x WHERE n IN (SELECT n FROM one)")
    proxy = segue(db)
    file = {"name": "both", "operations": [{"alter_column": {"table": "t", "column": "n", "type": "bigint", "up": "n", "down": "n"}},
                                           {"rename_table": {"from": "t", "to": "Sold"}}, {"rename_table": {"from": "o", "to": "p"}}]}
    rows = json.loads(proxy.cli("plan", proxy.file(file), "--json", check=1).out)
    (script,) = [row["sql"] for row in rows if row["stage"] == "REFUSED" and row["sql"]]
    drop, make = script.split("-- from the cut-over on\n")
    db.sql(drop)
    name = proxy.soaking(file)
    db.sql(make)
    assert db.sql("SELECT n, id, t FROM one, two") == [(7, 1, 7)]
    proxy.cli("complete", name)
