/*
 * Plays statements, one a line of standard input, over one libpq connection, and prints everything
 * that a client can see of the answers: every field of results, errors and notices.
 *
 * usage: player MODE. The modes are the ways of libpq to send a statement: the table `modes` below.
 * Connection settings come from the environment. Ends with 2 when the connection is lost.
 */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 65536
#define PIPELINE_LEN 7 /* statements between two Syncs: long enough for errors to skip some */

struct player {
    PGconn *conn;
    long number; /* of the statement, from 1 */
    bool binary;
};

static void print_bytes(const char *value, int len)
{
    for (int i = 0; i < len; i++)
        printf("%02x", (unsigned char)value[i]);
}

static void print_error(const PGresult *res, const char *what)
{
    static const char fields[] = {PG_DIAG_SEVERITY,           PG_DIAG_SEVERITY_NONLOCALIZED,
                                  PG_DIAG_SQLSTATE,           PG_DIAG_MESSAGE_PRIMARY,
                                  PG_DIAG_MESSAGE_DETAIL,     PG_DIAG_MESSAGE_HINT,
                                  PG_DIAG_STATEMENT_POSITION, PG_DIAG_INTERNAL_POSITION,
                                  PG_DIAG_INTERNAL_QUERY,     PG_DIAG_CONTEXT,
                                  PG_DIAG_SCHEMA_NAME,        PG_DIAG_TABLE_NAME,
                                  PG_DIAG_COLUMN_NAME,        PG_DIAG_DATATYPE_NAME,
                                  PG_DIAG_CONSTRAINT_NAME,    PG_DIAG_SOURCE_FILE,
                                  PG_DIAG_SOURCE_LINE,        PG_DIAG_SOURCE_FUNCTION};

    printf("  %s:", what);
    for (size_t i = 0; i < sizeof(fields); i++) {
        const char *value = PQresultErrorField(res, fields[i]);

        if (value)
            printf(" %c=%s", fields[i], value);
    }
    printf("\n");
}

static void on_notice(void *arg, const PGresult *res)
{
    (void)arg;
    print_error(res, "notice");
}

static void print_rows(const PGresult *res)
{
    for (int c = 0; c < PQnfields(res); c++)
        printf("  column %s type %u mod %d size %d format %d column %d\n", PQfname(res, c),
               PQftype(res, c), PQfmod(res, c), PQfsize(res, c), PQfformat(res, c),
               PQftablecol(res, c));
    for (int r = 0; r < PQntuples(res); r++) {
        for (int c = 0; c < PQnfields(res); c++) {
            printf("%s", c ? " | " : "  ");
            if (PQgetisnull(res, r, c))
                printf("NULL");
            else if (PQfformat(res, c))
                print_bytes(PQgetvalue(res, r, c), PQgetlength(res, r, c));
            else
                printf("%s", PQgetvalue(res, r, c));
        }
        printf("\n");
    }
}

static void print_params(const PGresult *res)
{
    for (int i = 0; i < PQnparams(res); i++)
        printf("  parameter %d type %u\n", i + 1, PQparamtype(res, i));
}

static void print_result(struct player *p, PGresult *res)
{
    printf(" %ld %s [%s]\n", p->number, PQresStatus(PQresultStatus(res)), PQcmdStatus(res));
    if (PQresultStatus(res) == PGRES_FATAL_ERROR)
        print_error(res, "error");
    print_rows(res);
    print_params(res);
    PQclear(res);
    if (PQstatus(p->conn) == CONNECTION_BAD) {
        printf("connection lost\n");
        exit(2);
    }
}

/* Takes every result of what was sent last. A statement of COPY is ended at once. */
static void drain(struct player *p)
{
    PGresult *res;

    while ((res = PQgetResult(p->conn))) {
        ExecStatusType status = PQresultStatus(res);

        print_result(p, res);
        if (status == PGRES_COPY_IN)
            PQputCopyEnd(p->conn, "the player sends no rows");
        while (status == PGRES_COPY_OUT) {
            char *row = NULL;
            int len = PQgetCopyData(p->conn, &row, 0);

            if (len < 0)
                break;
            printf("  copy %.*s", len, row);
            PQfreemem(row);
        }
    }
    printf(" transaction %d\n", PQtransactionStatus(p->conn));
}

static void sent(struct player *p, int ok)
{
    if (!ok)
        printf(" not sent: %s", PQerrorMessage(p->conn));
}

static void play_simple(struct player *p, const char *sql)
{
    sent(p, PQsendQuery(p->conn, sql));
    drain(p);
}

static void play_params(struct player *p, const char *sql)
{
    sent(p, PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, p->binary));
    drain(p);
}

static void play_single_row(struct player *p, const char *sql)
{
    sent(p, PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0));
    if (!PQsetSingleRowMode(p->conn))
        printf(" no single row mode\n");
    drain(p);
}

/* Parse and Describe under a name, executed twice, described as a portal's statement, replaced. */
static void play_prepared(struct player *p, const char *sql)
{
    char name[32];

    snprintf(name, sizeof(name), "s%ld", p->number % 50);
    if (p->number >= 50) {
        char text[64];

        snprintf(text, sizeof(text), "DEALLOCATE %s", name);
        sent(p, PQsendQuery(p->conn, text));
        drain(p);
    }
    sent(p, PQsendPrepare(p->conn, name, sql, 0, NULL));
    drain(p);
    sent(p, PQsendDescribePrepared(p->conn, name));
    drain(p);
    for (int i = 0; i < 2; i++) {
        sent(p, PQsendQueryPrepared(p->conn, name, 0, NULL, NULL, NULL, i));
        drain(p);
    }
}

/* In pipeline mode each statement ends with a NULL, each Sync with one result. */
static void pipeline_take(struct player *p, long count)
{
    for (long i = 0; i < count; i++) {
        PGresult *res;

        while ((res = PQgetResult(p->conn)))
            print_result(p, res);
    }
    print_result(p, PQgetResult(p->conn));
    printf(" pipeline %d transaction %d\n", PQpipelineStatus(p->conn),
           PQtransactionStatus(p->conn));
}

static void play_pipeline(struct player *p, const char *sql)
{
    long place = (p->number - 1) % PIPELINE_LEN;

    if (!sql) { /* the end */
        if (p->number % PIPELINE_LEN) {
            sent(p, PQpipelineSync(p->conn));
            pipeline_take(p, p->number % PIPELINE_LEN);
        }
        PQexitPipelineMode(p->conn);
        return;
    }
    if (p->number == 1)
        PQenterPipelineMode(p->conn);
    if (place % 3 == 1) { /* answers come before the Sync */
        sent(p, PQsendPrepare(p->conn, "", sql, 0, NULL));
        PQsendFlushRequest(p->conn);
    } else {
        sent(p, PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, place % 2));
    }
    if (place == PIPELINE_LEN - 1) {
        sent(p, PQpipelineSync(p->conn));
        pipeline_take(p, PIPELINE_LEN);
    }
}

static const struct mode {
    const char *name;
    void (*play)(struct player *p, const char *sql);
    bool binary;
    bool ends; /* called with NULL at the end */
} modes[] = {
    {"simple", play_simple, false, false},     {"extended", play_params, false, false},
    {"binary", play_params, true, false},      {"single-row", play_single_row, false, false},
    {"prepared", play_prepared, false, false}, {"pipeline", play_pipeline, false, true},
};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES_MAX];
    const struct mode *mode = argc == 2 ? mode_find(argv[1]) : NULL;
    struct player p = {0};

    if (!mode) {
        fprintf(stderr, "usage: player MODE\n");
        return 1;
    }
    p.binary = mode->binary;
    p.conn = PQconnectdb("");
    if (PQstatus(p.conn) != CONNECTION_OK) {
        printf("not connected: %s", PQerrorMessage(p.conn));
        PQfinish(p.conn);
        return 1;
    }
    PQsetNoticeReceiver(p.conn, on_notice, NULL);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        p.number++;
        printf("%ld: %s\n", p.number, line);
        mode->play(&p, line);
    }
    if (mode->ends)
        mode->play(&p, NULL);
    PQfinish(p.conn);
    return 0;
}
