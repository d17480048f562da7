/*
 * A look at the rows before anything is touched: does `up` work on them, and does `down` bring
 * back what was there? A DO block in a read-only transaction, row by row since one bad row must
 * not end the count, bounded in time and in rows; the counts travel back in a setting.
 */
#include <stdlib.h>
#include <string.h>

#include "nulls.h"
#include "plan_build.h"
#include "plan_probe.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/sql/expr.h"

#define PROBE_ROWS_MAX 200000
#define PROBE_SECONDS 3
#define WRAPS "segue.json_or_wrap"

struct probe {
    long long seen, failed, lossy, empty, unsteady;
    char *first;    /* "ctid: message" of the first failure */
    bool backwards; /* that was of the way back: what is made could be made */
};

/* What was asked, for people. */
struct asked {
    const char *object;
    const char *path, *back;  /* where the file says it, and the way back */
    const char *word, *other; /* "up", "down" */
    const char *giver;        /* of NULL; NULL: `word` */
    const char *hint;         /* where it fails */
    bool not_null, wraps;
    bool timed;     /* it asks for the time, and was tried as of another one */
    bool looked_at; /* by then, and what is asked may call segue's functions, not there yet */
};

char *probe_body(const struct probe_loop *loop)
{
    return mem_printf(
        "#variable_conflict use_column\n" /* the table's columns may have any name */
        "DECLARE r pg_catalog.record; x pg_catalog.record; seen pg_catalog.int8 := 0; %s stop "
        "pg_catalog.timestamptz :="
        " pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) '%d s'::pg_catalog.interval; BEGIN"
        " FOR r IN SELECT s.ctid AS c, s.tableoid AS o FROM %s LIMIT %d LOOP"
        " seen := seen OPERATOR(pg_catalog.+) 1; BEGIN %s EXCEPTION %s END;"
        " EXIT WHEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) stop; END LOOP;"
        " PERFORM pg_catalog.set_config('segue.probe', pg_catalog.json_build_array(seen, %s)"
        "::pg_catalog.text, true); END",
        loop->declare, loop->seconds_max, loop->from, loop->rows_max, loop->each, loop->failing,
        loop->counts);
}

/* `made`: what is to be tried, as columns; `lossy`, `emptied` and `unsteady` (tried once more, it
 * is something else) are of rows s that have them, too. What these do not read, the server does not
 * compute. */
static char *probe_rows(const struct target *t, const char *made, const char *lossy,
                        const char *emptied, const char *unsteady)
{
    double tuples = json_number_value(json_object_get(t->doc, "tuples"));
    char *sample = tuples > PROBE_ROWS_MAX ? mem_printf(" TABLESAMPLE pg_catalog.system (%.3f)",
                                                        100.0 * PROBE_ROWS_MAX / tuples)
                                           : mem_strdup("");
    char *from = mem_printf("%s s%s", t->relation, sample);
    char *row = mem_printf("(SELECT *, %s FROM %s t WHERE t.ctid OPERATOR(pg_catalog.=) r.c AND"
                           " t.tableoid OPERATOR(pg_catalog.=) r.o OFFSET 0) s",
                           made, t->relation);
    char *each =
        mem_printf("SELECT * INTO x FROM (SELECT %s AS lossy, %s AS emptied, %s AS unsteady"
                   " FROM %s) y;"
                   " lossy := lossy OPERATOR(pg_catalog.+) COALESCE(x.lossy, false)"
                   "::pg_catalog.int4; emptied := emptied OPERATOR(pg_catalog.+)"
                   " COALESCE(x.emptied, false)::pg_catalog.int4; unsteady := unsteady"
                   " OPERATOR(pg_catalog.+) COALESCE(x.unsteady, false)::pg_catalog.int4;",
                   lossy, emptied, unsteady, row);
    char *failing = mem_printf(
        "WHEN undefined_function OR invalid_schema_name OR query_canceled THEN RAISE;"
        " WHEN OTHERS THEN failed := failed OPERATOR(pg_catalog.+) 1; IF first"
        " OPERATOR(pg_catalog.=) '' THEN first := pg_catalog.concat(%s'ctid ', r.c, ': ', SQLERRM);"
        " BEGIN SELECT * INTO x FROM %s; backwards := true; EXCEPTION WHEN query_canceled THEN"
        " RAISE; WHEN OTHERS THEN NULL; END; END IF;",
        is_partitioned(t) ? "r.o::pg_catalog.regclass, ' '," : "", row);
    char *out = probe_body(&(struct probe_loop){
        .from = from,
        .declare = "failed pg_catalog.int8 := 0; lossy pg_catalog.int8 := 0; emptied"
                   " pg_catalog.int8 := 0; unsteady pg_catalog.int8 := 0;"
                   " first pg_catalog.text := ''; backwards pg_catalog.bool := false;",
        .each = each,
        .failing = failing,
        .counts = "failed, lossy, emptied, first, unsteady, backwards",
        .rows_max = PROBE_ROWS_MAX,
        .seconds_max = PROBE_SECONDS});

    free(failing);
    free(each);
    free(row);
    free(from);
    free(sample);
    return out;
}

/* What is tried the second time. Where the new column is compared with what `up` gives, `up` as of
 * another time: now() is the same all through this transaction, and not in that of verify. */
static char *tried_again(const char *up, bool compared, bool *timed)
{
    char *later = compared ? sql_expr_later(up) : NULL;

    if (timed)
        *timed |= later != NULL;
    return later ? later : mem_strdup(up);
}

/* `up` is the expression to try, `down` NULL when the way back is not to be tried. */
static char *probe_text(const struct target *t, const struct eng_dual *dual, const char *up,
                        const char *type, const char *down)
{
    char *again = tried_again(up, dual->old_name != NULL, NULL);
    char *name = sql_quote_ident(dual->new_name);
    char *old = dual->old_name ? sql_quote_ident(dual->old_name) : mem_strdup("NULL");
    char *made = mem_printf("CAST((%s\n) AS %s) AS %s", up, type, name);
    char *lossy = down ? mem_printf("ROW(s.%s)::pg_catalog.record OPERATOR(pg_catalog.*<>)"
                                    " ROW(CAST((%s\n) AS %s))::pg_catalog.record",
                                    old, down, dual->old_type)
                       : mem_strdup("false");
    char *emptied = mem_printf("s.%s " IS_NULL, name);
    char *unsteady = mem_printf("ROW(s.%s)::pg_catalog.record OPERATOR(pg_catalog.*<>)"
                                " ROW(CAST((%s\n) AS %s))::pg_catalog.record",
                                name, again, type);
    char *out = probe_rows(t, made, lossy, emptied, unsteady);

    free(unsteady);
    free(emptied);
    free(lossy);
    free(made);
    free(old);
    free(name);
    free(again);
    return out;
}

static enum rc run_body(struct build *b, const char *body, json_t **counts, struct err *why)
{
    char *literal = sql_quote_literal(body);
    char *sql = mem_printf("DO %s", literal), *value = NULL;
    PGresult *res = NULL;
    enum rc rc = named_query(b, sql, 0, NULL, &res, why);

    free(sql);
    free(literal);
    PQclear(res);
    if (rc == RC_OK)
        rc = named_value(b, "SELECT pg_catalog.current_setting('segue.probe')", 0, NULL, &value,
                         why);
    *counts = value ? json_loads(value, 0, NULL) : NULL;
    free(value);
    return rc;
}

enum rc probe_begin(struct build *b, const char *begin, bool *outer, struct err *why)
{
    PGresult *res = NULL;
    enum rc rc;

    *outer = PQtransactionStatus(b->conn) == PQTRANS_INTRANS;
    rc = named_query(b, *outer ? "SAVEPOINT segue_probe" : begin, 0, NULL, &res, why);
    PQclear(res);
    return rc;
}

enum rc probe_undo(struct build *b, bool outer)
{
    PGresult *res = NULL;
    enum rc rc = named_query(b, outer ? "ROLLBACK TO SAVEPOINT segue_probe" : "ROLLBACK", 0, NULL,
                             &res, NULL);

    PQclear(res);
    return rc;
}

enum rc probe_run(struct build *b, const char *body, json_t **counts, struct err *why)
{
    bool outer;
    enum rc rc = probe_begin(b, "BEGIN READ ONLY", &outer, why);

    *counts = NULL;
    if (rc != RC_OK)
        return rc;
    rc = run_body(b, body, counts, why);
    return probe_undo(b, outer) == RC_OK ? rc : RC_ERR;
}

static enum rc probe(struct build *b, const char *body, struct probe *out, struct err *why)
{
    json_t *counts;
    enum rc rc = probe_run(b, body, &counts, why);

    out->seen = json_integer_value(json_array_get(counts, 0));
    out->failed = json_integer_value(json_array_get(counts, 1));
    out->lossy = json_integer_value(json_array_get(counts, 2));
    out->empty = json_integer_value(json_array_get(counts, 3));
    out->first = mem_strdup(json_string_value(json_array_get(counts, 4)));
    out->unsteady = json_integer_value(json_array_get(counts, 5));
    out->backwards = json_is_true(json_array_get(counts, 6));
    json_decref(counts);
    return rc;
}

static bool calls(const char *expr, const char *function)
{
    struct sql_expr_info info;
    bool found = false;

    if (sql_expr_parse(expr, &info, NULL) != RC_OK)
        return false;
    for (size_t i = 0; i < info.nfunctions; i++)
        found |= !strcmp(info.functions[i], function);
    sql_expr_info_fini(&info);
    return found;
}

/* Behind where it stands in the file, as other errors. */
static void refuse_rows(struct build *b, const struct asked *asked, const char *path,
                        const char *hint, char *text_take)
{
    char *object = mem_printf("%s:%d: %s: %s", b->where, file_line(b->where, b->text, path), path,
                              asked->object);

    build_refuse(b, object, hint, "%s", text_take);
    free(object);
    free(text_take);
}

#define TIME_HINT                                                                                  \
    "let it give a constant or another column in place of the time; to note the time now: give"    \
    " the column a DEFAULT and UPDATE the rows before, and leave that out of up"

/* `up` asks for the time, which is another one for verify and for each guard. */
static void report_time(struct build *b, const struct asked *asked, const struct probe *p)
{
    if (p->unsteady)
        refuse_rows(b, asked, asked->path, TIME_HINT,
                    mem_printf("%s asks for the time (now() or the like), and gives another value"
                               " at another time, for %lld of %lld rows looked at: verify would"
                               " find them not in step",
                               asked->word, p->unsteady, p->seen));
    else
        build_warn(b, asked->object, TIME_HINT,
                   "%s asks for the time (now() or the like): none of %lld rows looked at gets"
                   " another value by that, but one that comes to do so keeps verify from passing",
                   asked->word, p->seen);
}

/* What `down` makes of rows that are there tells little: the new application writes others. */
static void warn_of_way_back(struct build *b, const char *object)
{
    build_warn(b, object,
               "let it give a constant or another column in place of the time, or what the new"
               " application writes never come to need it",
               "down asks for the time (now() or the like): a row of the new application that gets"
               " its old value by that is not in step, and bars a rollback until it is mended");
}

static void report(struct build *b, const struct asked *asked, const struct probe *p)
{
    if (p->failed && asked->wraps)
        build_warn(b, asked->object, "look at them before, or after by the key segue_invalid_json",
                   "%lld of %lld rows looked at hold text that is not JSON; up wraps it, nothing is"
                   " lost (%s)",
                   p->failed, p->seen, p->first);
    else if (p->failed)
        refuse_rows(
            b, asked, p->backwards ? asked->back : asked->path,
            p->backwards ? "let it handle what these rows become, or mend them" : asked->hint,
            mem_printf("%s fails for %lld of %lld rows looked at (%s)",
                       p->backwards ? asked->other : asked->word, p->failed, p->seen, p->first));
    if (asked->timed)
        report_time(b, asked, p);
    else if (p->unsteady)
        refuse_rows(b, asked, asked->path, "let it give the same value for a row each time",
                    mem_printf("%s gives another value when it is asked again, for %lld of %lld"
                               " rows looked at: the guard would take that for a change, and change"
                               " what is there",
                               asked->word, p->unsteady, p->seen));
    if (p->empty && asked->not_null)
        refuse_rows(b, asked, asked->path, "let it give a value for these rows",
                    mem_printf("the column is NOT NULL and %s gives NULL for %lld of %lld rows"
                               " looked at",
                               asked->giver ? asked->giver : asked->word, p->empty, p->seen));
    if (p->lossy)
        build_warn(
            b, asked->object,
            "complete loses the difference, and so does a rollback for rows written by the new"
            " application",
            "down(up()) is not what was there for %lld of %lld rows looked at", p->lossy, p->seen);
}

/* A function, or its schema. */
static bool is_missing(const struct err *why)
{
    return !strcmp(why->sqlstate, "42883") || !strcmp(why->sqlstate, "3F000");
}

static enum rc probe_and_report(struct build *b, const char *body, const struct asked *asked)
{
    struct probe counts = {0};
    struct err why = {0};

    if (probe(b, body, &counts, &why) == RC_OK)
        report(b, asked, &counts);
    else if (!asked->looked_at || !is_missing(&why))
        build_warn(b, asked->object, NULL, "its rows could not be looked at: %s", why.text);
    free(counts.first);
    return PQstatus(b->conn) == CONNECTION_OK ? RC_OK : RC_ERR;
}

static const char *hint_of(const struct eng_dual *dual, bool given)
{
    if ((!strcmp(dual->new_type, "json") || !strcmp(dual->new_type, "jsonb")) &&
        !calls(dual->up, WRAPS))
        return "let up handle these rows (segue.json_or_wrap wraps what is no JSON), or mend them";
    return given ? "let it handle these rows, or mend them"
                 : "give an \"up\" that handles these rows, or mend them";
}

/* Without blanks. */
static char *squeeze(const char *text)
{
    struct buf out = {0};

    buf_append_str(&out, "");
    for (; *text; text++)
        if (!strchr(" \t\n", *text))
            buf_append_u8(&out, (uint8_t)*text);
    return buf_take(&out);
}

/* Of rows that `up` wraps: how many, and where. Only where it is the column itself that is wrapped.
 * *alone: `up` does nothing else, and cannot fail. */
static enum rc probe_wrapped(struct build *b, const struct target *t, const struct eng_dual *dual,
                             const char *object, bool *alone)
{
    char *name = sql_quote_ident(dual->old_name), *squeezed = squeeze(dual->up);
    char *said = mem_printf(WRAPS "(%s)", name), *call = squeeze(said), *body;
    enum rc rc = RC_OK;

    *alone = !strcmp(squeezed, call);
    if (strstr(squeezed, call)) {
        body = probe_text(t, dual, name, "pg_catalog.jsonb", NULL);
        rc = probe_and_report(b, body, &(struct asked){.object = object, .wraps = true});
        free(body);
    }
    free(call);
    free(said);
    free(squeezed);
    free(name);
    return rc;
}

enum rc probe_dual(struct build *b, const struct target *t, const char *path,
                   const struct eng_dual *dual, bool given)
{
    bool alone = false;

    if (enum_of_file(b, dual->new_type)) /* not there yet */
        return RC_OK;

    char *object = mem_printf("column %s of %s", dual->old_name ? dual->old_name : dual->new_name,
                              t->relation);
    char *body = probe_text(t, dual, dual->up, dual->new_type, dual->down);
    char *up = mem_printf("%s.%s", path, given ? "up" : "type");
    char *down = mem_printf("%s.down", path);
    char *word = given ? mem_strdup("up") : mem_printf("up, which is %s,", dual->up);
    bool timed = false;
    enum rc rc = RC_OK;

    free(tried_again(dual->up, dual->old_name != NULL, &timed));

    if (dual->old_name && calls(dual->up, WRAPS))
        rc = probe_wrapped(b, t, dual, object, &alone);
    if (rc == RC_OK)
        rc = probe_and_report(b, body,
                              &(struct asked){.object = object,
                                              .path = up,
                                              .back = down,
                                              .word = word,
                                              .other = "down",
                                              .hint = hint_of(dual, given),
                                              .not_null = dual->not_null,
                                              .timed = timed,
                                              .looked_at = alone});
    timed = false;
    if (dual->old_name && dual->down)
        free(tried_again(dual->down, true, &timed));
    if (rc == RC_OK && timed)
        warn_of_way_back(b, object);
    free(word);
    free(down);
    free(up);
    free(body);
    free(object);
    return rc;
}

enum rc probe_down(struct build *b, const struct target *t, const char *path,
                   const struct eng_dual *dual)
{
    struct eng_dual as_up = {
        .new_name = "~segue_down", .new_type = dual->old_type, .up = dual->down};
    char *object = mem_printf("column %s of %s", dual->old_name, t->relation);
    char *body = probe_text(t, &as_up, dual->down, dual->old_type, NULL);
    enum rc rc = probe_and_report(b, body,
                                  &(struct asked){.object = object,
                                                  .path = path,
                                                  .back = path,
                                                  .word = "down",
                                                  .other = "down",
                                                  .hint = "let it handle these rows, or mend them",
                                                  .not_null = dual->not_null});

    free(body);
    free(object);
    return rc;
}

/* ---- columns split or merged ---- */

static void put(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct buf *out, const char *fmt, ...) /* one more of a list */
{
    va_list ap;

    buf_append_str(out, out->len ? ", " : "");
    va_start(ap, fmt);
    buf_vprintf(out, fmt, ap);
    va_end(ap);
}

struct group_lists {
    struct buf made, all;   /* the new columns: as `up` makes them; their names */
    struct buf ups;         /* what makes them */
    struct buf olds, downs; /* the old columns: their names; what `down` gives */
    struct buf wanted;      /* what must not be NULL */
    struct buf names;       /* for people */
    bool timed, back_timed; /* one of ups, of downs, asks for the time */
};

static void list_member(struct group_lists *lists, const struct eng_dual *dual)
{
    char *name = sql_quote_ident(dual->old_name ? dual->old_name : dual->new_name);

    if (dual->old_name) {
        free(tried_again(dual->down, true, &lists->back_timed));
        put(&lists->olds, "s.%s", name);
        put(&lists->downs, "CAST((%s\n) AS %s)", dual->down, dual->old_type);
        if (dual->not_null)
            put(&lists->wanted, "CAST((%s\n) AS %s)", dual->down, dual->old_type);
        put(&lists->names, "%s", name);
    } else {
        char *again = tried_again(dual->up, true, &lists->timed);

        put(&lists->made, "CAST((%s\n) AS %s) AS %s", dual->up, dual->new_type, name);
        put(&lists->ups, "CAST((%s\n) AS %s)", again, dual->new_type);
        put(&lists->all, "s.%s", name);
        if (dual->not_null)
            put(&lists->wanted, "s.%s", name);
        free(again);
    }
    free(name);
}

enum rc probe_group(struct build *b, const struct target *t, const char *path, int group)
{
    const struct eng_table *table = &b->plan->tables[t->table];
    struct group_lists lists = {0};
    char *object, *lossy, *emptied, *unsteady, *body, *up, *down;
    enum rc rc;

    for (size_t i = 0; i < table->nduals; i++)
        if (table->duals[i].group == group)
            list_member(&lists, &table->duals[i]);
    object = mem_printf("columns %s of %s", lists.names.data, t->relation);
    lossy = mem_printf("ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.*<>)"
                       " ROW(%s)::pg_catalog.record",
                       lists.olds.data, lists.downs.data);
    emptied = mem_printf("pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>=) 0 AND"
                         " pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0",
                         lists.all.data, lists.wanted.len ? lists.wanted.data : "0");
    unsteady = mem_printf("ROW(%s)::pg_catalog.record OPERATOR(pg_catalog.*<>)"
                          " ROW(%s)::pg_catalog.record",
                          lists.all.data, lists.ups.data);
    body = probe_rows(t, lists.made.data, lossy, emptied, unsteady);
    up = mem_printf("%s.up", path);
    down = mem_printf("%s.down", path);
    rc = probe_and_report(b, body,
                          &(struct asked){.object = object,
                                          .path = up,
                                          .back = down,
                                          .word = "up",
                                          .other = "down",
                                          .giver = "up, or down of it,",
                                          .hint = "let it handle these rows, or mend them",
                                          .not_null = true,
                                          .timed = lists.timed});
    if (rc == RC_OK && lists.back_timed)
        warn_of_way_back(b, object);
    free(down);
    free(up);
    free(body);
    free(unsteady);
    free(emptied);
    free(lossy);
    free(object);
    buf_fini(&lists.made);
    buf_fini(&lists.ups);
    buf_fini(&lists.all);
    buf_fini(&lists.olds);
    buf_fini(&lists.downs);
    buf_fini(&lists.wanted);
    buf_fini(&lists.names);
    return rc;
}
