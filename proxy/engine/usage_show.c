/* SHOW USAGE: what is known, the latest use first, and behind it the connections past segue. */
#include <stdlib.h>

#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "usage.h"

static json_t *moment(int64_t ms)
{
    char text[32];

    clock_wall_at(ms, text, sizeof(text));
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static json_t *row_of(struct eng_engine *engine, const struct sess_use *use)
{
    const struct sess_use_key *key = &use->key;
    size_t locked;
    struct eng_migration *m = usage_table_of(engine, key->table, &locked);
    char *table = m ? usage_table_name(m, locked) : NULL;
    bool named = *key->user != '\0';
    bool unseen = !named && *key->application; /* eng_usage_unseen: nobody has counted */
    const char *why = use->why;
    json_t *row;

    if (!m)
        return NULL;
    if (!named && !*why)
        why = "clients past usage_entries_max";
    row = json_pack("[s, s, o, o, o, s, o, o, o, o, o]", m->name, table, text_or_null(key->user),
                    named ? json_string(key->application) : json_null(), text_or_null(key->address),
                    sess_use_names[key->kind],
                    unseen ? json_null() : json_integer((json_int_t)use->count),
                    moment(use->first_ms), moment(use->last_ms), text_or_null(use->statement),
                    text_or_null(why));
    free(table);
    return row;
}

static int by_last(const void *a, const void *b)
{
    const struct sess_use *x = *(const struct sess_use *const *)a;
    const struct sess_use *y = *(const struct sess_use *const *)b;

    return (x->last_ms < y->last_ms) - (x->last_ms > y->last_ms);
}

void usage_show(struct eng_engine *engine)
{
    const struct eng_usage *usage = engine->usage;
    const struct sess_use **uses = NULL;
    size_t n = 0, cap = 0;
    json_t *rows = json_array();

    for (const struct sess_use *use = NULL; (use = sess_usage_next(usage->known, use)); n++) {
        mem_grow((void **)&uses, &cap, n + 1, sizeof(*uses));
        uses[n] = use;
    }
    if (n)
        qsort(uses, n, sizeof(*uses), by_last);
    for (size_t i = 0; i < n; i++) {
        json_t *row = row_of(engine, uses[i]);

        if (row)
            json_array_append_new(rows, row);
    }
    free(uses);
    if (engine->nmigrations && usage->outside)
        json_array_extend(rows, usage->outside);
    board_put_all(engine->board, BOARD_USAGE, rows);
}
