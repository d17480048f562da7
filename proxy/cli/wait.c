#include "wait.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"
#include "progress.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/cli/cli.h"
#include "stop.h"

#define POLL_MS_MIN 50 /* what takes no time is not made to wait */
#define POLL_MS_MAX 1000
#define RECONNECT_MS 200
#define RECONNECT_MS_MAX 60000
#define STALE_ERROR_MS 3000 /* an error from before the verb may stand so long */

/* ---- what a status means ---- */

enum phase_bit { /* of those that goals tell apart */
                 P_READY = 1,
                 P_CUTTING = 2,
                 P_SOAKING = 4,
                 P_CONTRACTING = 8,
                 P_DONE = 16,
                 P_ABORTING = 32,
                 P_ABORTED = 64,
                 P_REVERTING = 128,
                 P_EARLY = 256,
};

static const struct {
    const char *name;
    unsigned bit;
} phases[] = {
    {"ready", P_READY},     {"cutting_over", P_CUTTING},
    {"soaking", P_SOAKING}, {"contracting", P_CONTRACTING},
    {"done", P_DONE},       {"aborting", P_ABORTING},
    {"aborted", P_ABORTED}, {"reverting", P_REVERTING},
    {"planned", P_EARLY},   {"expanding", P_EARLY},
    {"verifying", P_EARLY}, {"backfilling", P_EARLY},
};

/* Somebody else may have moved it on before it is looked at: where a phase can only come behind
 * what was asked for, that was reached, or is not to be reached any more. */
#define PAST_CUTOVER (P_SOAKING | P_CONTRACTING | P_DONE)
#define GONE (P_ABORTING | P_ABORTED)
#define STARTED_ANEW (P_EARLY | P_READY | P_CUTTING | P_REVERTING | PAST_CUTOVER)

/* What is said to who goes away while it is waited for; NAME is the migration. */
#define WATCH " Watch it: segue status NAME --watch."
#define NOT_HELD "detached; the migration goes on." WATCH
#define WAITED NOT_HELD " Go back: segue rollback NAME"
#define GOES_ON NOT_HELD " Hold it: segue pause NAME. "

static const struct {
    unsigned reached, failed;
    bool may_turn_back; /* ready after cutting_over */
    bool errors_count;
    const char *detached; /* NULL: nothing was asked for that would go on */
} goals[CLI_GOAL_COUNT] = {
    [CLI_GOAL_READY] = {P_READY | P_CUTTING | PAST_CUTOVER, GONE, false, true,
                        GOES_ON "Stop it: segue abort NAME"},
    [CLI_GOAL_SOAKING] = {PAST_CUTOVER, GONE, true, true,
                          GOES_ON "Stop it at ready: segue cutover NAME --withdraw"},
    [CLI_GOAL_CUTOVER] = {PAST_CUTOVER, GONE, true, true,
                          "detached; the cut-over goes on." WATCH
                          " Call it off: segue cutover NAME --withdraw"},
    [CLI_GOAL_PROVEN] = {PAST_CUTOVER, P_READY | P_CUTTING | P_REVERTING | GONE, false, true,
                         "nothing was dropped: NAME stays as it is, and is proven further." WATCH
                         " Later: segue complete NAME, or segue rollback NAME"},
    [CLI_GOAL_DONE] = {P_DONE, P_ABORTED, false, true,
                       "detached; what is old is dropped all the same." WATCH
                       " Hold it: segue pause NAME"},
    [CLI_GOAL_REVERTED] = {P_READY | P_CUTTING | GONE | P_EARLY, PAST_CUTOVER, false, true,
                           "detached; the way back goes on." WATCH},
    [CLI_GOAL_ABORTED] = {P_ABORTED | STARTED_ANEW, 0, false, true,
                          "detached; what is new is dropped all the same." WATCH},
    [CLI_GOAL_WAIT_READY] = {P_READY | P_CUTTING | PAST_CUTOVER, GONE, false, true, WAITED},
    [CLI_GOAL_WAIT_SOAKING] = {PAST_CUTOVER, GONE, false, true, WAITED},
    [CLI_GOAL_WAIT_DONE] = {P_DONE, GONE, false, true, WAITED},
    [CLI_GOAL_WAIT_ABORTED] = {P_ABORTED, P_DONE, false, true, NOT_HELD},
    [CLI_GOAL_END] = {P_DONE | P_ABORTED, 0, false, false, NULL},
};

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : "";
}

static unsigned phase_of(const json_t *row)
{
    for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
        if (strcmp(phases[i].name, text_of(row, "phase")) == 0)
            return phases[i].bit;
    }
    return 0;
}

enum cli_goal cli_goal_of(const char *verb, const json_t *before, const json_t *now)
{
    static const struct {
        const char *verb;
        enum cli_goal goal;
    } waits[] = {
        {"CUTOVER", CLI_GOAL_CUTOVER},
        {"COMPLETE", CLI_GOAL_DONE},
        {"ROLLBACK", CLI_GOAL_ABORTED},
        {"ABORT", CLI_GOAL_ABORTED},
    };
    bool back = now ? !(phase_of(now) & GONE) : (phase_of(before) & (P_SOAKING | P_REVERTING)) != 0;

    if (strcmp(verb, "ROLLBACK") == 0 && back)
        return CLI_GOAL_REVERTED;
    for (size_t i = 0; i < ARRAY_LEN(waits); i++)
        if (strcmp(waits[i].verb, verb) == 0)
            return waits[i].goal;
    return CLI_GOAL_COUNT;
}

enum cli_goal cli_goal_named(const char *word)
{
    static const struct {
        const char *word;
        enum cli_goal goal;
    } named[] = {
        {"ready", CLI_GOAL_WAIT_READY},
        {"soaking", CLI_GOAL_WAIT_SOAKING},
        {"done", CLI_GOAL_WAIT_DONE},
        {"aborted", CLI_GOAL_WAIT_ABORTED},
    };

    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        if (strcmp(named[i].word, word) == 0)
            return named[i].goal;
    }
    return CLI_GOAL_COUNT;
}

enum cli_outcome cli_outcome_of(enum cli_goal goal, const json_t *row,
                                const struct cli_before *before, bool seen_cutover, long waited_ms)
{
    unsigned phase = phase_of(row);
    const char *error = text_of(row, "error");
    bool tried = json_number_value(json_object_get(row, "attempts")) > before->attempts;
    const json_t *wanted = json_object_get(row, "cutover_wanted");
    bool over = wanted ? json_is_false(wanted) : seen_cutover || tried;
    bool stale = before->error && strcmp(before->error, error) == 0;

    /* there, but what was asked for is refused as long as some of this is left, or this may stop */
    double proofs = json_number_value(json_object_get(row, "proofs_left"));
    double builds = json_number_value(json_object_get(row, "builds_left"));
    bool unproven = goal == CLI_GOAL_PROVEN && phase == P_SOAKING && proofs > 0;
    bool unsettled = goal == CLI_GOAL_WAIT_READY && phase == P_READY && builds + proofs > 0;

    if ((goals[goal].reached & phase) && !unproven && !unsettled)
        return CLI_REACHED;
    if (goals[goal].may_turn_back && phase == P_READY && over)
        return CLI_TURNED_BACK;
    if (goals[goal].failed & phase)
        return CLI_FAILED;
    if (goals[goal].errors_count && *error && (!stale || waited_ms > STALE_ERROR_MS))
        return CLI_FAILED;
    return CLI_WAITING;
}

/* ---- asking ---- */

static char *status_statement(const char *name)
{
    struct buf out = {0};

    buf_append_str(&out, "SHOW STATUS");
    if (name) {
        buf_append_u8(&out, ' ');
        cli_append_literal(&out, name);
    }
    return buf_take(&out);
}

/* Rows of SHOW STATUS; a migration that is over may stand in SHOW MIGRATIONS only. */
static json_t *status_rows(struct cli_client *client, const char *name, enum rc *rc,
                           struct err *err)
{
    char *statement = status_statement(name);
    json_t *rows = NULL, *all = NULL, *row;
    size_t i;

    *rc = cli_client_ask(client, statement, NULL, &rows, err);
    free(statement);
    if (*rc != RC_OK || !name || json_array_size(rows) > 0)
        return rows;
    *rc = cli_client_ask(client, "SHOW MIGRATIONS", NULL, &all, err);
    json_array_foreach(all, i, row)
    {
        if (strcmp(text_of(row, "migration"), name) == 0)
            json_array_append(rows, row);
    }
    json_decref(all);
    return rows;
}

json_t *cli_status_row(struct cli_client *client, const char *name, enum rc *rc, struct err *err)
{
    json_t *rows = status_rows(client, name, rc, err);
    json_t *row = json_incref(json_array_get(rows, 0));

    json_decref(rows);
    return row;
}

/* ---- waiting ---- */

struct watch {
    struct cli_client *client;
    const char *name;
    enum cli_goal goal;
    bool json, terminal;
    bool read;      /* nothing was there to be shown, and segue had read its state */
    unsigned drawn; /* lines of the block on the terminal */
    bool seen_cutover;
    struct cli_before before;
    json_t *last;              /* rows shown last */
    int64_t begun_ms, seen_ms; /* seen: something was there to be shown */
};

static unsigned terminal_width(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* Up over the old block, and away with it. */
static void append_erase(struct watch *watch, struct buf *out)
{
    if (watch->drawn)
        buf_printf(out, "\033[%uA\r\033[J", watch->drawn);
    watch->drawn = 0;
}

static void show_terminal(struct watch *watch, const json_t *rows)
{
    struct buf out = {0};
    size_t i;
    json_t *row;

    append_erase(watch, &out);
    json_array_foreach(rows, i, row)
    {
        cli_progress_block(row, terminal_width(), &out);
    }
    for (const char *p = out.data; p && (p = strchr(p, '\n')) != NULL; p++)
        watch->drawn++;
    cli_print(&out);
    buf_fini(&out);
}

static json_t *last_of(const struct watch *watch, const json_t *row)
{
    size_t i;
    json_t *last;

    json_array_foreach(watch->last, i, last)
    {
        if (strcmp(text_of(last, "migration"), text_of(row, "migration")) == 0)
            return last;
    }
    return NULL;
}

static bool same_but_time(const json_t *a, json_t *b)
{
    json_t *copy = json_copy((json_t *)a);
    bool same;

    json_object_set(copy, "updated_at", json_object_get(b, "updated_at"));
    same = json_equal(copy, b);
    json_decref(copy);
    return same;
}

/* Lines for logs and JSON lines: only what is new. Keeps what was shown. */
static void show_lines(struct watch *watch, json_t *rows)
{
    json_t *shown = json_array(), *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        json_t *last = last_of(watch, row);
        bool news = watch->json ? !last || !same_but_time(last, row) : cli_progress_news(last, row);
        struct buf line = {0};

        if (news && watch->json) {
            cli_print_json(row);
        } else if (news) {
            cli_progress_line(row, &line);
            cli_print(&line);
            buf_fini(&line);
        }
        json_array_append(shown, news ? row : last);
    }
    json_decref(watch->last);
    watch->last = shown;
}

static void show(struct watch *watch, json_t *rows)
{
    if (watch->terminal && !watch->json)
        show_terminal(watch, rows);
    else
        show_lines(watch, rows);
}

/* RC_AGAIN from ask: the connection is gone. Tries for a minute; true when it is back. */
static bool reconnect(struct watch *watch)
{
    int64_t until = clock_ms() + RECONNECT_MS_MAX;

    fprintf(stderr,
            "segue: connection lost; the migration's state is safe in the database. "
            "Trying to reconnect for %d s\n",
            RECONNECT_MS_MAX / 1000);
    watch->drawn = 0;
    watch->read = false;
    cli_client_close(watch->client);
    while (clock_ms() < until && !cli_stop_signal()) {
        struct err err = {0};

        if (cli_client_connect(watch->client, 2, &err) == RC_OK)
            return true;
        clock_sleep_ms(RECONNECT_MS);
    }
    return false;
}

/* A way back is over, and has used up what the next cut-over needs. */
static void tell_of_builds(const struct watch *watch, const json_t *row)
{
    double left = json_number_value(json_object_get(row, "builds_left"));

    if (watch->goal == CLI_GOAL_REVERTED && left > 0)
        fprintf(stderr,
                "segue: %.0f steps that the way back has used up are done again before the next "
                "cut-over; segue wait %s waits for them\n",
                left, watch->name);
}

static int report(struct watch *watch, const json_t *row, enum cli_outcome outcome)
{
    struct err err = {0};
    const char *error = text_of(row, "error"), *hint = text_of(row, "hint");
    const char *blockers = text_of(row, "blockers");

    if (outcome == CLI_REACHED) {
        bool anew = watch->goal == CLI_GOAL_ABORTED && phase_of(row) != P_ABORTED;

        if (!watch->json && watch->goal != CLI_GOAL_END && watch->goal != CLI_GOAL_PROVEN)
            printf("%s: %s%s\n", watch->name, anew ? "aborted; started anew since: " : "",
                   text_of(row, "phase"));
        tell_of_builds(watch, row);
        return CLI_DONE;
    }
    if (outcome == CLI_TURNED_BACK && *error) {
        err_set(&err, "55P03", "%s went back to ready after %.0f attempts: %s", watch->name,
                json_number_value(json_object_get(row, "attempts")) - watch->before.attempts,
                *blockers ? blockers : error);
        err_hint(&err, "%s", hint);
    } else if (outcome == CLI_TURNED_BACK) {
        err_set(&err, "57014",
                "%s is ready again: the cut-over was withdrawn, or rolled back, or segue restarted",
                watch->name);
        err_hint(&err, "`segue cutover %s` asks for it again", watch->name);
    } else if (*error) {
        err_set(&err, "P0001", "%s stopped (%s): %s", watch->name, text_of(row, "phase"), error);
        err_hint(&err, "%s",
                 *hint ? hint : "`segue resume` tries again, `segue rollback` goes back");
    } else {
        err_set(&err, "P0001", "%s is %s", watch->name, text_of(row, "phase"));
    }
    cli_print_err(&err);
    /* called off by somebody, or given up: then the failure stands in its status */
    return outcome == CLI_TURNED_BACK && !*error ? CLI_REFUSED : CLI_STOPPED;
}

/* A signal has come, or nobody reads what is shown. */
static int detached(const struct watch *watch)
{
    const char *said = goals[watch->goal].detached, *name;
    struct buf out = {0};

    if (!said)
        return CLI_DONE;
    for (; (name = strstr(said, "NAME")) != NULL; said = name + strlen("NAME")) {
        buf_append(&out, said, (size_t)(name - said));
        buf_append_str(&out, watch->name);
    }
    buf_append_str(&out, said);
    fprintf(stderr, "%ssegue: %s\n", watch->terminal ? "\n" : "", out.data);
    buf_fini(&out);
    return cli_stop_signal() ? cli_stop_code() : CLI_REFUSED;
}

static bool nothing_left(const struct watch *watch, const json_t *rows)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (!(phase_of(row) & goals[watch->goal].reached))
            return false;
    }
    return true;
}

/* A segue that was restarted, or has taken over, has not read its state yet. */
static bool is_read(struct watch *watch)
{
    struct err err = {0};
    json_t *rows = NULL;
    enum rc rc = cli_client_ask(watch->client, "SHOW VERSION", NULL, &rows, &err);
    bool read =
        rc == RC_OK && json_is_true(json_object_get(json_array_get(rows, 0), "engine_connected"));

    json_decref(rows);
    return read;
}

/* Nothing is there to be shown. -1: it may come, else the exit code. */
static int look_at_nothing(struct watch *watch, struct err *err)
{
    bool read = watch->read;

    watch->read = is_read(watch); /* but perhaps only since it was asked */
    if (clock_ms() - watch->seen_ms <= RECONNECT_MS_MAX && !read)
        return -1;
    if (!watch->name)
        return CLI_DONE;
    err_set(err, "42704", "there is no migration \"%s\"", watch->name);
    return CLI_REFUSED;
}

/* One look. -1: go on waiting, else the exit code. */
static int look(struct watch *watch, struct err *err)
{
    enum rc rc;
    json_t *rows = status_rows(watch->client, watch->name, &rc, err), *row;
    enum cli_outcome outcome;
    int result = -1;

    if (rc == RC_AGAIN) {
        json_decref(rows);
        if (cli_stop_signal() || reconnect(watch)) {
            err_clear(err);
            return -1;
        }
        return cli_stop_signal() ? -1 : CLI_UNREACHABLE;
    }
    if (rc == RC_ERR)
        return CLI_REFUSED;
    show(watch, rows);
    row = json_array_get(rows, 0);
    if (row)
        watch->seen_ms = clock_ms();
    if (!row) {
        result = look_at_nothing(watch, err);
    } else if (!watch->name) {
        result = nothing_left(watch, rows) ? CLI_DONE : -1;
    } else {
        outcome = cli_outcome_of(watch->goal, row, &watch->before, watch->seen_cutover,
                                 (long)(clock_ms() - watch->begun_ms));
        watch->seen_cutover = watch->seen_cutover || phase_of(row) == P_CUTTING;
        if (outcome != CLI_WAITING)
            result = report(watch, row, outcome);
    }
    json_decref(rows);
    return result;
}

static int wait_long(struct cli_client *client, const char *name, enum cli_goal goal,
                     const json_t *before, int64_t timeout_ms, bool json)
{
    struct watch watch = {.client = client,
                          .name = name,
                          .goal = goal,
                          .json = json,
                          .terminal = isatty(STDOUT_FILENO),
                          .begun_ms = clock_ms(),
                          .seen_ms = clock_ms()};
    struct err err = {0};
    int64_t pause_ms = POLL_MS_MIN;
    int result = -1;

    watch.before.attempts = json_number_value(json_object_get(before, "attempts"));
    watch.before.error = json_string_value(json_object_get(before, "error"));
    cli_stop_catch();
    if (goal != CLI_GOAL_END) /* who only watches ends with its reader, as every filter does */
        signal(SIGPIPE, SIG_IGN);
    while (result == -1 && !cli_stop_signal()) {
        result = look(&watch, &err);
        if (result != -1 || ferror(stdout))
            break;
        if (timeout_ms > 0 && clock_ms() - watch.begun_ms >= timeout_ms) {
            result = CLI_REFUSED;
            err_set(&err, "57014", "%s is %s after %.0f s", name,
                    text_of(json_array_get(watch.last, 0), "phase"), (double)timeout_ms / 1000);
            err_hint(&err, "the migration goes on; `segue doctor %s` says what it waits for", name);
        }
        for (int64_t slept = 0; slept < pause_ms && !cli_stop_signal(); slept += 50)
            clock_sleep_ms(50);
        pause_ms = pause_ms * 5 / 4 < POLL_MS_MAX ? pause_ms * 5 / 4 : POLL_MS_MAX;
    }
    json_decref(watch.last);
    if (result == -1)
        return detached(&watch);
    if (err_is_set(&err))
        cli_print_err(&err);
    return result;
}

int cli_wait(struct cli_client *client, const char *name, enum cli_goal goal, const json_t *before,
             bool json)
{
    return wait_long(client, name, goal, before, 0, json);
}

int cli_wait_for(struct cli_client *client, const char *name, enum cli_goal goal,
                 int64_t timeout_ms, bool json)
{
    return wait_long(client, name, goal, NULL, timeout_ms, json);
}
