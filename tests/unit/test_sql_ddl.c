/* sql/ddl.h: what statements do to relations, and what may not stand in a migration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/ddl.h"

/* "s.t: ACCESS EXCLUSIVE" of each touch, with "!" where it is refused if it is there, "?" warned.
 */
static char *told(const char *text)
{
    struct buf out = {0};
    struct err err = {0};
    struct sql_ddl ddl;

    if (sql_ddl_read(text, &ddl, &err) != RC_OK)
        fail_msg("%s\n  gives: %s", text, err.text);
    for (size_t i = 0; i < ddl.ntouches; i++)
        buf_printf(&out, "%s%s%s%s: %s%s", i ? ", " : "",
                   ddl.touches[i].schema ? ddl.touches[i].schema : "",
                   ddl.touches[i].schema ? "." : "", ddl.touches[i].name, ddl.touches[i].lock,
                   ddl.touches[i].refusal   ? "!"
                   : ddl.touches[i].warning ? "?"
                                            : "");
    if (ddl.opaque)
        buf_printf(&out, " opaque %d", ddl.opaque);
    for (size_t i = 0; i < ddl.ntypes; i++)
        buf_printf(&out, " type %s%s%s", ddl.types[i].schema ? ddl.types[i].schema : "",
                   ddl.types[i].schema ? "." : "", ddl.types[i].name);
    sql_ddl_fini(&ddl);
    return buf_take(&out);
}

/* "ALTER TABLE s.t, ..." of each that is to be there, "+ name" of each that is made. */
static char *named(const char *text)
{
    struct buf out = {0};
    struct err err = {0};
    struct sql_ddl ddl;

    if (sql_ddl_read(text, &ddl, &err) != RC_OK)
        fail_msg("%s\n  gives: %s", text, err.text);
    buf_append_str(&out, "");
    for (size_t i = 0; i < ddl.nneeds; i++)
        buf_printf(&out, "%s%s %s%s%s", i ? ", " : "", ddl.needs[i].what,
                   ddl.needs[i].schema ? ddl.needs[i].schema : "", ddl.needs[i].schema ? "." : "",
                   ddl.needs[i].name);
    for (size_t i = 0; i < ddl.nmade; i++)
        buf_printf(&out, " + %s", ddl.made[i]);
    if (ddl.unseen)
        buf_printf(&out, " unseen %d", ddl.unseen);
    sql_ddl_fini(&ddl);
    return buf_take(&out);
}

static void statements_tell_what_is_to_be_there_and_what_they_make(void **state)
{
    static const char *const rows[][2] = {
        {"UPDATE t SET a = 1; INSERT INTO t VALUES (1); SELECT 1 FROM t", ""},
        {"SELECT 1; SELECT f() FROM t; DO 'BEGIN END'", " unseen 2"},
        {"INSERT INTO t SELECT * FROM f()", " unseen 1"},
        {"SELECT 1 AS a INTO n", " + n"},
        {"CREATE SCHEMA s", " unseen 1"},
        {"CREATE EXTENSION e", " unseen 1"},
        {"ALTER TABLE s.t ALTER a DROP NOT NULL, ADD FOREIGN KEY (a) REFERENCES u NOT VALID",
         "ALTER TABLE s.t, ALTER TABLE u"},
        {"ALTER TABLE IF EXISTS t RENAME TO u; ALTER INDEX IF EXISTS i RENAME TO j", " + u + j"},
        {"ALTER TABLE t RENAME a TO b; ALTER VIEW v RENAME TO w", "RENAME t, RENAME v + w"},
        {"DROP VIEW a, s.b; DROP TRIGGER g ON s.t; DROP INDEX IF EXISTS i; DROP FUNCTION f",
         "DROP a, DROP s.b, DROP s.t"},
        {"COMMENT ON COLUMN s.t.a IS 'x'; COMMENT ON FUNCTION f IS 'x'; COMMENT ON INDEX i IS 'x'",
         "COMMENT s.t, COMMENT i"},
        {"GRANT SELECT ON t, s.u TO PUBLIC; GRANT USAGE ON SCHEMA s TO PUBLIC",
         "GRANT t, GRANT s.u"},
        {"TRUNCATE t, u", "TRUNCATE t, TRUNCATE u"},
        {"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
         "CREATE TRIGGER t"},
        {"CREATE POLICY p ON t; ALTER POLICY p ON u; CREATE RULE r AS ON UPDATE TO v DO NOTHING",
         "CREATE POLICY t, ALTER POLICY u, CREATE RULE v"},
        {"CREATE INDEX i ON t (a)", "CREATE INDEX t + i"},
        {"CREATE VIEW v AS SELECT 1 FROM t; CREATE SEQUENCE q; ALTER SEQUENCE q CACHE 2",
         "ALTER SEQUENCE q + v + q"},
        {"CREATE TABLE n (a int REFERENCES s.u) INHERITS (p); CREATE TYPE c AS (x int)",
         "CREATE TABLE s.u, CREATE TABLE p + n + c"},
        {"ALTER TYPE c ADD ATTRIBUTE x int", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = named(rows[i][0]);

        if (strcmp(got ? got : "", rows[i][1]) != 0)
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i][0], got, rows[i][1]);
        free(got);
    }
}

static void statements_tell_what_they_lock(void **state)
{
    static const char *const rows[][2] = {
        {"SELECT 1; INSERT INTO t VALUES (1); UPDATE t SET a = 1 WHERE b; DELETE FROM t WHERE b",
         ""},
        {"UPDATE t SET a = 1; DELETE FROM s.u", "t: ?, s.u: ?"},
        {"UPDATE t SET a = v.a FROM v; DELETE FROM t USING v", "t: ?, t: ?"},
        {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", "t: ?"},
        {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND t.b THEN DELETE", ""},
        {"MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT VALUES (1)", ""},
        {"MERGE INTO t USING (VALUES (1)) v(a) ON t.a = v.a WHEN MATCHED THEN DELETE", ""},
        {"WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", "t: ?"},
        {"SELECT 1 FROM t, u AS v FOR UPDATE; SELECT 1 FROM t, u AS v FOR SHARE OF v",
         "t: ?, u: ?, u: ?"},
        {"SELECT 1 FROM t WHERE a IN (SELECT a FROM (SELECT a FROM u FOR UPDATE) x FOR UPDATE)",
         "u: ?"},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ""},
        {"CREATE TYPE e AS ENUM ('a'); COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC", ""},
        {"SET LOCAL search_path = a; ANALYZE t", ""},
        {"SELECT 1; DO 'BEGIN END'; CALL p()", " opaque 2"},
        {"CREATE TABLE n (a int REFERENCES s.u, b int, FOREIGN KEY (b) REFERENCES v (id))",
         "s.u: SHARE ROW EXCLUSIVE, v: SHARE ROW EXCLUSIVE"},
        {"CREATE TABLE n () INHERITS (p)", "p: ACCESS EXCLUSIVE"},
        {"CREATE TABLE n PARTITION OF s.p DEFAULT", "s.p: ACCESS EXCLUSIVE"},
        {"CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()",
         "s.t: SHARE ROW EXCLUSIVE"},
        {"CREATE POLICY p ON t; CREATE RULE r AS ON UPDATE TO u DO NOTHING",
         "t: ACCESS EXCLUSIVE, u: ACCESS EXCLUSIVE"},
        {"CREATE OR REPLACE VIEW v AS SELECT 1", "v: ACCESS EXCLUSIVE"},
        {"CREATE INDEX i ON t (a)", "t: SHARE!"},
        {"TRUNCATE a, s.b", "a: ACCESS EXCLUSIVE?, s.b: ACCESS EXCLUSIVE?"},
        {"ALTER TABLE t ALTER a SET DEFAULT 1, ALTER a SET STATISTICS 5",
         "t: ACCESS EXCLUSIVE, t: "},
        {"ALTER TABLE t ALTER a ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 9)",
         "t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t ALTER a ADD GENERATED BY DEFAULT AS IDENTITY",
         "t: ACCESS EXCLUSIVE, t: ACCESS EXCLUSIVE?"},
        {"ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY (START 9)",
         "t: ACCESS EXCLUSIVE, t: ACCESS EXCLUSIVE?"},
        {"ALTER TABLE t ALTER a SET GENERATED ALWAYS, ALTER b DROP IDENTITY",
         "t: ACCESS EXCLUSIVE, t: ACCESS EXCLUSIVE"},
        {"ALTER TYPE s.e ADD VALUE 'x'; ALTER TYPE e RENAME TO f; ALTER TYPE b SET (STORAGE = "
         "plain)",
         " type s.e type e type b"},
        {"ALTER TYPE c ADD ATTRIBUTE x int", "c: ACCESS EXCLUSIVE! type c"},
        {"ALTER TABLE t ADD COLUMN b int", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t DROP COLUMN b", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t ALTER b TYPE text", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t ALTER b SET NOT NULL", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t ADD CHECK (a > 0)", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t ADD CHECK (a > 0) NOT VALID", "t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u NOT VALID",
         "u: SHARE ROW EXCLUSIVE, t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t VALIDATE CONSTRAINT c", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t SET LOGGED", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t ATTACH PARTITION p DEFAULT", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t OWNER TO o", "t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t ENABLE ROW LEVEL SECURITY", "t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t DISABLE TRIGGER g", "t: SHARE ROW EXCLUSIVE"},
        {"DROP TABLE a, s.b", "a: ACCESS EXCLUSIVE!, s.b: ACCESS EXCLUSIVE!"},
        {"DROP INDEX i", "i: ACCESS EXCLUSIVE!"},
        {"DROP VIEW s.v; DROP FUNCTION f(); DROP TYPE e; DROP SCHEMA s", "s.v: ACCESS EXCLUSIVE"},
        {"DROP TRIGGER g ON s.t; DROP POLICY p ON t", "s.t: ACCESS EXCLUSIVE, t: ACCESS EXCLUSIVE"},
        {"ALTER TABLE t RENAME TO u", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t RENAME a TO b", "t: ACCESS EXCLUSIVE!"},
        {"ALTER TABLE t RENAME CONSTRAINT a TO b", "t: ACCESS EXCLUSIVE!"},
        {"ALTER INDEX i RENAME TO j", "i: SHARE UPDATE EXCLUSIVE"},
        {"ALTER VIEW v RENAME TO w", "v: ACCESS EXCLUSIVE"},
        {"ALTER FUNCTION f() RENAME TO g", ""},
        {"ALTER TABLE t SET SCHEMA s", "t: ACCESS EXCLUSIVE!"},
        {"SELECT segue.json_or_wrap('1')", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *is = told(rows[i][0]);

        if (strcmp(is ? is : "", rows[i][1]))
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i][0], is, rows[i][1]);
        free(is);
    }
}

static void what_may_not_stand_there_is_named(void **state)
{
    static const char *const rows[][2] = {
        {"SELEC 1", "syntax error"},
        {" -- nothing\n", "there is no statement"},
        {"BEGIN", "statement 1, transaction control"},
        {"SELECT 1; COMMIT", "statement 2, transaction control"},
        {"SAVEPOINT a", "transaction control"},
        {"VACUUM t", "VACUUM: it cannot run in a transaction"},
        {"CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX: it cannot run"},
        {"DROP INDEX CONCURRENTLY i", "DROP: it cannot run"},
        {"DROP TABLE t CASCADE", "CASCADE drops what the file does not name"},
        {"ALTER TABLE t DROP CONSTRAINT c CASCADE", "CASCADE"},
        {"TRUNCATE t CASCADE", "CASCADE"},
        {"REINDEX TABLE t", "REINDEX"},
        {"REFRESH MATERIALIZED VIEW v", "REFRESH"},
        {"CLUSTER t", "CLUSTER"},
        {"LOCK TABLE t", "LOCK"},
        {"COPY t FROM STDIN", "COPY"},
        {"SET search_path = a", "SET: it would change the session"},
        {"SET LOCAL lock_timeout = 0", "segue sets this itself"},
        {"RESET ALL", "SET: it would change"},
        {"SET LOCAL ROLE x", "segue sets this itself"},
        {"PREPARE a AS SELECT 1", "PREPARE"},
        {"CREATE DATABASE d", "CREATE DATABASE: it cannot"},
        {"ALTER SYSTEM SET work_mem = 1", "ALTER SYSTEM"},
        {"DELETE FROM segue.steps", "schema segue is segue's own"},
        {"EXPLAIN SELECT 1", "it is not known to be safe"},
        {"CHECKPOINT", "it is not known to be safe"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        struct sql_ddl ddl;

        if (sql_ddl_read(rows[i][0], &ddl, &err) != RC_ERR)
            fail_msg("accepted: %s", rows[i][0]);
        if (!strstr(err.text, rows[i][1]))
            fail_msg("%s\n  gives: %s\n  not:   %s", rows[i][0], err.text, rows[i][1]);
        assert_null(ddl.touches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_tell_what_they_lock),
        cmocka_unit_test(statements_tell_what_is_to_be_there_and_what_they_make),
        cmocka_unit_test(what_may_not_stand_there_is_named),
    };

    return cmocka_run_group_tests_name("sql_ddl", tests, NULL, NULL);
}
