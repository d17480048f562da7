/*
 * The real thing: `segue serve` of this program in front of the bench's database, on a free port of
 * the loopback interface. It ends with the bench, however that ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "client.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

#define LISTEN_WAIT_MS 15000
#define END_WAIT_MS 5000
#define LOOK_MS 20
#define STATUS_MS 1000 /* clients are to feel the backfill, and not the asking for its end */
#define NAME "segue_bench"

extern char **environ;

struct bench_segue {
    pid_t pid;
    unsigned port;
    char server[96]; /* of its console */
    struct cli_client console;
};

/* The bench's environment without SEGUE_...: those are of another segue. The upstream may hold a
 * password, which must not stand in the arguments. */
static char **environment(const char *upstream)
{
    size_t n = 0, kept = 0;
    char **out;

    while (environ[n])
        n++;
    out = mem_calloc(n + 2, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], "SEGUE_", 6) != 0 && strncmp(environ[i], "DATABASE_URL=", 13) != 0)
            out[kept++] = mem_strdup(environ[i]);
    }
    out[kept] = mem_printf("SEGUE_UPSTREAM=%s", upstream);
    return out;
}

/* In the child: what `serve` says besides its one line goes nowhere but to standard error. */
static void become_serve(int out, pid_t parent, char **env, unsigned target_ms)
{
    char target[16], socket[64];
    char *const argv[] = {
        "segue",       "serve", "--listen",          "127.0.0.1:0", "--workers",        "1",
        "--log-level", "error", "--batch-target-ms", target,        "--control-socket", socket,
        NULL};

    snprintf(target, sizeof(target), "%u", target_ms);
    snprintf(socket, sizeof(socket), "@segue.bench.%d", (int)getpid());
    setpgid(0, 0); /* Ctrl-C is the bench's, which ends this one in order */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

/* The port of the line "segue: listening on 127.0.0.1:PORT"; 0: it did not come. */
static unsigned read_port(const struct bench *b, int fd)
{
    char text[512];
    size_t len = 0;
    int64_t until = clock_ms() + LISTEN_WAIT_MS;

    while (clock_ms() < until && !bench_stopped(b) && len + 1 < sizeof(text)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const char *at;
        ssize_t n = poll(&p, 1, LOOK_MS) > 0 ? read(fd, text + len, sizeof(text) - 1 - len) : -1;

        if (n == 0)
            return 0;
        len += n > 0 ? (size_t)n : 0;
        text[len] = '\0';
        at = strstr(text, "listening on ");
        if (at && strchr(at, '\n') && (at = strchr(at + 13, ':')))
            return (unsigned)strtoul(at + 1, NULL, 10);
    }
    return 0;
}

static enum rc open_console(struct bench_segue *segue, struct err *err)
{
    snprintf(segue->server, sizeof(segue->server),
             "postgresql://%s@127.0.0.1:%u/segue?sslmode=disable", NAME, segue->port);
    segue->console.server = segue->server;
    return cli_client_connect(&segue->console, 10, err);
}

struct bench_segue *bench_segue_start(struct bench *b, unsigned target_ms, struct err *err)
{
    struct bench_segue *segue = mem_calloc(1, sizeof(*segue));
    char *upstream = bench_conninfo(b, b->database);
    char **env = environment(upstream ? upstream : "");
    pid_t parent = getpid();
    int fds[2];

    free(upstream);
    if (pipe(fds) != 0) {
        err_set(err, "53000", "a pipe: %s", strerror(errno));
        mem_strlist_free(env);
        free(segue);
        return NULL;
    }
    segue->pid = fork();
    if (segue->pid == 0)
        become_serve(fds[1], parent, env, target_ms);
    close(fds[1]);
    mem_strlist_free(env);
    segue->port = segue->pid > 0 ? read_port(b, fds[0]) : 0;
    close(fds[0]);
    if (segue->port && open_console(segue, err) == RC_OK)
        return segue;
    err_set(err, "58000", "the bench's own segue serve did not start");
    bench_segue_stop(segue);
    return NULL;
}

void bench_segue_stop(struct bench_segue *segue)
{
    int64_t until = clock_ms() + END_WAIT_MS;

    if (!segue)
        return;
    cli_client_close(&segue->console);
    if (segue->pid > 0) {
        kill(segue->pid, SIGTERM);
        while (waitpid(segue->pid, NULL, WNOHANG) == 0) {
            if (clock_ms() > until)
                kill(segue->pid, SIGKILL);
            clock_sleep_ms(LOOK_MS);
        }
    }
    free(segue);
}

/* Through it, as everybody else: the same words, but where it listens and without TLS. */
char *bench_segue_conninfo(const struct bench *b, const struct bench_segue *segue)
{
    char *own = bench_conninfo(b, b->database);
    char *out =
        mem_printf("%s host=127.0.0.1 hostaddr='' port=%u sslmode=disable gssencmode=disable "
                   "application_name=" BENCH_APPLICATION,
                   own ? own : "", segue->port);

    free(own);
    return out;
}

static enum rc say(struct bench_segue *segue, const char *statement, json_t **rows, struct err *err)
{
    json_t *answer = NULL;
    enum rc rc = cli_client_ask(&segue->console, statement, NULL, &answer, err);

    if (rows)
        *rows = answer;
    else
        json_decref(answer);
    return rc == RC_OK ? RC_OK : RC_ERR;
}

static enum rc start_migration(struct bench *b, struct bench_segue *segue, struct err *err)
{
    json_t *file =
        json_pack("{s:s, s:[{s:{s:s, s:s, s:s}}]}", "name", NAME, "operations", "rename_column",
                  "table", "bench_rows", "from", b->column_plain, "to", "segue_bench_fresh");
    char *text = json_dumps(file, JSON_COMPACT);
    struct buf statement = {0};
    enum rc rc;

    buf_append_str(&statement, "START ");
    cli_append_literal(&statement, text);
    rc = say(segue, statement.data, NULL, err);
    buf_fini(&statement);
    free(text);
    json_decref(file);
    return rc;
}

/* Those that may hold or slow it because of the bench itself. */
enum rc bench_segue_unthrottle(struct bench_segue *segue, struct err *err)
{
    static const char *const holding[] = {"THROTTLE client_p99 off", "THROTTLE autovacuum off",
                                          "THROTTLE blocked_sessions off"};

    for (size_t i = 0; i < ARRAY_LEN(holding); i++) {
        if (say(segue, holding[i], NULL, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

enum rc bench_segue_begin(struct bench *b, struct bench_segue *segue, unsigned workers,
                          bool throttled, struct err *err)
{
    char parallel[40];
    enum rc rc;

    snprintf(parallel, sizeof(parallel), "THROTTLE workers %u", workers);
    rc = say(segue, parallel, NULL, err);
    if (rc == RC_OK)
        rc = throttled ? say(segue, "THROTTLE client_p99 1.25", NULL, err)
                       : bench_segue_unthrottle(segue, err);
    return rc == RC_OK ? start_migration(b, segue, err) : rc;
}

enum rc bench_segue_pause(struct bench_segue *segue, bool pause, struct err *err)
{
    return say(segue, pause ? "PAUSE " NAME : "RESUME " NAME, NULL, err);
}

enum rc bench_segue_look(struct bench_segue *segue, struct bench_progress *out, struct err *err)
{
    json_t *rows = NULL, *row;
    const char *phase, *error;

    *out = (struct bench_progress){0};
    if (say(segue, "SHOW STATUS " NAME, &rows, err) != RC_OK)
        return RC_ERR;
    row = json_array_get(rows, 0);
    phase = json_string_value(json_object_get(row, "phase"));
    error = json_string_value(json_object_get(row, "error"));
    if (phase) {
        out->filling = strcmp(phase, "backfilling") == 0;
        out->filled = strcmp(phase, "verifying") == 0 || strcmp(phase, "ready") == 0;
        out->rows = json_number_value(json_object_get(row, "rows_done"));
    }
    if (error && *error)
        err_set(err, "P0001", "the backfill stopped: %s", error);
    json_decref(rows);
    return err_is_set(err) && !out->filled ? RC_ERR : RC_OK;
}

enum rc bench_segue_wait(struct bench *b, struct bench_segue *segue, struct err *err)
{
    while (!bench_stopped(b)) {
        struct bench_progress at;

        if (bench_segue_look(segue, &at, err) != RC_OK)
            return RC_ERR;
        if (at.filled)
            return RC_OK;
        clock_sleep_ms(STATUS_MS);
    }
    return RC_AGAIN;
}
