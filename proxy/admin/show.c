#include "show.h"

#include <stdlib.h>
#include <strings.h>

#include "command.h"
#include "reply.h"
#include "segue/admin/console.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "segue/session/show.h"
#include "segue/wire/build.h"

static json_t *show_migrations(const struct adm_sources *from, const char *name)
{
    (void)name;
    return eng_show_migrations(from->engine);
}

static json_t *show_status(const struct adm_sources *from, const char *name)
{
    return eng_show_status(from->engine, name);
}

static json_t *show_throttle(const struct adm_sources *from, const char *name)
{
    (void)name;
    return eng_show_throttle(from->engine);
}

static json_t *show_history(const struct adm_sources *from, const char *name)
{
    (void)name;
    return eng_show_history(from->engine);
}

static json_t *show_usage(const struct adm_sources *from, const char *name)
{
    return eng_show_usage(from->engine, name);
}

static json_t *show_attempts(const struct adm_sources *from, const char *name)
{
    return eng_show_attempts(from->engine, name);
}

static json_t *show_config(const struct adm_sources *from, const char *name)
{
    (void)name;
    return from->config(from->config_ctx);
}

static json_t *show_version(const struct adm_sources *from, const char *name)
{
    (void)name;
    return json_pack("{s: [s, s], s: [[s, b]]}", "columns", "version", "engine_connected", "rows",
                     "segue " SEGUE_VERSION, (int)eng_connected(from->engine));
}

static json_t *show_takeover(const struct adm_sources *from, const char *name)
{
    (void)name;
    return tko_show(from->takeover);
}

static json_t *show_help(const struct adm_sources *from, const char *name)
{
    (void)from;
    (void)name;
    return adm_help();
}

/* A topic is answered by a function of its own, or by one of the data plane. */
static const struct topic {
    const char *name;
    json_t *(*show)(const struct adm_sources *from, const char *name);
    json_t *(*plane)(struct sess_plane *plane);
    bool takes_name;
    bool of_engine; /* what it knows from the database */
    const char *help;
} topics[] = {
    {"MIGRATIONS", show_migrations, NULL, false, true, "every migration and its phase"},
    {"STATUS", show_status, NULL, true, true,
     "how far the active migrations are, or the one named"},
    {"SESSIONS", NULL, sess_show_sessions, false, false, "clients of this segue"},
    {"UPSTREAMS", NULL, sess_show_upstreams, false, false,
     "the upstream's hosts and what they are"},
    {"THROTTLE", show_throttle, NULL, false, true,
     "what may hold or slow a migration, and what does"},
    {"HISTORY", show_history, NULL, false, true,
     "what was applied, after what, when, with which file"},
    {"USAGE", show_usage, NULL, true, true,
     "who uses old and new names, and who connects past segue"},
    {"ATTEMPTS", show_attempts, NULL, true, true,
     "the last tries of cut-overs, rollbacks and steps: outcome, times, who was in the way"},
    {"STATS", NULL, sess_show_stats, false, false,
     "counters of the data plane, rates of the last minute"},
    {"LATENCY", NULL, sess_show_latency, false, false,
     "request to ReadyForQuery by kind of statement: last minute, since the start"},
    {"MESSAGES", NULL, sess_show_messages, false, false, "protocol messages by direction and type"},
    {"ERRORS", NULL, sess_show_errors, false, false, "errors of the upstream by class of SQLSTATE"},
    {"REWRITES", NULL, sess_show_rewrites, false, false,
     "statements on migrating tables: what is sent instead, or why they are left as they are"},
    {"LISTENERS", NULL, sess_show_listeners, false, false,
     "where clients connect, and how many wait there"},
    {"TLS", NULL, sess_show_tls, false, false, "both legs: mode, certificate, handshakes"},
    {"MEMORY", NULL, sess_show_memory, false, false, "memory of the process and of its sessions"},
    {"WORKERS", NULL, sess_show_workers, false, false,
     "threads of the data plane: load, lag, memory"},
    {"CONFIG", show_config, NULL, false, false, "options, their values and where these come from"},
    {"VERSION", show_version, NULL, false, false,
     "this segue, and whether its engine works on the database"},
    {"TAKEOVER", show_takeover, NULL, false, false,
     "the segue that this one has taken over from, while it lives"},
    {"HELP", show_help, NULL, false, false, "this list"},
};

json_t *adm_help(void)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        json_array_append_new(rows,
                              json_pack("[s++, s]", "SHOW ", topics[i].name,
                                        topics[i].takes_name ? " [name]" : "", topics[i].help));
    for (size_t i = 0; i < adm_ncommands; i++) {
        char *usage = adm_command_usage(&adm_commands[i]);

        json_array_append_new(rows, json_pack("[s, s]", usage, adm_commands[i].help));
        free(usage);
    }
    return json_pack("{s: [s, s], s: o}", "columns", "command", "help", "rows", rows);
}

/* What PgBouncer calls otherwise. */
static const struct {
    const char *word, *hint;
} elsewhere[] = {
    {"CLIENTS", "SHOW SESSIONS has a row for each client, and the server connection that is its"},
    {"SERVERS", "SHOW SESSIONS has a row for each client, and the server connection that is its"},
    {"POOLS", "there are none: SHOW SESSIONS has a row for each client, SHOW STATS the sums"},
    {"DATABASES", "SHOW UPSTREAMS has the hosts, which serve all their databases"},
    {"LISTS", "SHOW STATS has the sums"},
    {"TOTALS", "SHOW STATS has the sums"},
    {"SOCKETS", "SHOW LISTENERS has those that listen, SHOW SESSIONS all others"},
    {"MEM", "did you mean SHOW MEMORY? SHOW HELP lists the commands"},
};

static void hint_topic(const char *word, struct err *err)
{
    const char *names[ARRAY_LEN(topics)], *near;

    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) { /* of hints the first counts */
        if (strcasecmp(word, elsewhere[i].word) == 0)
            err_hint(err, "%s", elsewhere[i].hint);
    }
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        names[i] = topics[i].name;
    near = opt_nearest(word, names, ARRAY_LEN(topics));
    if (near)
        err_hint(err, "did you mean SHOW %s? SHOW HELP lists the commands", near);
    else
        err_hint(err, "SHOW HELP lists the commands");
}

/* What follows may be old. */
static void put_trouble(struct eng_engine *engine, struct buf *out)
{
    char *why = eng_trouble(engine);
    char *text = mem_printf("the engine has no connection that it may work on%s%s: this is what it "
                            "knew last, and nothing if it has not come in yet",
                            *why ? "; " : "", why);

    wire_put_notice(out, "WARNING", "01000", text);
    free(text);
    free(why);
}

static void answer(const struct adm_sources *from, const struct topic *topic, const char *name,
                   struct buf *out, struct err *err)
{
    bool connected = eng_connected(from->engine);
    json_t *table;

    if (topic->of_engine && !connected)
        put_trouble(from->engine, out);
    table = topic->plane ? topic->plane(from->plane) : topic->show(from, name);
    if (!table)
        err_set(err, "XX000", "SHOW %s has nothing to show", topic->name);
    /* an engine that has not read its state knows of nothing: that is no error */
    else if (name && connected && json_array_size(json_object_get(table, "rows")) == 0)
        eng_check_migration(from->engine, name, err);
    if (!err_is_set(err)) {
        adm_reply_table(out, table);
        adm_reply_complete(out, "SHOW");
    }
    json_decref(table);
}

void adm_show(const struct adm_sources *from, const struct adm_token *words, size_t count,
              struct buf *out, struct err *err)
{
    for (size_t i = 0; count >= 2 && i < ARRAY_LEN(topics); i++) {
        if (!adm_token_is(&words[1], topics[i].name))
            continue;
        if (count > (topics[i].takes_name ? 3u : 2u))
            err_set(err, "42601", "SHOW %s: \"%.64s\" not expected", topics[i].name,
                    words[count - 1].value);
        else
            answer(from, &topics[i], count == 3 ? words[2].value : NULL, out, err);
        return;
    }
    if (count < 2)
        err_set(err, "42601", "SHOW needs to know what");
    else
        err_set(err, "42601", "there is no SHOW %.64s", words[1].value);
    hint_topic(count < 2 ? "" : words[1].value, err);
}
