#include "meaning.h"

#include <strings.h>

#include "path.h"
#include "worker.h"

/* Before its new columns are there a table has those that the client sees, whatever the doubt. */
enum sess_meaning sess_meaning_of(const struct sess *s, const struct sess_statement *statement)
{
    const struct sql_rewrite *seen = &statement->seen;

    if (seen->doubt != SQL_DOUBT_NONE)
        return sql_rules_coming(sess_rules(s), seen->verdict.touches) ? SESS_MEANS_TABLES
                                                                      : SESS_MEANS_PERHAPS;
    return seen->verdict.elsewhere ? SESS_MEANS_OTHERS : SESS_MEANS_TABLES;
}

void sess_meaning_note(const struct sess *s, struct sess_statement *statement)
{
    statement->meaning = (uint8_t)sess_meaning_of(s, statement);
    statement->path_hash = sess_path_hash(s->path);
    if (!statement->signature)
        statement->signature = statement->seen.signature;
}

/* Is another relation meant than when the server got what it has? By the same path it is what it
 * was, and has come among the rules only since. */
static bool means_another(const struct sess *s, const struct sess_statement *statement)
{
    enum sess_meaning now = sess_meaning_of(s, statement);

    return now != (enum sess_meaning)statement->meaning &&
           (statement->meaning != SESS_MEANS_OTHERS || now != SESS_MEANS_TABLES ||
            statement->path_hash != sess_path_hash(s->path));
}

/* A relation has the name that the session itself has made under it. */
static bool is_shadowed(const struct sess_statement *statement)
{
    return ((statement->shadowed.old | statement->shadowed.new) &
            statement->seen.verdict.touches) != 0;
}

/* May its client count on columns of which it was told? */
static bool is_trusted(const struct sess_statement *statement)
{
    return statement->habit == SESS_HABIT_UNKNOWN ? statement->told
                                                  : statement->habit != SESS_HABIT_DESCRIBES;
}

bool sess_meaning_reads(const char *text, size_t len)
{
    size_t at = sql_first_at(text, len);

    return len - at > 6 &&
           (!strncasecmp(text + at, "select", 6) || !strncasecmp(text + at, "table", 5));
}

/* The text of the client, or the one sent, finds the table under its name, whatever comes. */
static bool finds_tables(const struct sess *s, uint64_t tables)
{
    const struct sql_rules *rules = sess_rules(s);

    return !(tables & ~sql_rules_lasting(rules)) && !sql_rules_gone(rules, tables, SQL_SIDE_OLD) &&
           !sql_rules_gone(rules, tables, SQL_SIDE_NEW);
}

/* By itself the server, too, would find other columns than its client was told. */
static bool gives_others(const struct sess_statement *statement)
{
    return statement->signature && statement->seen.signature &&
           statement->signature != statement->seen.signature;
}

/* Whatever the names mean, it is what its client was told. */
static bool gives_the_same(const struct sess_statement *statement)
{
    return statement->signature && statement->signature == statement->seen.signature &&
           statement->seen.closed;
}

void sess_meaning_keep(const struct sess *s, struct sess_statement *statement,
                       const struct sql_rewrite *wants)
{
    const struct sql_rewrite *seen = &statement->seen;
    const struct sql_rewrite *was = statement->sent ? &statement->sent->rewrite : seen;
    bool doubted = seen->doubt != SQL_DOUBT_NONE && statement->meaning == SESS_MEANS_TABLES;
    bool stars = (was->stars || seen->stars) && is_trusted(statement);
    bool positional = was->positional || seen->positional;
    bool keeps = finds_tables(s, seen->verdict.touches);

    if (wants && wants->early)
        return;
    if (gives_others(statement) &&
        (is_trusted(statement) || (statement->sql && !statement->retyped))) {
        statement->changed = true;
        return;
    }
    if (doubted && (stars || (positional && !is_shadowed(statement))))
        keeps = keeps && (!wants || !wants->text);
    else if (stars && means_another(s, statement))
        keeps = keeps && !positional && sess_meaning_reads(statement->text, statement->text_len);
    else
        return; /* values by their places alone: the places are those of now */
    if (gives_the_same(statement) && !(keeps && sess_meaning_of(s, statement) == SESS_MEANS_OTHERS))
        return; /* of others the text sent finds them, too */
    if (!keeps) {
        statement->changed = stars;
        return;
    }
    statement->stale = false;
    if (statement->habit < SESS_HABIT_DESCRIBES)
        statement->epoch = SESS_NOT_LOOKED; /* who describes the next result, too, goes along */
}
