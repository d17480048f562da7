/*
 * Binds the layers: `segue serve` makes the console, the data plane and the engine, and ends them
 * in order when told to.
 *
 * One thread waits for signals, so that a second SIGTERM is heard while the first one's drain
 * goes on. SIGHUP is served on that thread too.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/admin/console.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/catalog/catalog.h"
#include "segue/catalog/reach.h"
#include "segue/cli/cli.h"
#include "segue/cli/config.h"
#include "segue/takeover/takeover.h"

#define OUTLIVE_LOOK_MS 100
#define OUTLIVE_SAY_MS 60000
#define MAPPED_BYTES_MIN (128 * 1024) /* larger blocks are mapped, and go back when freed */
#define END_NOW_MS 1000               /* what a second SIGTERM leaves for a clean end */

struct serve {
    int argc;
    char *const *argv;
    pthread_mutex_t lock; /* of cfg: SHOW CONFIG reads it on workers, SIGHUP changes it */
    struct cfg *cfg;
    struct adm_console *console;
    struct sess_plane *plane;
    struct eng_engine *engine;
    struct tko *takeover;
    bool wants_takeover;
    atomic_bool handed_over;
    pthread_t signals;
    sem_t asked_to_end;
    atomic_bool ended; /* the signal thread may go */
};

static json_t *show_config(void *ctx)
{
    struct serve *serve = ctx;
    json_t *table;

    pthread_mutex_lock(&serve->lock);
    table = cfg_show(serve->cfg);
    pthread_mutex_unlock(&serve->lock);
    return table;
}

static void apply_log_options(const struct cfg *cfg)
{
    enum log_level level;
    enum log_format format;

    if (log_level_parse(cfg->set->values[CFG_LOG_LEVEL].text, &level) == RC_OK)
        log_level_set(level);
    if (log_format_parse(cfg->set->values[CFG_LOG_FORMAT].text, &format) == RC_OK)
        log_format_set(format);
}

/* Where segue or the upstream judges a password, people take the console for closed. Where it is
 * the application's own login that passes through, README says whose the open console is. */
static void warn_of_open_console(const struct cfg *cfg)
{
    struct sess_options session;

    cfg_session_options(cfg, &session);
    if (session.auth != SESS_AUTH_PASS && !cfg->set->values[CFG_ADMIN_USERS].list[0])
        log_warning("console: admin_users is empty: every user who logs in over loopback may "
                    "change migrations, the application's too; name in admin_users (the "
                    "configuration file, --admin-users or SEGUE_ADMIN_USERS) who may");
}

/* What sessions go by when `next` is in force; its strings belong to both. */
static void options_with(struct serve *serve, struct cfg *next, struct sess_options *out)
{
    pthread_mutex_lock(&serve->lock);
    cfg_swap(serve->cfg, next);
    cfg_session_options(serve->cfg, out);
    cfg_swap(serve->cfg, next); /* back: files may be slow to read, and nobody is to wait */
    pthread_mutex_unlock(&serve->lock);
}

static void reload(struct serve *serve)
{
    struct cfg *next;
    struct sess_options session;
    struct eng_options engine;
    struct err err = {0};
    size_t changed;

    if (cfg_load(serve->argc, serve->argv, &next, &err) != RC_OK) {
        log_err(LOG_ERROR, "reload: the old configuration stays", &err);
        return;
    }
    options_with(serve, next, &session);
    if (sess_plane_reload(serve->plane, &session, &err) != RC_OK) {
        cfg_free(next);
        log_err(LOG_ERROR, "reload: the old configuration stays", &err);
        return;
    }
    pthread_mutex_lock(&serve->lock);
    cfg_swap(serve->cfg, next);
    pthread_mutex_unlock(&serve->lock);
    sess_plane_reloaded(serve->plane);
    changed = cfg_log_changes(serve->cfg, next);
    cfg_free(next);
    apply_log_options(serve->cfg);
    cfg_engine_options(serve->cfg, &engine);
    adm_console_set_users(serve->console, serve->cfg->set->values[CFG_ADMIN_USERS].list,
                          serve->cfg->set->values[CFG_STATS_USERS].list);
    eng_reload(serve->engine, &engine);
    warn_of_open_console(serve->cfg);
    log_info("reload: done, %zu options changed, files of TLS and auth read again", changed);
}

/* The drain ends now; if the rest does not, the process does. But where others' sessions are told
 * of here alone, it ends with them. */
static void end_now(struct serve *serve)
{
    int64_t until = clock_ms() + END_NOW_MS;

    log_warning("second signal: ending now");
    sess_plane_drain_now(serve->plane);
    while (clock_ms() < until && !atomic_load(&serve->ended))
        clock_sleep_ms(10);
    if (!atomic_load(&serve->ended) && !tko_relays(serve->takeover))
        _exit(CLI_DONE);
}

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1); /* our own: wakes the signal thread at the end */
}

static void *signal_thread(void *arg)
{
    struct serve *serve = arg;
    bool asked = false;
    sigset_t set;
    int number;

    signal_set(&set);
    while (!atomic_load(&serve->ended)) {
        if (sigwait(&set, &number) != 0)
            continue;
        if (number == SIGHUP && !asked) {
            reload(serve);
        } else if ((number == SIGTERM || number == SIGINT) && !asked) {
            asked = true;
            sem_post(&serve->asked_to_end);
        } else if (number == SIGTERM || number == SIGINT) {
            end_now(serve);
        }
    }
    return NULL;
}

static unsigned number(struct serve *serve, enum cfg_option option)
{
    unsigned n;

    pthread_mutex_lock(&serve->lock);
    n = serve->cfg->set->values[option].number;
    pthread_mutex_unlock(&serve->lock);
    return n;
}

/* Of a process whose signal thread does not run yet: until then they wait. */
static bool told_to_end(void)
{
    sigset_t waiting;

    return sigpending(&waiting) == 0 &&
           (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

static void on_handed_over(void *ctx)
{
    struct serve *serve = ctx;

    tko_report(serve->takeover, number(serve, CFG_TAKEOVER_TIMEOUT_S), true);
    atomic_store(&serve->handed_over, true);
    sem_post(&serve->asked_to_end);
}

static enum rc make(struct serve *serve, struct err *err)
{
    struct tko_options takeover = {
        .handed_over = on_handed_over, .told_to_end = told_to_end, .ctx = serve};
    struct sess_options session;
    struct eng_options engine;
    const struct adm_options admin = {
        .admin_users = serve->cfg->set->values[CFG_ADMIN_USERS].list,
        .stats_users = serve->cfg->set->values[CFG_STATS_USERS].list,
        .login_database = serve->cfg->upstream.database,
        .config = show_config,
        .ctx = serve,
    };

    cfg_session_options(serve->cfg, &session);
    session.upstream.probe = cat_probe;
    cfg_engine_options(serve->cfg, &engine);
    serve->console = adm_console_new(&admin);
    serve->plane = sess_plane_new(&session, adm_console_ops(), serve->console, err);
    if (!serve->plane)
        return RC_ERR;
    serve->engine = eng_new(&engine, serve->plane);
    takeover.control_socket = serve->cfg->set->values[CFG_CONTROL_SOCKET].text;
    takeover.listen = session.listen;
    takeover.plane = serve->plane;
    takeover.engine = serve->engine;
    serve->takeover = tko_new(&takeover);
    adm_console_bind(serve->console, serve->plane, serve->engine, serve->takeover);
    return RC_OK;
}

/* True: a signal, or the takeover's thread. */
static bool asked_within(struct serve *serve, unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_clockwait(&serve->asked_to_end, CLOCK_MONOTONIC, &until) == 0;
}

/* Another process serves new clients: ours stay to their own end, or to the deadline. */
static void outlive(struct serve *serve)
{
    int64_t since = clock_ms(), said = 0;
    unsigned left;

    eng_retire(serve->engine);
    for (;;) {
        int64_t left_ms =
            since + (int64_t)number(serve, CFG_TAKEOVER_TIMEOUT_S) * 1000 - clock_ms();

        tko_report(serve->takeover, left_ms > 0 ? (unsigned)(left_ms / 1000) : 0, false);
        left = sess_plane_left(serve->plane);
        if ((!left && !tko_predecessor(serve->takeover)) || left_ms <= 0)
            return;
        if (!said || clock_ms() - said >= OUTLIVE_SAY_MS) {
            said = clock_ms();
            log_info("handed over to process %d: %u sessions go on, for %" PRId64 " s at most",
                     (int)tko_successor(serve->takeover), left, left_ms / 1000);
        }
        if (asked_within(serve, OUTLIVE_LOOK_MS))
            return;
    }
}

/* Whoever has taken over must not believe that nobody is left. Bounded by the predecessor's own
 * takeover_timeout_s. */
static void outlast_predecessor(struct serve *serve)
{
    if (!tko_relays(serve->takeover))
        return;
    log_info("process %d still serves sessions: this one stays without any, to tell process %d",
             (int)tko_predecessor(serve->takeover), (int)tko_successor(serve->takeover));
    while (tko_relays(serve->takeover))
        clock_sleep_ms(OUTLIVE_LOOK_MS);
}

static void wait_for_end(struct serve *serve)
{
    unsigned left;
    unsigned drain_s;

    while (sem_wait(&serve->asked_to_end) != 0 && errno == EINTR)
        ;
    if (atomic_load(&serve->handed_over))
        outlive(serve);
    else
        tko_end(serve->takeover);
    drain_s = number(serve, CFG_DRAIN_TIMEOUT_S);
    tko_report(serve->takeover, drain_s, false);
    left = sess_plane_left(serve->plane);
    log_info("ending: %u sessions have %u s to come to a safe point", left, drain_s);
    eng_stop(serve->engine);
    sess_plane_drain(serve->plane, drain_s * 1000);
    tko_report(serve->takeover, 0, false);
    outlast_predecessor(serve);
}

static int fail(int code, const struct err *err)
{
    fprintf(stderr, "segue: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    return code;
}

/* Whoever has the address may be a segue, of another user perhaps, or no segue at all. */
static void hint_at_owner(const struct serve *serve, struct err *err)
{
    if (strcmp(err->sqlstate, "55006") != 0)
        return;
    if (serve->wants_takeover)
        err_hint(err, "if a segue serves there, control_socket does not lead to it: name its own");
    else
        err_hint(err, "if a segue serves there, this one can take its place, as the same user: "
                      "segue serve --takeover");
}

/* Whoever runs here already goes on as if nothing had happened until the last step succeeds. */
static enum rc begin(struct serve *serve, struct err *err)
{
    enum rc rc = serve->wants_takeover ? tko_take(serve->takeover, err) : RC_OK;

    if (rc == RC_AGAIN) {
        log_warning("there is no segue to take over from: starting as usual (%s)", err->text);
        err_clear(err);
    }
    if (rc == RC_ERR || sess_plane_start(serve->plane, err) != RC_OK)
        return RC_ERR;
    return tko_begin(serve->takeover, err);
}

/* Accepts clients until told to end; a database that cannot be reached stops nobody here. */
static int run(struct serve *serve)
{
    struct err err = {0};

    if (make(serve, &err) != RC_OK) /* options that do not fit together, and files they name */
        return fail(CLI_USAGE, &err);
    if (begin(serve, &err) != RC_OK) {
        hint_at_owner(serve, &err);
        return fail(CLI_REFUSED, &err);
    }
    log_tell("listening on %s", sess_plane_addresses(serve->plane));
    warn_of_open_console(serve->cfg);
    if (eng_start(serve->engine, &err) != RC_OK) {
        log_err(LOG_ERROR, "the engine does not start; clients are served without it", &err);
        sess_plane_unknown(serve->plane);
    }
    pthread_create(&serve->signals, NULL, signal_thread, serve);
    wait_for_end(serve);
    return CLI_DONE;
}

/* The one word of serve that is no option: what is running is not configured. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], flag) != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(--*argc - i) * sizeof(*argv));
        return true;
    }
    return false;
}

static int serve_command(int argc, char **argv)
{
    struct serve serve = {.wants_takeover = take_flag(&argc, argv, "--takeover"),
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    struct err err = {0};
    sigset_t set;
    int code;

    serve.argc = argc;
    serve.argv = argv;
    if (cfg_load(argc, argv, &serve.cfg, &err) != RC_OK)
        return fail(CLI_USAGE, &err);
    apply_log_options(serve.cfg);
    /* glibc raises this limit with each large block that is freed: after a burst the sessions'
     * buffers would lie between others on the heap and stay resident for ever. */
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log file that may not grow further is an error of write() */
    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
    sem_init(&serve.asked_to_end, 0, 0);
    code = run(&serve);
    atomic_store(&serve.ended, true);
    if (code == CLI_DONE) { /* a signal must not find the plane freed */
        pthread_kill(serve.signals, SIGUSR1);
        pthread_join(serve.signals, NULL);
    }
    if (serve.takeover)
        tko_stop(serve.takeover);
    sess_plane_free(serve.plane);
    tko_free(serve.takeover);
    eng_free(serve.engine);
    if (code == CLI_DONE)
        log_info("ended");
    adm_console_free(serve.console);
    cfg_free(serve.cfg);
    sem_destroy(&serve.asked_to_end);
    return code;
}

int main(int argc, char **argv)
{
    int code;

    log_secure_descriptors();
    code = cli_main(argc, argv, serve_command);
    if (cat_reach_given_up()) { /* a thread in libraries that exit() would take down under it */
        fflush(NULL);
        _exit(code);
    }
    return code;
}
