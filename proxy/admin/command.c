#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

/* clang-format off */
const struct adm_command adm_commands[] = {
    {"PLAN", ENG_PLAN, ADM_ACTS, {ADM_ARG_FILE_TEXT, ADM_ARG_FILE_PATH, ADM_ARG_BRANCH},
     "what a migration file would do: steps, SQL, locks; touches nothing"},
    {"START", ENG_START, ADM_ACTS,
     {ADM_ARG_FILE_TEXT, ADM_ARG_FILE_PATH, ADM_ARG_MIGRATE, ADM_ARG_BRANCH},
     "begin a migration; it goes on by itself up to ready (MIGRATE: through the cut-over)"},
    {"CUTOVER", ENG_CUTOVER, ADM_ACTS,
     {ADM_ARG_MIGRATION, ADM_ARG_AT, ADM_ARG_WAIT_REPLICAS, ADM_ARG_WITHDRAW},
     "make the new schema the source of truth (AT: then; WITHDRAW: not yet, after all)"},
    {"COMPLETE", ENG_COMPLETE, ADM_ACTS, {ADM_ARG_MIGRATION, ADM_ARG_FORCE},
     "drop everything old (FORCE: although old names are still used)"},
    {"ROLLBACK", ENG_ROLLBACK, ADM_ACTS, {ADM_ARG_MIGRATION},
     "after the cut-over: back to the old schema, nothing lost; before it: abort"},
    {"ABORT", ENG_ABORT, ADM_ACTS, {ADM_ARG_MIGRATION, ADM_ARG_FORCE},
     "drop everything new (FORCE: also created tables that hold rows)"},
    {"VERIFY", ENG_VERIFY, ADM_ACTS, {ADM_ARG_MIGRATION},
     "check every row now"},
    {"PAUSE", ENG_PAUSE, ADM_ACTS, {ADM_ARG_MIGRATION_OPTIONAL},
     "hold a migration, or all"},
    {"RESUME", ENG_RESUME, ADM_ACTS, {ADM_ARG_MIGRATION_OPTIONAL, ADM_ARG_SKIP},
     "go on, also after a failure (SKIP: without the statements of onComplete that it stopped at)"},
    {"DOCTOR", ENG_DOCTOR, ADM_LOOKS, {ADM_ARG_MIGRATION_OPTIONAL},
     "why a migration does not go on, and what to do"},
    {"THROTTLE", ENG_THROTTLE, ADM_ACTS, {ADM_ARG_SIGNAL, ADM_ARG_LIMIT},
     "set a signal: its limit, its setting, off, on or default (SHOW THROTTLE lists them)"},
    {"EVIDENCE", ENG_EVIDENCE, ADM_LOOKS, {ADM_ARG_MIGRATION},
     "one JSON document of what has happened, of ended migrations, too"},
    {"BASELINE", ENG_BASELINE, ADM_ACTS, {ADM_ARG_FORCE, ADM_ARG_NOTE, ADM_ARG_AS},
     "record the present schema as what migrations start from (FORCE: although it has drifted)"},
    {"SNAPSHOT", ENG_SNAPSHOT, ADM_LOOKS, {ADM_ARG_MIGRATION_OPTIONAL},
     "the schema as one JSON document: the present one, or the one recorded under the name"},
    {"DIFF", ENG_DIFF, ADM_LOOKS, {ADM_ARG_NONE},
     "what has changed in the schema since it was recorded last"},
    {"VERSIONS", ENG_VERSIONS, ADM_LOOKS, {ADM_ARG_NONE},
     "what stands in the version tables of Alembic and drizzle"},
};
/* clang-format on */

const size_t adm_ncommands = ARRAY_LEN(adm_commands);

const struct adm_command *adm_command_find(const struct adm_token *first)
{
    for (size_t i = 0; i < adm_ncommands; i++) {
        if (adm_token_is(first, adm_commands[i].name))
            return &adm_commands[i];
    }
    return NULL;
}

/* Words taken; 0: not there. Values move out of the tokens as copies. */
typedef size_t arg_take(const struct adm_token *words, size_t count, struct eng_job *job);

static size_t take_value(const struct adm_token *words, size_t count, char **to)
{
    if (count == 0 || words[0].kind == ADM_SYMBOL || !*words[0].value)
        return 0;
    *to = mem_strdup(words[0].value);
    return 1;
}

static size_t take_file_text(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return count && words[0].kind == ADM_TEXT ? take_value(words, count, &job->arg) : 0;
}

static size_t take_file_path(const struct adm_token *words, size_t count, struct eng_job *job)
{
    if (count < 2 || !adm_token_is(&words[0], "FILE") || words[1].kind != ADM_TEXT)
        return 0;
    return take_value(words + 1, count - 1, &job->value) ? 2 : 0;
}

static size_t take_migrate(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->migrate = count && adm_token_is(&words[0], "MIGRATE");
    return job->migrate ? 1 : 0;
}

static size_t take_force(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->force = count && adm_token_is(&words[0], "FORCE");
    return job->force ? 1 : 0;
}

static size_t take_at(const struct adm_token *words, size_t count, struct eng_job *job)
{
    if (count < 2 || !adm_token_is(&words[0], "AT") || words[1].kind != ADM_TEXT)
        return 0;
    return take_value(words + 1, count - 1, &job->arg) ? 2 : 0;
}

static size_t take_wait_replicas(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->wait_replicas =
        count > 1 && adm_token_is(&words[0], "WAIT") && adm_token_is(&words[1], "REPLICAS");
    return job->wait_replicas ? 2 : 0;
}

static size_t take_withdraw(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->withdraw = count && adm_token_is(&words[0], "WITHDRAW");
    return job->withdraw ? 1 : 0;
}

static size_t take_skip(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->skip = count && adm_token_is(&words[0], "SKIP");
    return job->skip ? 1 : 0;
}

static size_t take_branch(const struct adm_token *words, size_t count, struct eng_job *job)
{
    job->branch = count && adm_token_is(&words[0], "BRANCH");
    return job->branch ? 1 : 0;
}

/* WORD and a value. */
static size_t take_after(const char *word, const struct adm_token *words, size_t count, char **to)
{
    if (count < 2 || !adm_token_is(&words[0], word))
        return 0;
    return take_value(words + 1, count - 1, to) ? 2 : 0;
}

static size_t take_note(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return take_after("NOTE", words, count, &job->arg);
}

static size_t take_as(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return take_after("AS", words, count, &job->name);
}

static size_t take_migration(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return take_value(words, count, &job->name);
}

static size_t take_signal(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return take_value(words, count, &job->arg);
}

static size_t take_limit(const struct adm_token *words, size_t count, struct eng_job *job)
{
    return take_value(words, count, &job->value);
}

static const struct {
    const char *usage;
    bool required;
    arg_take *take;
} args[ADM_ARG_COUNT] = {
    [ADM_ARG_FILE_TEXT] = {"'<text of the migration file>'", true, take_file_text},
    [ADM_ARG_FILE_PATH] = {"[FILE '<path>']", false, take_file_path},
    [ADM_ARG_MIGRATE] = {"[MIGRATE]", false, take_migrate},
    [ADM_ARG_MIGRATION] = {"name", true, take_migration},
    [ADM_ARG_MIGRATION_OPTIONAL] = {"[name]", false, take_migration},
    [ADM_ARG_FORCE] = {"[FORCE]", false, take_force},
    [ADM_ARG_AT] = {"[AT '<time with zone>']", false, take_at},
    [ADM_ARG_WAIT_REPLICAS] = {"[WAIT REPLICAS]", false, take_wait_replicas},
    [ADM_ARG_WITHDRAW] = {"[WITHDRAW]", false, take_withdraw},
    [ADM_ARG_SKIP] = {"[SKIP]", false, take_skip},
    [ADM_ARG_BRANCH] = {"[BRANCH]", false, take_branch},
    [ADM_ARG_NOTE] = {"[NOTE '<why>']", false, take_note},
    [ADM_ARG_AS] = {"[AS name]", false, take_as},
    [ADM_ARG_SIGNAL] = {"signal", true, take_signal},
    [ADM_ARG_LIMIT] = {"value", true, take_limit},
};

char *adm_command_usage(const struct adm_command *command)
{
    struct buf out = {0};

    buf_append_str(&out, command->name);
    for (const enum adm_arg *arg = command->args; *arg != ADM_ARG_NONE; arg++)
        buf_printf(&out, " %s", args[*arg].usage);
    return buf_take(&out);
}

enum rc adm_command_parse(const struct adm_command *command, const struct adm_token *words,
                          size_t count, struct eng_job **out, struct err *err)
{
    struct eng_job *job = eng_job_new(command->verb);
    size_t at = 0;

    *out = NULL;
    for (const enum adm_arg *arg = command->args; *arg != ADM_ARG_NONE; arg++) {
        size_t taken = args[*arg].take(words + at, count - at, job);

        if (taken == 0 && args[*arg].required) {
            if (at < count)
                err_set(err, "42601", "%s: %s expected at \"%.64s\"", command->name,
                        args[*arg].usage, words[at].value);
            else
                err_set(err, "42601", "%s needs %s", command->name, args[*arg].usage);
        }
        at += taken;
    }
    if (at < count)
        err_set(err, "42601", "%s: \"%.64s\" not expected", command->name, words[at].value);
    if (err_is_set(err)) {
        char *usage = adm_command_usage(command);

        err_hint(err, "usage: %s", usage);
        free(usage);
        eng_job_free(job);
        return RC_ERR;
    }
    *out = job;
    return RC_OK;
}
