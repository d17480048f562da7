/* Who may come in, and what becomes of a query: SHOW at once, verbs as jobs of the engine. */
#include "segue/admin/console.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "reply.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "show.h"
#include "token.h"

#define DATABASE "segue"

struct adm_console {
    struct adm_sources sources;
    char *login_database;
    pthread_mutex_t lock; /* of the users: SIGHUP changes them under the workers */
    char **admin_users;   /* NULL-terminated */
    char **stats_users;
};

struct adm_console *adm_console_new(const struct adm_options *options)
{
    struct adm_console *console = mem_calloc(1, sizeof(*console));

    pthread_mutex_init(&console->lock, NULL);
    console->admin_users = mem_strlist_copy((const char *const *)options->admin_users);
    console->stats_users = mem_strlist_copy((const char *const *)options->stats_users);
    console->login_database = mem_strdup(options->login_database);
    console->sources.config = options->config;
    console->sources.config_ctx = options->ctx;
    return console;
}

void adm_console_bind(struct adm_console *console, struct sess_plane *plane,
                      struct eng_engine *engine, struct tko *takeover)
{
    console->sources.plane = plane;
    console->sources.engine = engine;
    console->sources.takeover = takeover;
}

void adm_console_free(struct adm_console *console)
{
    if (!console)
        return;
    pthread_mutex_destroy(&console->lock);
    mem_strlist_free(console->admin_users);
    mem_strlist_free(console->stats_users);
    free(console->login_database);
    free(console);
}

void adm_console_set_users(struct adm_console *console, char *const *admin_users,
                           char *const *stats_users)
{
    char **admin = mem_strlist_copy((const char *const *)admin_users), **admin_was;
    char **stats = mem_strlist_copy((const char *const *)stats_users), **stats_was;

    pthread_mutex_lock(&console->lock);
    admin_was = console->admin_users;
    stats_was = console->stats_users;
    console->admin_users = admin;
    console->stats_users = stats;
    pthread_mutex_unlock(&console->lock);
    mem_strlist_free(admin_was);
    mem_strlist_free(stats_was);
}

/* ---- who may come in ---- */

static bool is_listed(char *const *users, const char *user)
{
    for (; *users; users++) {
        if (strcmp(*users, user) == 0)
            return true;
    }
    return false;
}

static enum sess_console_entry admit(void *ctx, const char *user, bool loopback, const char **why)
{
    struct adm_console *console = ctx;
    bool configured, listed;

    pthread_mutex_lock(&console->lock);
    configured = console->admin_users[0] != NULL;
    listed = is_listed(console->admin_users, user) || is_listed(console->stats_users, user);
    pthread_mutex_unlock(&console->lock);
    if (listed)
        return SESS_CONSOLE_LOGIN;
    if (!configured && loopback)
        return SESS_CONSOLE_TRUST;
    *why = configured ? "only the users in admin_users and stats_users may use the console"
                      : "the console is open to loopback only while admin_users is empty";
    return SESS_CONSOLE_REFUSE;
}

/* Whoever was let in without being listed may do everything, while admin_users is empty. */
static bool may(struct adm_console *console, const char *user, const struct adm_command *command)
{
    bool all;

    pthread_mutex_lock(&console->lock);
    all = is_listed(console->admin_users, user) ||
          (!console->admin_users[0] && !is_listed(console->stats_users, user));
    pthread_mutex_unlock(&console->lock);
    return all || command->right == ADM_LOOKS;
}

static const char *login_database(void *ctx)
{
    return ((struct adm_console *)ctx)->login_database;
}

/* ---- what drivers say by themselves: accepted, of no effect ---- */

static const char *const polite[] = {"SET", "RESET", "DISCARD", "BEGIN", "COMMIT", "END"};

static bool run_polite(const struct adm_token *words, size_t count, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(polite); i++) {
        if (adm_token_is(&words[0], polite[i])) {
            adm_reply_complete(out, polite[i]);
            return true;
        }
    }
    if (count == 2 && adm_token_is(&words[0], "SELECT") && adm_token_is(&words[1], "1")) {
        json_t *one = json_pack("{s: [s], s: [[i]]}", "columns", "?column?", "rows", 1);

        adm_reply_table(out, one);
        adm_reply_complete(out, "SELECT 1");
        json_decref(one);
        return true;
    }
    return false;
}

/* What PgBouncer does on its console, and segue by a signal. */
static const struct {
    const char *word, *hint;
} by_signal[] = {
    {"RELOAD", "SIGHUP reads the configuration and its files again"},
    {"SHUTDOWN",
     "SIGTERM ends segue, once the transactions under way have finished; a second one at once"},
};

static void unknown_command(const char *word, struct err *err)
{
    const char **names = mem_calloc(adm_ncommands + 1, sizeof(*names)), *near;

    for (size_t i = 0; i < adm_ncommands; i++)
        names[i] = adm_commands[i].name;
    names[adm_ncommands] = "SHOW";
    near = opt_nearest(word, names, adm_ncommands + 1);
    err_set(err, "42601", "unknown command \"%.64s\": this is segue's console, not a database",
            word);
    for (size_t i = 0; i < ARRAY_LEN(by_signal); i++) { /* of hints the first counts */
        if (strcasecmp(word, by_signal[i].word) == 0)
            err_hint(err, "%s", by_signal[i].hint);
    }
    if (near)
        err_hint(err, "did you mean %s? SHOW HELP lists the commands", near);
    else
        err_hint(err, "SHOW HELP lists the commands");
    free(names);
}

/* ---- verbs ---- */

struct pending {
    struct sess_reply_to to;
    const char *tag;
};

static void job_done(struct eng_job *job, void *ctx)
{
    struct pending *pending = ctx;
    struct buf out = {0};

    if (err_is_set(&job->err)) {
        adm_reply_error(&out, &job->err);
    } else {
        if (job->result)
            adm_reply_table(&out, job->result);
        adm_reply_complete(&out, pending->tag);
    }
    adm_reply_ready(&out);
    sess_console_reply(pending->to, out.data, out.len);
    buf_fini(&out);
    free(pending);
}

/* True: the engine has it and will answer. */
static bool run_verb(struct adm_console *console, const char *user,
                     const struct adm_command *command, const struct adm_token *words, size_t count,
                     struct sess_reply_to to, struct err *err)
{
    struct eng_job *job;
    struct pending *pending;

    if (!may(console, user, command)) {
        err_set(err, "42501", "user \"%s\" may look at the console, and not use %s", user,
                command->name);
        err_hint(err, "option admin_users of segue names who may");
        return false;
    }
    if (adm_command_parse(command, words + 1, count - 1, &job, err) != RC_OK)
        return false;
    log_info("console: %s: %s%s%s%s%s", user, command->name, job->name ? " " : "",
             job->name ? job->name : "", job->force ? " FORCE" : "",
             job->migrate ? " MIGRATE" : "");
    pending = mem_calloc(1, sizeof(*pending));
    *pending = (struct pending){.to = to, .tag = command->name};
    job->done = job_done;
    job->ctx = pending;
    eng_submit(console->sources.engine, job);
    return true;
}

/* ---- a query ---- */

/* Words from `at` up to the next ; or the end. */
static size_t statement_length(const struct adm_tokens *tokens, size_t at)
{
    size_t n = 0;

    while (at + n < tokens->count && tokens->items[at + n].kind != ADM_SEMICOLON)
        n++;
    return n;
}

/* "START TRANSACTION" is a driver's BEGIN, not a verb. */
static const struct adm_command *verb_of(const struct adm_token *words, size_t count)
{
    if (count >= 2 && adm_token_is(&words[0], "START") && adm_token_is(&words[1], "TRANSACTION"))
        return NULL;
    return adm_command_find(&words[0]);
}

#define STATEMENTS_MAX 100 /* of one query: all their answers are made at once */

static void check_statements(const struct adm_tokens *tokens, struct err *err)
{
    size_t statements = 0;
    const struct adm_command *verb = NULL;

    for (size_t at = 0; at < tokens->count; at++) {
        size_t n = statement_length(tokens, at);

        if (n == 0)
            continue;
        statements++;
        if (!verb)
            verb = verb_of(&tokens->items[at], n);
        at += n;
    }
    if (statements > STATEMENTS_MAX) {
        err_set(err, "54000", "the console takes at most %d statements in a query", STATEMENTS_MAX);
        err_hint(err, "send them in several");
    } else if (verb && statements > 1) {
        err_set(err, "0A000", "%s must be the only statement of a query", verb->name);
        err_hint(err, "send the statements one by one");
    }
}

/* True: an engine job answers later. */
static bool run_statement(struct adm_console *console, const char *user,
                          const struct adm_token *words, size_t count, struct sess_reply_to to,
                          struct buf *out, struct err *err)
{
    const struct adm_command *verb = verb_of(words, count);

    if (verb)
        return run_verb(console, user, verb, words, count, to, err);
    if (adm_token_is(&words[0], "SHOW"))
        adm_show(&console->sources, words, count, out, err);
    else if (adm_token_is(&words[0], "START"))
        adm_reply_complete(out, "START TRANSACTION");
    else if (!run_polite(words, count, out))
        unknown_command(words[0].value, err);
    return false;
}

static bool query(void *ctx, const char *user, const char *text, struct sess_reply_to to,
                  struct buf *out)
{
    struct adm_tokens tokens = {0};
    struct err err = {0};
    bool any = false, later = false;

    if (adm_tokenize(text, &tokens, &err) == RC_OK)
        check_statements(&tokens, &err);
    for (size_t at = 0; at < tokens.count && !err_is_set(&err); at++) {
        size_t n = statement_length(&tokens, at);

        if (n == 0)
            continue;
        any = true;
        later = run_statement(ctx, user, &tokens.items[at], n, to, out, &err) || later;
        at += n;
    }
    adm_tokens_free(&tokens);
    if (later)
        return false;
    if (err_is_set(&err))
        adm_reply_error(out, &err);
    else if (!any)
        adm_reply_empty(out);
    adm_reply_ready(out);
    return true;
}

static bool repeatable(void *ctx, const char *text, struct err *err)
{
    struct adm_tokens tokens = {0};
    const struct adm_command *verb = NULL;
    size_t statements = 0;

    (void)ctx;
    if (adm_tokenize(text, &tokens, err) == RC_OK) {
        for (size_t at = 0; at < tokens.count; at++) {
            size_t n = statement_length(&tokens, at);

            if (n == 0)
                continue;
            statements++;
            if (!verb)
                verb = verb_of(&tokens.items[at], n);
            at += n;
        }
    }
    adm_tokens_free(&tokens);
    if (statements > 1)
        err_set(err, "42601", "cannot insert multiple commands into a prepared statement");
    if (verb) {
        err_set(err, "0A000", "%s is done once: it needs the simple query protocol", verb->name);
        err_hint(err, "psql and the commands of segue use it; JDBC with preferQueryMode=simple");
    }
    return !err_is_set(err);
}

const struct sess_console_ops *adm_console_ops(void)
{
    static const struct sess_console_ops ops = {
        .database = DATABASE,
        .admit = admit,
        .login_database = login_database,
        .query = query,
        .repeatable = repeatable,
    };

    return &ops;
}
