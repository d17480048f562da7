/* The table of the bench: generated, or copied from the user's with types that every database has.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define GENERATED_ROW_BYTES 420

static const char generated[] =
    "SELECT i::bigint AS " BENCH_KEY ", 'run-' || i AS run, md5(i::text) AS hash, "
    "'Tariffs on imported steel raise inflation (case ' || i || ')' AS label, "
    "'{\"method\":\"trimmed\",\"B\":5000,\"seed\":' || i || ',\"flags\":[\"ok\"]}' AS body, "
    "repeat('note ', 30 + i %% 10) AS notes, i / 7.0::float8 AS p, i %% 5 = 0 AS cached, "
    "now() AS created FROM generate_series(1, %" PRId64 ") AS i";

static char *text_of(const PGresult *res, int r, int c)
{
    return mem_strdup(PQgetvalue(res, r, c));
}

/* Which column is filled anew: the one named, else the first of text that may be. */
static const char column_sql[] =
    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT "
    "attisdropped AND (%s = attname OR (%s = '' AND atttypid IN ('text'::regtype, "
    "'varchar'::regtype))) ORDER BY attnum LIMIT 1";

static enum rc find_column(struct bench *b, const char *table, struct err *err)
{
    const char *wanted = b->set->values[BENCH_COLUMN].text;
    char *literal = sql_quote_literal(wanted),
         *sql = mem_printf(column_sql, table, literal, literal);
    PGresult *res = bench_query(b, b->home, sql, err);

    free(sql);
    free(literal);
    if (!res)
        return RC_ERR;
    if (PQntuples(res)) {
        b->column_plain = text_of(res, 0, 0);
        b->column = sql_quote_ident(b->column_plain);
    } else if (*wanted) {
        err_set(err, "42703", "the table has no column \"%s\"", wanted);
    } else {
        err_set(err, "42703", "the table has no column of type text or varchar");
        err_hint(err, "--column names the one to be filled anew");
    }
    PQclear(res);
    return b->column ? RC_OK : RC_ERR;
}

static enum rc look_at(struct bench *b, const char *table, struct err *err)
{
    unsigned most = b->set->values[BENCH_ROWS].number;
    bool limited = b->set->values[BENCH_ROWS].source != OPT_DEFAULT;
    char *literal = sql_quote_literal(table);
    char *sql = mem_printf(
        "SELECT c.oid::regclass::text, pg_table_size(c.oid), greatest(c.reltuples, 0), c.relkind "
        "FROM pg_class c WHERE c.oid = to_regclass(%s)",
        literal);
    PGresult *res = bench_query(b, b->home, sql, err);
    double estimate, bytes;
    enum rc rc = RC_ERR;

    free(sql);
    if (!res)
        goto out;
    if (!PQntuples(res) || !strchr("rpm", *PQgetvalue(res, 0, 3))) {
        err_set(err, "42P01", "there is no table \"%s\" in this database", table);
        goto out;
    }
    bytes = strtod(PQgetvalue(res, 0, 1), NULL);
    estimate = strtod(PQgetvalue(res, 0, 2), NULL);
    if (limited && estimate > most)
        bytes = bytes * most / estimate;
    b->table_bytes = (int64_t)bytes;
    b->source = limited ? mem_printf("at most %u rows of a copy of %s", most, PQgetvalue(res, 0, 0))
                        : mem_printf("a copy of %s", PQgetvalue(res, 0, 0));
    rc = find_column(b, literal, err);
out:
    PQclear(res);
    free(literal);
    return rc;
}

enum rc bench_table_look(struct bench *b, struct err *err)
{
    const char *table = b->set->values[BENCH_TABLE].text;

    if (*table)
        return look_at(b, table, err);
    b->rows = b->set->values[BENCH_ROWS].number;
    b->table_bytes = b->rows * GENERATED_ROW_BYTES;
    b->column = mem_strdup("label");
    b->column_plain = mem_strdup("label");
    b->source = mem_printf("%" PRId64 " generated rows", b->rows);
    return RC_OK;
}

/* ---- copying ---- */

/* What is not PostgreSQL's own (extensions, enums, domains) goes as text. */
static const char columns_sql[] =
    "SELECT string_agg(quote_ident(a.attname) || ' ' || CASE WHEN own THEN type ELSE 'text' END, "
    "', ' ORDER BY a.attnum), string_agg(quote_ident(a.attname) || CASE WHEN own THEN '' ELSE "
    "'::text' END, ', ' ORDER BY a.attnum), string_agg(quote_ident(a.attname), ', ') FILTER (WHERE "
    "NOT own) FROM (SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, "
    "(t.typtype IN ('b', 'r', 'm') AND t.typnamespace = 'pg_catalog'::regnamespace AND (t.typelem "
    "= 0 OR e.typnamespace = 'pg_catalog'::regnamespace) AND t.typname !~ '^reg') AS own FROM "
    "pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem "
    "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped) AS a";

/* From the one connection's COPY to the other's. */
static enum rc pump(struct bench *b, struct err *err)
{
    char *row;
    int n;

    while ((n = PQgetCopyData(b->home, &row, 0)) > 0) {
        int sent = bench_stopped(b) ? -1 : PQputCopyData(b->work, row, n);

        PQfreemem(row);
        if (sent != 1) {
            err_set(err, "57014", "stopped while the table was being copied");
            break;
        }
    }
    if (n == -2)
        err_set(err, "58030", "reading the table: %s", PQerrorMessage(b->home));
    if (PQputCopyEnd(b->work, err_is_set(err) ? "stopped" : NULL) != 1)
        err_set(err, "58030", "writing the copy: %s", PQerrorMessage(b->work));
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc begin_copy(PGconn *conn, const char *sql, ExecStatusType wanted, struct err *err)
{
    PGresult *res = PQexec(conn, sql);
    bool begun = PQresultStatus(res) == wanted;

    if (!begun)
        err_set(err, "58030", "copying the table: %s", PQerrorMessage(conn));
    PQclear(res);
    return begun ? RC_OK : RC_ERR;
}

static enum rc end_copy(PGconn *conn, struct err *err)
{
    PGresult *res;

    while ((res = PQgetResult(conn))) {
        if (PQresultStatus(res) != PGRES_COMMAND_OK)
            err_set(err, "58030", "copying the table: %s", PQresultErrorMessage(res));
        PQclear(res);
    }
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc copy_rows(struct bench *b, const char *columns, const char *values, struct err *err)
{
    bool limited = b->set->values[BENCH_ROWS].source != OPT_DEFAULT;
    struct buf sql = {0};
    enum rc rc;

    if (bench_exec(b, b->work, err,
                   "CREATE TABLE bench_template (" BENCH_KEY " bigint NOT NULL, %s)",
                   columns) != RC_OK)
        return RC_ERR;
    buf_printf(&sql, "COPY (SELECT row_number() OVER (), %s FROM %s", values,
               b->set->values[BENCH_TABLE].text);
    if (limited)
        buf_printf(&sql, " LIMIT %u", b->set->values[BENCH_ROWS].number);
    buf_append_str(&sql, ") TO STDOUT");
    rc = begin_copy(b->home, sql.data, PGRES_COPY_OUT, err);
    buf_fini(&sql);
    if (rc == RC_OK)
        rc = begin_copy(b->work, "COPY bench_template FROM STDIN", PGRES_COPY_IN, err);
    if (rc == RC_OK)
        rc = pump(b, err);
    if (err_is_set(err)) /* the rest of it is not wanted */
        PQreset(b->home);
    if (end_copy(b->work, err) != RC_OK || end_copy(b->home, err) != RC_OK)
        return RC_ERR;
    return rc;
}

static enum rc copy_table(struct bench *b, struct err *err)
{
    char *literal = sql_quote_literal(b->set->values[BENCH_TABLE].text);
    char *sql = mem_printf(columns_sql, literal);
    PGresult *res = bench_query(b, b->home, sql, err);
    enum rc rc = RC_ERR;

    free(sql);
    free(literal);
    if (res && !PQgetisnull(res, 0, 2) && !b->json)
        fprintf(stderr, "segue: copied as text, for the type is no type of PostgreSQL's own: %s\n",
                PQgetvalue(res, 0, 2));
    if (res)
        rc = copy_rows(b, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), err);
    PQclear(res);
    return rc;
}

/* ---- the two tables ---- */

enum rc bench_table_make(struct bench *b, struct err *err)
{
    struct buf sql = {0};
    enum rc rc;

    if (*b->set->values[BENCH_TABLE].text) {
        rc = copy_table(b, err);
    } else {
        buf_append_str(&sql, "CREATE TABLE bench_template AS ");
        buf_printf(&sql, generated, b->rows);
        rc = bench_exec(b, b->work, err, "%s", sql.data);
        buf_fini(&sql);
    }
    if (rc != RC_OK || bench_exec(b, b->work, err, "VACUUM ANALYZE bench_template") != RC_OK)
        return RC_ERR;
    b->rows = (int64_t)bench_number(b, b->work, "SELECT count(*) FROM bench_template", err);
    if (!err_is_set(err) && b->rows < 1000)
        err_set(err, "22023", "%" PRId64 " rows are too few to measure anything", b->rows);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc bench_table_fresh(struct bench *b, struct err *err)
{
    struct err ignored = {0};

    if (bench_exec(b, b->work, err,
                   "DROP SCHEMA IF EXISTS segue CASCADE; DROP TABLE IF EXISTS bench_rows CASCADE;"
                   "CREATE TABLE bench_rows (LIKE bench_template, PRIMARY KEY (" BENCH_KEY "));"
                   "INSERT INTO bench_rows SELECT * FROM bench_template ORDER BY " BENCH_KEY) !=
            RC_OK ||
        bench_exec(b, b->work, err, "VACUUM (ANALYZE) bench_rows") != RC_OK)
        return RC_ERR;
    /* so that nobody pays for another one's pages; it takes a right that not everybody has */
    if (bench_exec(b, b->work, &ignored, "CHECKPOINT") != RC_OK && bench_stopped(b)) {
        *err = ignored;
        return RC_ERR;
    }
    b->table_bytes = (int64_t)bench_number(b, b->work, "SELECT pg_table_size('bench_rows')", err);
    return err_is_set(err) ? RC_ERR : RC_OK;
}
