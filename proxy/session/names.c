#include "names.h"

#include <string.h>

#include "rewriting.h"
#include "worker.h"

#define AGAIN_MAX 4 /* statements prepared again in front of one message */

bool sess_names_byte(uint8_t first)
{
    static const bool bytes[256] = {
        ['p'] = true,  ['P'] = true,  ['d'] = true,  ['D'] = true,  [' '] = true,
        ['\t'] = true, ['\n'] = true, ['\r'] = true, ['\f'] = true, ['\v'] = true,
        ['-'] = true,  ['/'] = true,  [';'] = true,
    };

    return bytes[first];
}

void sess_names_none(struct sess_names *out)
{
    out->read.statements = out->read.n = 0;
    out->read.lost = out->executes = out->changed = out->arguments = false;
    out->touches = 0;
}

void sess_names_read(const struct sess *s, const char *text, size_t len, struct sess_names *out)
{
    sess_names_none(out);
    if (s->odd_strings || !sql_named_may(text, len))
        return;
    sql_named_read(text, len, &out->read);
    for (size_t i = 0; i < out->read.n; i++)
        out->executes |= out->read.v[i].kind == SQL_NAMED_EXECUTE;
}

/* What an EXECUTE among them uses, as far as it is known and stays that until the server reads it.
 */
static struct sess_statement *executed(struct sess *s, const struct sess_names *names, size_t i)
{
    const struct sql_named *named = &names->read.v[i];
    struct sess_statement *statement;

    if (named->kind != SQL_NAMED_EXECUTE || sess_namings_concern(s->namings, named->name))
        return NULL;
    statement = sess_statements_find(s->statements, named->name);
    return statement && statement->text ? statement : NULL;
}

bool sess_names_judge(struct sess *s, struct sess_names *names)
{
    struct sess_statement *statement = NULL;
    bool again = false;

    names->touches = names->read.lost ? SQL_TOUCH_ALL : 0;
    for (size_t i = 0; names->executes && i < names->read.n; i++) {
        statement = executed(s, names, i);
        if (!statement && names->read.v[i].kind == SQL_NAMED_EXECUTE)
            names->touches = SQL_TOUCH_ALL;
        if (!statement)
            continue;
        sess_judge_again(s, statement);
        names->touches |= statement->seen.verdict.touches;
        s->prepares |= statement->seen.verdict.touches;
        s->prepared_old |= statement->seen.verdict.old_names;
        s->prepared_new |= statement->seen.verdict.new_names;
        again |= statement->stale;
        names->changed |= statement->changed;
    }
    return again;
}

bool sess_names_again(struct sess *s, const struct sess_names *names, bool query)
{
    struct sess_statement *statement;
    unsigned done = 0;

    /* between Queries nobody knows whether a transaction has failed: then they are left alone */
    if (!sess_rewriting(s) || s->track.status == 'E' ||
        (query && (s->track.unsynced || !sess_pipeline_empty(s->pipeline))))
        return false;
    for (size_t i = 0; i < names->read.n && done < AGAIN_MAX; i++) {
        statement = executed(s, names, i);
        if (!statement || !statement->stale || statement->changed)
            continue;
        sess_prepare_again(s, statement, sess_judge_again(s, statement), query);
        done++;
    }
    if (done && query)
        sess_rewriting_sync(s);
    return done > 0;
}

struct sess_sent *sess_names_about(struct sess *s, struct sess_names *names)
{
    struct sess_statement *statement;

    if (!names->executes || names->read.statements != 1 || names->read.n != 1 ||
        names->read.v[0].arguments == SQL_ARGUMENTS_OTHER)
        return NULL;
    statement = executed(s, names, 0);
    names->arguments = names->read.v[0].arguments != SQL_ARGUMENTS_NONE;
    return statement && statement->sent && !statement->sent->answer.len ? statement->sent : NULL;
}

static struct sess_statement *prepared(struct sess *s, const char *text, size_t len,
                                       const struct sess_names *names, size_t i,
                                       struct sess_sent *sent)
{
    struct sess_parse parse = {.name = names->read.v[i].name, .types = ""};
    struct sess_statement *statement;
    struct buf own = {0};

    sql_named_text(text, len, &names->read, i, &own);
    parse.text = own.data;
    parse.text_len = own.len;
    statement = sess_statement_new(&parse);
    statement->sql = true;
    statement->habit = SESS_HABIT_DESCRIBES; /* each EXECUTE's result is */
    statement->sent = sess_sent_ref(sent);
    sess_judge_first(s, statement);
    buf_fini(&own);
    return statement;
}

void sess_names_pass(struct sess *s, const char *text, size_t len, const struct sess_names *names,
                     struct sess_sent *sent)
{
    for (size_t i = 0; i < names->read.n; i++) {
        struct sess_naming naming = {.kind = names->read.v[i].kind, .ask = s->track.asked + 1};

        if (naming.kind == SQL_NAMED_EXECUTE)
            continue;
        memcpy(naming.name, names->read.v[i].name, sizeof(naming.name));
        if (naming.kind == SQL_NAMED_PREPARE)
            naming.statement = prepared(s, text, len, names, i, sent);
        if (!sess_namings_put_take(&s->namings, &naming, sess_limits(s)->statements_bytes_max))
            return; /* its tag will come unexpected, and so those behind it */
    }
}

/* Done by whom nobody has seen. */
static void on_unseen(struct sess *s, enum sql_named_kind kind)
{
    COUNT(s->worker->counters.named_unseen, 1);
    if (kind == SQL_NAMED_DEALLOCATE)
        sess_statements_remove_sql(s->statements);
}

void sess_names_tag(struct sess *s, const char *tag, size_t len)
{
    static const struct {
        const char *tag;
        size_t len; /* with its NUL */
        enum sql_named_kind kind;
    } tags[] = {{"PREPARE", 8, SQL_NAMED_PREPARE},
                {"DEALLOCATE", 11, SQL_NAMED_DEALLOCATE},
                {"DEALLOCATE ALL", 15, SQL_NAMED_DROP_ALL},
                {"DISCARD ALL", 12, SQL_NAMED_DROP_ALL}};
    struct sess_naming naming;
    size_t i = 0;

    while (i < ARRAY_LEN(tags) && (tags[i].len != len || memcmp(tags[i].tag, tag, len) != 0))
        i++;
    if (i == ARRAY_LEN(tags))
        return;
    if (!sess_namings_done(&s->namings, tags[i].kind, s->track.asked - s->track.expected + 1,
                           &naming)) {
        if (tags[i].kind != SQL_NAMED_DROP_ALL)
            on_unseen(s, tags[i].kind);
    } else if (tags[i].kind == SQL_NAMED_PREPARE) {
        sess_statement_unref(sess_name_means(s, naming.name, naming.statement));
        sess_statement_unref(naming.statement);
    } else if (tags[i].kind == SQL_NAMED_DEALLOCATE) {
        sess_forget_statement(s, naming.name);
    }
    if (tags[i].kind == SQL_NAMED_DROP_ALL)
        sess_forget_statements(s);
}
