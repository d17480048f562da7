/*
 * On which side of a migration a prepared statement stands, and for how long: what its client was
 * told of the result is to stay true.
 */
#include "sides.h"

#include "meaning.h"
#include "rewriting.h"
#include "worker.h"

/* On which side a statement is that is prepared now: that of its session, while there is one. */
enum sql_side sess_side_of(const struct sess *s, uint64_t tables)
{
    const struct sql_rules *rules = sess_rules(s);

    if (!tables || !rules)
        return SQL_SIDE_OLD;
    if (s->version.side == SQL_SIDE_FOLLOW || sql_rules_gone(rules, tables, s->version.side))
        return sql_rules_side(rules, tables);
    return s->version.side;
}

static uint64_t last_end(const struct sess *s)
{
    const struct sess_ends *ends = sess_ends(s);

    return ends->old_stayed > ends->new_stayed ? ends->old_stayed : ends->new_stayed;
}

uint64_t sess_rewriting_clock(const struct sess *s)
{
    return sess_rules(s) ? sql_rules_epoch(sess_rules(s)) : last_end(s) + 1;
}

/* A migration has ended since the server got it, and not on its side. */
static bool has_outlived_side(const struct sess *s, const struct sess_statement *statement)
{
    const struct sess_ends *ends = sess_ends(s);

    return statement->sent_epoch <= (statement->side == SQL_SIDE_OLD || statement->retyped
                                         ? ends->new_stayed
                                         : ends->old_stayed);
}

/* Since the server got it, a migration that changes a type under its name has ended on the side
 * where the type is not what it was then. */
static bool has_outlived_types(const struct sess *s, const struct sess_statement *statement)
{
    const struct sess_ends *ends = sess_ends(s);

    return statement->retyped &&
           statement->sent_epoch <= (statement->turned ? ends->old_stayed : ends->new_stayed);
}

/* What has stayed of migrations that ended is the old side of those that came after. Where one of
 * two has ended and the other goes on, one side does not say it. */
bool sess_rewriting_meets(struct sess *s, struct sess_statement *statement, uint64_t tables)
{
    const struct sql_rules *rules = sess_rules(s);
    struct sql_tags tags = sql_rules_tags(rules, tables), before = statement->tags;
    enum sql_side was = statement->side;

    if (!tags.number || tags.number == before.number)
        return false;
    statement->tags = tags;
    if (before.number && !(tags.marks & before.marks) && statement->sent_epoch > last_end(s))
        statement->meaning = SESS_MEANS_OTHERS; /* its names are those of other tables now */
    if (statement->sent_epoch <= last_end(s))
        statement->gone |= has_outlived_side(s, statement) || (tags.marks & before.marks);
    statement->types_gone |= has_outlived_types(s, statement);
    if (was == SQL_SIDE_NEW && statement->sent_epoch <= sess_ends(s)->new_stayed)
        statement->side = SQL_SIDE_OLD;
    else if (was == SQL_SIDE_NEW && s->version.side == SQL_SIDE_FOLLOW)
        statement->side = sql_rules_side(rules, tables); /* one of two has begun */
    if (statement->side != was || (was != SQL_SIDE_FOLLOW && statement->sent_epoch <= last_end(s)))
        statement->turned = sql_rules_turned(rules, tables).number; /* what had turned has ended */
    return statement->side != was;
}

/* Its side has gone for good, or is about to. */
bool sess_side_is_lost(const struct sess *s, const struct sess_statement *statement)
{
    uint64_t tables = statement->seen.verdict.touches;

    if (statement->gone)
        return true;
    /* its tables were on different sides, and now one of them is on the other */
    if (tables && statement->side == SQL_SIDE_FOLLOW &&
        sql_rules_turned(sess_rules(s), tables).number != statement->turned)
        return true;
    return tables ? sql_rules_gone(sess_rules(s), tables, statement->side)
                  : has_outlived_side(s, statement);
}

/* Its transaction has used these tables: what is about to go cannot go before it ends. */
static bool holds(const struct sess *s, uint64_t tables)
{
    uint64_t touched = atomic_load_explicit(&s->touched, memory_order_relaxed);

    return s->track.status == 'T' && !s->track.expected && tables && touched != SQL_TOUCH_ALL &&
           (tables & ~touched) == 0;
}

/* A column has changed its type under its name since the server got it. Prepared again it would
 * have other types, of its parameters too, than the client was told. */
static bool has_other_types(const struct sess *s, const struct sess_statement *statement)
{
    const struct sql_rules *rules = sess_rules(s);
    uint64_t tables = statement->seen.verdict.touches;

    if (statement->types_gone || (!tables && has_outlived_types(s, statement)))
        return true;
    return sql_rules_retypes(rules, tables) &&
           sql_rules_turned(rules, tables).number != statement->turned;
}

/* It is of before these rules, and is first used where it means other relations. */
static bool is_met_elsewhere(const struct sess *s, const struct sess_statement *statement)
{
    return !statement->path_hash && sess_meaning_of(s, statement) == SESS_MEANS_OTHERS;
}

void sess_rewriting_judged(struct sess *s, struct sess_statement *statement,
                           const struct sql_rewrite *wants)
{
    const struct sql_rewrite *was = statement->sent ? &statement->sent->rewrite : &statement->seen;
    bool by_place = was->positional || (was->stars && statement->habit != SESS_HABIT_DESCRIBES);
    bool lost = sess_side_is_lost(s, statement);

    if (lost)
        statement->signature = 0; /* what was told of that side is over */
    statement->changed = statement->stale && ((lost && by_place) || has_other_types(s, statement));
    if (statement->changed && !statement->lost && holds(s, statement->seen.verdict.touches)) {
        statement->changed = statement->stale = false;
        statement->epoch = SESS_NOT_LOOKED; /* the next use may be in another transaction */
    }
    if (statement->stale && !statement->lost && !statement->changed)
        sess_meaning_keep(s, statement, wants);
    else if (!statement->stale &&
             (sess_meaning_of(s, statement) == SESS_MEANS_TABLES || is_met_elsewhere(s, statement)))
        sess_meaning_note(s, statement); /* it has what is right */
}

void sess_rewriting_prepared(struct sess *s, struct sess_statement *statement)
{
    uint64_t tables = statement->seen.verdict.touches | statement->seen.verdict.elsewhere;

    statement->sent_epoch = sess_rewriting_clock(s);
    statement->side = sess_side_of(s, tables);
    statement->tags = sql_rules_tags(sess_rules(s), tables);
    statement->retyped = sql_rules_retypes(sess_rules(s), tables);
    sess_meaning_note(s, statement);
    statement->turned = sql_rules_turned(sess_rules(s), statement->seen.verdict.touches).number;
}
