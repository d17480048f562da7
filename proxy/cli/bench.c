/* `segue bench backfill`: its options, the question before anything is written, the order of work.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/cli/cli.h"
#include "stop.h"

/* ---- options ---- */

/* How many whole numbers between these stand there, with commas; 0: something else does. */
static unsigned count_numbers(const char *text, unsigned long least, unsigned long most)
{
    unsigned n = 0;

    while (*text) {
        size_t len = strspn(text, "0123456789");
        unsigned long value = strtoul(text, NULL, 10);

        if (!len || len > 5 || value < least || value > most || (text[len] && text[len] != ','))
            return 0;
        n++;
        text += len + (text[len] == ',');
    }
    return n;
}

static const char *refuse_targets(const char *text)
{
    unsigned n = count_numbers(text, 5, 60000);

    return n >= 1 && n <= 8 ? NULL : "1 to 8 integers from 5 to 60000, with commas";
}

static const char *refuse_workers(const char *text)
{
    unsigned n = count_numbers(text, 1, 8);

    return n >= 1 && n <= 3 ? NULL : "1 to 3 integers from 1 to 8, with commas";
}

/* clang-format off */
#define NUMBER(option, standard, least, most) \
    .name = option, .type = OPT_NUMBER, .fallback = standard, .min = least, .max = most

static const struct opt_row rows[BENCH_OPTION_COUNT] = {
    [BENCH_DSN] = {.name = "dsn", .type = OPT_TEXT, .fallback = "", .secret = true,
        .help = "connection URL or string of the server (without segue in front); the role needs "
                "CREATEDB"},
    [BENCH_TABLE] = {.name = "table", .type = OPT_TEXT, .fallback = "",
        .help = "take a copy of this table; empty: generated rows"},
    [BENCH_COLUMN] = {.name = "column", .type = OPT_TEXT, .fallback = "",
        .help = "of --table: what is filled into a new column; empty: the first of type text"},
    [BENCH_ROWS] = {NUMBER("rows", "200000", 1000, 100000000),
        .help = "so many generated rows; said with --table: at most so many of it"},
    [BENCH_TARGETS] = {.name = "targets", .type = OPT_LIST, .fallback = "25,100,400",
        .refuse = refuse_targets, .help = "batch_target_ms to try"},
    [BENCH_WORKERS] = {.name = "workers", .type = OPT_LIST, .fallback = "1",
        .refuse = refuse_workers, .help = "parallel workers (segue throttle workers) to try each with"},
    [BENCH_CONTENDERS] = {.name = "contenders", .type = OPT_LIST,
        .fallback = "segue,throttled,keyset,update", .refuse = bench_refuse_contenders,
        .help = "who takes part"},
    [BENCH_ROUNDS] = {NUMBER("rounds", "1", 1, 9),
        .help = "runs of each contender, in turn; medians are shown"},
    [BENCH_CLIENTS] = {NUMBER("clients", "4", 1, 64), .help = "clients beside the fill"},
    [BENCH_RATE] = {NUMBER("rate", "200", 1, 100000),
        .help = "their requests a second, all together: single rows, 3 of 10 write"},
    [BENCH_WINDOW_MS] = {NUMBER("window_ms", "5000", 200, 60000),
        .help = "the throttled fill goes and pauses in turn, each for so long and a fifth"},
    [BENCH_SECONDS_MAX] = {NUMBER("seconds_max", "900", 10, 86400),
        .help = "the whole of it takes no longer"},
    [BENCH_FREE_MB] = {NUMBER("free_mb", "0", 0, 4000000000),
        .help = "free disk of the server, where it cannot be seen from here"},
    [BENCH_SVG] = {.name = "svg", .type = OPT_TEXT, .fallback = "", .help = "write a plot to this file"},
};
/* clang-format on */

void bench_help(void)
{
    puts("usage: segue bench backfill --dsn URL [--table NAME | --rows N] [--OPTION VALUE]... "
         "[--json] [--yes]\n\n"
         "Fills a column on your server by segue's backfill at several batch targets, by batches "
         "of\n"
         "1000 keys with a trigger, and by one UPDATE, with clients beside it, and recommends "
         "settings.\n"
         "All of it happens in a database of its own, which is dropped at the end, at Ctrl-C, and "
         "by the\n"
         "next run if this one is killed. It writes: it asks first, or wants --yes.\n");
    for (int i = 0; i < BENCH_OPTION_COUNT; i++) {
        char name[64], allowed[256];

        snprintf(name, sizeof(name), "--%s", rows[i].name);
        for (char *p = name; *p; p++)
            *p = *p == '_' ? '-' : *p;
        opt_allowed(&rows[i], allowed, sizeof(allowed));
        printf("  %-16s %s\n  %-16s %s; default \"%s\"\n", name, rows[i].help, "", allowed,
               rows[i].fallback);
    }
}

static enum rc take_option(struct bench *b, int argc, char **argv, int *i, struct err *err)
{
    const char *word = argv[*i], *value = strchr(word, '=');
    char name[64];
    int row;

    snprintf(name, sizeof(name), "%.*s", value ? (int)(value - word) : 63, word);
    row = strncmp(name, "--", 2) == 0 ? opt_find(b->set, name + 2) : -1;
    if (row < 0) {
        err_set(err, "42601", "bench backfill does not know the option %s", name);
        return RC_ERR;
    }
    if (!value && *i + 1 >= argc) {
        err_set(err, "42601", "%s needs a value", name);
        return RC_ERR;
    }
    return opt_set_text(b->set, row, value ? value + 1 : argv[++*i], OPT_FLAG, err);
}

static enum rc take_options(struct bench *b, int argc, char **argv, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            b->json = true;
        else if (strcmp(argv[i], "--yes") == 0)
            b->yes = true;
        else if (take_option(b, argc, argv, &i, err) != RC_OK)
            return RC_ERR;
    }
    if (!*b->set->values[BENCH_DSN].text)
        err_set(err, "42601", "bench backfill needs --dsn");
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* ---- stopping ---- */

void bench_catch_signals(void)
{
    cli_stop_catch();
    signal(SIGPIPE, SIG_IGN);
}

bool bench_interrupted(void)
{
    return cli_stop_signal() != 0;
}

bool bench_stopped(const struct bench *b)
{
    return cli_stop_signal() || clock_us() > b->until_us;
}

/* ---- the question ---- */

static enum rc ask(struct bench *b, const char *space, struct err *err)
{
    char answer[16] = "";

    fprintf(stderr,
            "segue bench: makes a database on %s:%s, fills it (%s, some %.0f MB), writes WAL there "
            "for at most %u s, and drops it; %s\n",
            PQhost(b->home), PQport(b->home), b->source, (double)b->table_bytes / 1e6,
            b->set->values[BENCH_SECONDS_MAX].number, space);
    if (b->yes)
        return RC_OK;
    if (isatty(STDIN_FILENO)) {
        fprintf(stderr, "Go on? [y/N] ");
        if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
            return RC_OK;
    }
    err_set(err, "57014", "nothing was done");
    err_hint(err, "--yes says that it may");
    return RC_ERR;
}

/* ---- the results ---- */

static enum rc write_svg(const struct bench *b, const struct bench_result *medians, size_t n,
                         struct err *err)
{
    const char *path = b->set->values[BENCH_SVG].text;
    char *title = mem_printf("segue bench backfill: PostgreSQL %s, %s", b->version, b->source);
    struct buf out = {0};
    FILE *file = *path ? fopen(path, "w") : NULL;

    if (file) {
        bench_svg(medians, n, title, &out);
        if (fwrite(out.data, 1, out.len, file) != out.len)
            err_set(err, "58030", "%s: cannot write: %s", path, strerror(errno));
        if (fclose(file) != 0)
            err_set(err, "58030", "%s: cannot write: %s", path, strerror(errno));
    } else if (*path) {
        err_set(err, "58030", "%s: cannot write: %s", path, strerror(errno));
    }
    buf_fini(&out);
    free(title);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc show(const struct bench *b, const struct bench_result *runs, size_t nruns,
                    struct err *err)
{
    struct bench_result *medians = mem_calloc(nruns + 1, sizeof(*medians));
    size_t n = nruns;
    struct buf out = {0};
    json_t *json;
    enum rc rc;

    memcpy(medians, runs, nruns * sizeof(*runs));
    bench_medians(medians, &n);
    if (b->json) {
        json = bench_report_json(b, medians, n, runs, nruns);
        cli_print_json(json);
        json_decref(json);
    } else {
        bench_report_table(b, medians, n, runs, nruns, &out);
        cli_print(&out);
    }
    buf_fini(&out);
    rc = write_svg(b, medians, n, err);
    free(medians);
    return rc;
}

/* ---- the order ---- */

/* What was measured before a stop is shown, and said to be not the whole. */
static enum rc run(struct bench *b, struct err *err)
{
    struct bench_result *runs = mem_calloc(9 * BENCH_RUNS_MAX, sizeof(*runs));
    struct err shown = {0};
    size_t n = 0;
    enum rc rc;

    rc = bench_make_database(b, err);
    if (rc == RC_OK)
        rc = bench_table_make(b, err);
    if (rc == RC_OK)
        rc = bench_run_all(b, runs, &n, err);
    if (bench_stopped(b)) {
        err_clear(err);
        err_set(err, "57014", "%s after %zu runs", bench_interrupted() ? "stopped" : "out of time",
                n);
        if (!bench_interrupted())
            err_hint(err, "--seconds-max allows more, --rows makes it shorter");
        rc = RC_ERR;
    }
    if (n > 0 && show(b, runs, n, &shown) != RC_OK && rc == RC_OK) {
        *err = shown;
        rc = RC_ERR;
    }
    free(runs);
    return rc;
}

static enum rc prepare(struct bench *b, struct err *err)
{
    struct buf space = {0};
    size_t dropped;
    enum rc rc = RC_ERR;

    if (bench_open(b, err) != RC_OK)
        return RC_ERR;
    dropped = bench_drop_leftovers(b, err);
    if (dropped)
        fprintf(stderr, "segue bench: dropped %zu databases that a killed run had left\n", dropped);
    if (!err_is_set(err) && bench_table_look(b, err) == RC_OK &&
        bench_check_space(b, &space, err) == RC_OK)
        rc = ask(b, space.data, err);
    buf_fini(&space);
    return rc;
}

static int backfill(int argc, char **argv)
{
    struct bench b = {.set = opt_set_new(rows, BENCH_OPTION_COUNT), .until_us = INT64_MAX};
    struct err err = {0};
    int code = CLI_DONE;

    if (take_options(&b, argc, argv, &err) != RC_OK) {
        err_hint(&err, "segue bench --help");
        code = CLI_USAGE;
    } else {
        bench_catch_signals();
        if (prepare(&b, &err) == RC_OK) {
            b.until_us = clock_us() + (int64_t)b.set->values[BENCH_SECONDS_MAX].number * 1000000;
            code = run(&b, &err) == RC_OK ? CLI_DONE : CLI_REFUSED;
        } else {
            code = b.home ? CLI_REFUSED : CLI_UNREACHABLE;
        }
        bench_drop_database(&b);
        PQfinish(b.home);
    }
    if (code != CLI_DONE)
        cli_print_err(&err);
    if (bench_interrupted())
        code = cli_stop_code();
    opt_set_free(b.set);
    free(b.column);
    free(b.column_plain);
    free(b.source);
    return code;
}

int bench_main(int argc, char **argv)
{
    struct err err = {0};

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            bench_help();
            return CLI_DONE;
        }
    }
    if (argc > 0 && strcmp(argv[0], "backfill") == 0)
        return backfill(argc, argv);
    if (argc > 0)
        err_set(&err, "42601", "there is no bench \"%.64s\"", argv[0]);
    else
        err_set(&err, "42601", "bench needs to know which");
    err_hint(&err, "segue bench backfill --dsn URL; segue bench --help");
    cli_print_err(&err);
    return CLI_USAGE;
}
