/* sql/said.h: a name that both schemas understand, each in its own way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/rewrite.h"

struct sides {
    const char *name, *migration, *old, *new;
};

/* Tables of (id, `old`, more, `new`): one has the name of its old column, one that of its new one,
 * one is of the first one's migration. Another table `u` has columns of these names, and v not. */
static const struct sides tables[] = {{"note", "first", "note", "body"},
                                      {"mark", "second", "grade", "mark"},
                                      {"memo", "first", "had", "has"}};

static struct sql_rules *some_rules(bool early, bool reversed)
{
    static const char *const names[] = {"note", "body", "grade", "mark", NULL},
                             *const key[] = {"id", NULL}, *const none[] = {NULL};
    struct sql_rules *rules = sql_rules_new(1);

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        const struct sides *of = &tables[i];
        const char *const old[] = {of->old, NULL}, *const new[] = {of->new, NULL};
        const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                  {of->old, SQL_SEEN_BY_OLD, false},
                                                  {"more", SQL_SEEN_BY_BOTH, false},
                                                  {of->new, SQL_SEEN_BY_NEW, false}};
        const struct sql_twin_rule twin = {of->old, of->new};

        sql_rules_add(rules, &(struct sql_table_rule){.migration = of->migration,
                                                      .schema = "public",
                                                      .name = of->name,
                                                      .old_columns = old,
                                                      .new_columns = new,
                                                      .relatives = none,
                                                      .columns = columns,
                                                      .ncolumns = ARRAY_LEN(columns),
                                                      .key = key,
                                                      .twins = &twin,
                                                      .ntwins = 1,
                                                      .early = early,
                                                      .reversed = reversed});
    }
    sql_rules_add_namesake(rules, &(struct sql_namesake){"public", "u", names, 0, NULL});
    return rules;
}

struct row {
    const char *sql;
    const char *text; /* NULL: as it is */
    enum sql_doubt doubt;
    uint64_t early;
};

static void each(const struct sql_rules *rules, enum sql_side side, bool follows,
                 const struct row *rows, size_t n)
{
    const struct sql_sight_of_session session = {
        .side = side, .follows = follows, .rewrites = true};

    for (size_t i = 0; i < n; i++) {
        struct sql_rewrite out;

        sql_rewrite(rules, &session, rows[i].sql, strlen(rows[i].sql), &out);
        if (out.doubt != rows[i].doubt || out.early != rows[i].early ||
            !out.text != !rows[i].text || (out.text && strcmp(out.text, rows[i].text) != 0))
            fail_msg("%s: %s (%s, %lu)", rows[i].sql, out.text ? out.text : "as it is",
                     sql_doubt_text(out.doubt), (unsigned long)out.early);
        sql_rewrite_fini(&out);
    }
}

#define NOTE "(SELECT \"~segue\" AS note FROM (SELECT note.id, note.more, note.body) AS \"~segue\")"
#define MARK                                                                                       \
    "(SELECT \"~segue\" AS mark FROM (SELECT mark.id, mark.grade, mark.more) AS \"~segue\")"

static void who_names_a_hidden_column_means_the_column(void **state)
{
    static const struct row rows[] = {
        {"INSERT INTO note (id, body, note) VALUES (1, 'a', 'a') RETURNING note", NULL, 0, 0},
        {"INSERT INTO note (id, note) VALUES (1, 'a') RETURNING note",
         "INSERT INTO note (id, note, body) VALUES (1, 'a', 'a') RETURNING note", 0, 0},
        {"WITH w (x) AS (INSERT INTO note (id, body, note) VALUES (1, 'a', 'a') RETURNING note) "
         "SELECT * FROM w",
         NULL, 0, 0},
        {"INSERT INTO note (id) VALUES (1) ON CONFLICT (note) DO NOTHING RETURNING note", NULL, 0,
         0},
        {"INSERT INTO note (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET more = excluded.note "
         "WHERE note IS NULL",
         NULL, 0, 0},
        {"INSERT INTO note (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x' RETURNING "
         "note, note.note",
         "INSERT INTO note (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x', body = 'x' "
         "RETURNING note, note.note",
         0, 0},
        {"UPDATE note SET note = 'x' WHERE note = 'y' RETURNING note",
         "UPDATE note SET note = 'x', body = 'x' WHERE note = 'y' RETURNING note", 0, 0},
        {"UPDATE note SET note = 'x' WHERE note = 'y' RETURNING *",
         "UPDATE note SET note = 'x', body = 'x' WHERE note = 'y' RETURNING note.id, note.more, "
         "note.body",
         0, 0},
        {"DELETE FROM note USING v WHERE note.note = v.a RETURNING to_json(note)", NULL, 0, 0},
        {"MERGE INTO note USING v ON v.id = note.id WHEN MATCHED AND note IS NULL THEN UPDATE SET "
         "note = 'x'",
         "MERGE INTO note USING v ON v.id = note.id WHEN MATCHED AND note IS NULL THEN UPDATE SET "
         "note = 'x', body = 'x'",
         0, 0},
        {"SELECT note FROM note WHERE note.note = 'x' ORDER BY note", NULL, 0, 0},
        {"SELECT note, *, note[1] FROM note WHERE note.note = 'x'",
         "SELECT note, note.id, note.more, note.body, note[1] FROM note WHERE note.note = 'x'", 0,
         0},
        {"SELECT (note).id FROM note WHERE note.note = 'x'", NULL, 0, 0},
        {"SELECT note FROM note; SELECT note.note FROM note", NULL, 0, 0},
        {"SELECT note FROM note, memo WHERE memo.had = 1", NULL, 0, 0}, /* one revision */
        {"SELECT note FROM note JOIN memo USING (had)", NULL, 0, 0},
        /* the output column is not what groups are made by */
        {"SELECT left(note, 3) AS note, count(*) FROM note n GROUP BY note", NULL, 0, 0},
        /* nor the column further out what is read */
        {"SELECT (SELECT note FROM note n WHERE n.note > 'a') FROM u", NULL, 0, 0},
        {"SELECT (SELECT max(a) FROM v note WHERE note = '') FROM note n WHERE n.note = ''", NULL,
         0, 0},
    };
    struct sql_rules *rules = some_rules(false, true);

    (void)state;
    each(rules, SQL_SIDE_NEW, false, rows, ARRAY_LEN(rows));
    each(rules, SQL_SIDE_FOLLOW, true, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

static void else_a_name_means_what_the_side_of_the_session_makes_of_it(void **state)
{
    static const struct row rows[] = {
        {"SELECT note FROM note", "SELECT " NOTE " FROM note", 0, 0},
        {"SELECT note.id FROM note ORDER BY note", "SELECT note.id FROM note ORDER BY " NOTE, 0, 0},
        {"SELECT (SELECT note FROM note n) FROM u", "SELECT (SELECT u.note FROM note n) FROM u", 0,
         0},
        /* who says so of another migration's column says nothing of this one's */
        {"SELECT note FROM note, mark WHERE mark.grade = 1",
         "SELECT " NOTE " FROM note, mark WHERE mark.grade = 1", 0, 0},
    };
    struct sql_rules *rules = some_rules(false, true);

    (void)state;
    each(rules, SQL_SIDE_NEW, false, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

/* Old names still work: whoever says them and nothing else may be the revision of before. */
static void after_the_cut_over_an_old_name_is_left_to_who_has_not_said_a_side(void **state)
{
    static const struct row rows[] = {
        {"SELECT id, note FROM note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT id FROM note WHERE note = 'x'", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT id FROM note ORDER BY note DESC", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT note, count(*) FROM note GROUP BY note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT to_json(note), note IS NULL, note::text FROM note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT note[1] FROM note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT note FROM note AS note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT to_json(note) FROM note n, v AS note", NULL, SQL_DOUBT_NAME, 0},
        {"DELETE FROM note WHERE note = 'x'", NULL, SQL_DOUBT_NAME, 0},
        {"UPDATE note SET more = 1 WHERE note = 'x' RETURNING note", NULL, SQL_DOUBT_NAME, 0},
        {"INSERT INTO note (id) VALUES (1) RETURNING note", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT (SELECT note FROM note n) FROM u", NULL, SQL_DOUBT_NAME, 0},
        {"SELECT note FROM note, mark WHERE mark.mark = 1", NULL, SQL_DOUBT_NAME, 0},
        /* of one meaning only */
        {"SELECT note FROM note n", NULL, 0, 0},
        {"SELECT note.note, n.note FROM note, note n", NULL, 0, 0},
        {"SELECT note FROM note n, u", "SELECT u.note FROM note n, u", 0, 0},
        {"SELECT mark FROM mark", NULL, 0, 0},
        {"SELECT row_to_json(note) FROM note", "SELECT row_to_json(" NOTE ") FROM note", 0, 0},
        {"SELECT (note).id, (note).* FROM note",
         "SELECT  note .id,  note.id, note.more, note.body FROM note", 0, 0},
        /* or by who knows the new names */
        {"SELECT body, note FROM note", NULL, SQL_DOUBT_NAME, 0}, /* who reads both */
        {"SELECT note FROM note, memo WHERE memo.has = 1", NULL, SQL_DOUBT_NAME, 0},
        {"UPDATE note SET body = 'x' RETURNING note", NULL, SQL_DOUBT_NAME, 0},
        {"UPDATE note SET body = 'x' RETURNING row_to_json(note)",
         "UPDATE note SET body = 'x', note = 'x' RETURNING row_to_json(" NOTE ")", 0, 0},
        {"SELECT (SELECT note FROM note n WHERE n.body > 'a') FROM u",
         "SELECT (SELECT u.note FROM note n WHERE n.body > 'a') FROM u", 0, 0},
    };
    struct sql_rules *rules = some_rules(false, true);

    (void)state;
    each(rules, SQL_SIDE_FOLLOW, true, rows, ARRAY_LEN(rows));
    each(rules, SQL_SIDE_NEW, true, rows, ARRAY_LEN(rows)); /* as it was prepared */
    sql_rules_unref(rules);
}

/* Before it, nobody but the old revision has to be there. */
static void a_new_name_leaves_the_old_revision_what_it_had(void **state)
{
    static const struct row rows[] = {
        {"SELECT mark FROM mark WHERE mark IS NOT NULL",
         "SELECT " MARK " FROM mark WHERE " MARK " IS NOT NULL", 0, 0},
        {"INSERT INTO mark (id, grade) VALUES (1, 'a') RETURNING mark",
         "INSERT INTO mark (id, grade, mark) VALUES (1, 'a', 'a') RETURNING " MARK, 0, 0},
        {"SELECT (SELECT mark FROM mark m) FROM u", "SELECT (SELECT u.mark FROM mark m) FROM u", 0,
         0},
        /* the new one, too early */
        {"INSERT INTO mark (id, mark) VALUES (1, 'a') RETURNING mark",
         "INSERT INTO mark (id, mark, grade) VALUES (1, 'a', 'a') RETURNING mark", 0, 0},
        {"INSERT INTO mark (id, grade, mark) VALUES (1, 'a', 'a') RETURNING mark", NULL, 0, 0},
        {"SELECT mark FROM mark WHERE mark.mark = 'a'", NULL, 0, 0},
        {"SELECT (SELECT mark FROM mark m WHERE m.mark = 'a') FROM u", NULL, 0, 0},
    };
    struct sql_rules *rules = some_rules(false, false);

    (void)state;
    each(rules, SQL_SIDE_OLD, false, rows, ARRAY_LEN(rows));
    each(rules, SQL_SIDE_FOLLOW, true, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

/* To it the columns that only the other one has are not there. Where a session has said its side,
 * they are. */
static void who_names_columns_of_one_revision_only_is_that_one(void **state)
{
    static const struct row after[] = {
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM mark m WHERE m.grade = mark)",
         "SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM mark m WHERE m.grade = u.mark)", 0, 0},
        {"SELECT m.grade, mark FROM mark m, u", "SELECT m.grade, u.mark FROM mark m, u", 0, 0},
        {"SELECT left(m.grade, 1) AS mark, count(*) FROM mark m GROUP BY mark",
         "SELECT left(m.grade, 1) AS mark, count(*) FROM mark m GROUP BY 1", 0, 0},
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM note n NATURAL JOIN v WHERE body = 1) AND "
         "(SELECT had FROM memo) = 1",
         "SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM (SELECT id, more, body FROM note) n "
         "NATURAL JOIN v WHERE u.body = 1) AND (SELECT had FROM memo) = 1",
         0, 0},
        /* of both */
        {"SELECT grade, mark FROM mark", NULL, 0, 0},
        {"SELECT mark FROM mark WHERE grade = 1 ORDER BY mark", NULL, 0, 0},
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM mark m WHERE m.grade = mark AND m.mark = "
         "1)",
         NULL, 0, 0},
        /* of neither */
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM mark m WHERE m.id = mark)", NULL, 0, 0},
        {"SELECT left(more, 1) AS mark, count(*) FROM mark m GROUP BY mark", NULL, 0, 0},
    };
    static const struct row said[] = {
        {"SELECT m.grade, mark FROM mark m, u", NULL, 0, 0},
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM mark m WHERE m.grade = mark)", NULL, 0, 0},
    };
    static const struct row before[] = {
        {"SELECT body, note FROM note", NULL, 0, 0},
        {"SELECT n.body, note FROM note n, u", "SELECT n.body, u.note FROM note n, u", 0, 0},
        {"SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM note n WHERE n.body = note)",
         "SELECT u.id FROM u WHERE EXISTS (SELECT 1 FROM note n WHERE n.body = u.note)", 0, 0},
    };
    struct sql_rules *rules = some_rules(false, true);

    (void)state;
    each(rules, SQL_SIDE_FOLLOW, true, after, ARRAY_LEN(after));
    each(rules, SQL_SIDE_NEW, false, said, ARRAY_LEN(said));
    each(rules, SQL_SIDE_OLD, true, before, ARRAY_LEN(before));
    sql_rules_unref(rules);
}

static void a_new_name_does_not_make_one_of_before_ambiguous(void **state)
{
    static const char sql[] = "SELECT mark FROM mark m, u";
    static const struct row follows[] = {
        {sql, "SELECT u.mark FROM mark m, u", 0, 0},
        {"SELECT m.id FROM mark m JOIN u ON mark = 1",
         "SELECT m.id FROM mark m JOIN u ON u.mark = 1", 0, 0},
        {"SELECT mark FROM mark m JOIN u USING (mark)", NULL, 0, 0},
        {"SELECT mark FROM mark m, u, u x", NULL, 0, 0},
    };
    static const struct row declared[] = {{sql, NULL, 0, 0}};
    struct sql_rules *rules = some_rules(false, true);

    (void)state;
    each(rules, SQL_SIDE_FOLLOW, true, follows, ARRAY_LEN(follows));
    each(rules, SQL_SIDE_NEW, false, declared, ARRAY_LEN(declared));
    sql_rules_unref(rules);
}

static void what_is_meant_as_a_column_is_not_read_too_early(void **state)
{
    static const struct row rows[] = {
        {"UPDATE mark SET mark = 'x' WHERE mark = 'y'", NULL, 0, 2},
        {"INSERT INTO mark (id, grade, mark) VALUES (1, 'a', 'a') RETURNING mark", NULL, 0, 0},
        {"SELECT mark FROM mark", "SELECT " MARK " FROM mark", 0, 0},
    };
    struct sql_rules *rules = some_rules(true, false);

    (void)state;
    each(rules, SQL_SIDE_FOLLOW, true, rows, ARRAY_LEN(rows));
    sql_rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_names_a_hidden_column_means_the_column),
        cmocka_unit_test(else_a_name_means_what_the_side_of_the_session_makes_of_it),
        cmocka_unit_test(after_the_cut_over_an_old_name_is_left_to_who_has_not_said_a_side),
        cmocka_unit_test(a_new_name_leaves_the_old_revision_what_it_had),
        cmocka_unit_test(who_names_columns_of_one_revision_only_is_that_one),
        cmocka_unit_test(a_new_name_does_not_make_one_of_before_ambiguous),
        cmocka_unit_test(what_is_meant_as_a_column_is_not_read_too_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
