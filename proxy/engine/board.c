#include "board.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "typed.h"

static const char *const migration_columns[] = {"migration",   "phase",      "paused",
                                                "error",       "started_at", "cutover_at",
                                                "finished_at", "sha256",     NULL};
static const char *const status_columns[] = {"migration",
                                             "phase",
                                             "paused",
                                             "step",
                                             "progress",
                                             "rows_done",
                                             "rows_total",
                                             "rows_per_s",
                                             "eta_s",
                                             "throttle",
                                             "attempts",
                                             "stall_ms_max",
                                             "ddl_lock_ms_max",
                                             "rows_verified",
                                             "rows_bad",
                                             "rows_wrapped",
                                             "bytes_before",
                                             "bytes_now",
                                             "blockers",
                                             "next_attempt_s",
                                             "cutover_due",
                                             "cutover_wanted",
                                             "error",
                                             "hint",
                                             "old_names_last_s",
                                             "proofs_left",
                                             "builds_left",
                                             "updated_at",
                                             NULL};
static const char *const throttle_columns[] = {"signal",  "unit",    "limit",   "default",
                                               "enabled", "setting", "reading", "verdict",
                                               "reason",  "source",  "help",    NULL};
static const char *const usage_columns[] = {
    "migration", "table", "user", "application_name", "address", "what",
    "count",     "first", "last", "last_statement",   "why",     NULL};

static const char *const attempt_columns[] = {
    "migration", "no",       "kind",  "title",    "began", "outcome", "drain_ms",
    "lock_ms",   "stall_ms", "error", "blockers", "acted", NULL};

static const char *const history_columns[] = {"migration", "kind",       "sha256",     "after",
                                              "phase",     "started_at", "applied_at", "duration_s",
                                              "note",      NULL};

static const char *const *const columns[BOARD_TABLE_COUNT] = {
    [BOARD_MIGRATIONS] = migration_columns, [BOARD_STATUS] = status_columns,
    [BOARD_THROTTLE] = throttle_columns,    [BOARD_USAGE] = usage_columns,
    [BOARD_HISTORY] = history_columns,      [BOARD_ATTEMPTS] = attempt_columns,
};

struct board_row {
    json_t *row;
    bool active;
};

struct board_rows {
    struct board_row *rows;
    size_t n, cap;
};

struct eng_board {
    pthread_mutex_t lock;
    struct board_rows tables[BOARD_TABLE_COUNT];
    bool connected;
    char trouble[512];
};

struct eng_board *board_new(void)
{
    struct eng_board *board = mem_calloc(1, sizeof(*board));

    pthread_mutex_init(&board->lock, NULL);
    return board;
}

static void rows_clear(struct board_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        json_decref(rows->rows[i].row);
    rows->n = 0;
}

void board_free(struct eng_board *board)
{
    if (!board)
        return;
    for (int t = 0; t < BOARD_TABLE_COUNT; t++) {
        rows_clear(&board->tables[t]);
        free(board->tables[t].rows);
    }
    pthread_mutex_destroy(&board->lock);
    free(board);
}

const char *const *board_columns(enum board_table table)
{
    return columns[table];
}

static size_t column_count(enum board_table table)
{
    size_t n = 0;

    while (columns[table][n])
        n++;
    return n;
}

static bool row_is(const json_t *row, const char *name)
{
    const char *first = json_string_value(json_array_get(row, 0));

    return first && strcmp(first, name) == 0;
}

void board_put(struct eng_board *board, enum board_table table, json_t *row, bool active)
{
    struct board_rows *rows = &board->tables[table];
    const char *name = json_string_value(json_array_get(row, 0));
    size_t i;

    assert(json_array_size(row) == column_count(table));
    pthread_mutex_lock(&board->lock);
    for (i = 0; i < rows->n && !row_is(rows->rows[i].row, name); i++)
        ;
    if (i == rows->n) {
        mem_grow((void **)&rows->rows, &rows->cap, rows->n + 1, sizeof(*rows->rows));
        rows->n++;
    } else {
        json_decref(rows->rows[i].row);
    }
    rows->rows[i] = (struct board_row){row, active};
    pthread_mutex_unlock(&board->lock);
}

void board_put_all(struct eng_board *board, enum board_table table, json_t *all)
{
    struct board_rows *rows = &board->tables[table];
    json_t *row;
    size_t i;

    pthread_mutex_lock(&board->lock);
    rows_clear(rows);
    mem_grow((void **)&rows->rows, &rows->cap, json_array_size(all) + 1, sizeof(*rows->rows));
    json_array_foreach(all, i, row)
    {
        assert(json_array_size(row) == column_count(table));
        rows->rows[rows->n++] = (struct board_row){json_incref(row), true};
    }
    pthread_mutex_unlock(&board->lock);
    json_decref(all);
}

void board_clear(struct eng_board *board, enum board_table table)
{
    pthread_mutex_lock(&board->lock);
    rows_clear(&board->tables[table]);
    pthread_mutex_unlock(&board->lock);
}

json_t *board_show(struct eng_board *board, enum board_table table, const char *name)
{
    struct board_rows *rows = &board->tables[table];
    json_t *titles = json_array();
    json_t *out = json_array();

    for (size_t i = 0; columns[table][i]; i++)
        json_array_append_new(titles, json_string(columns[table][i]));
    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < rows->n; i++) {
        const struct board_row *row = &rows->rows[i];

        if (name ? row_is(row->row, name) : row->active)
            json_array_append_new(out, json_deep_copy(row->row));
    }
    pthread_mutex_unlock(&board->lock);
    return json_pack("{s:o, s:o}", "columns", titles, "rows", out);
}

/* "a", "b"; heap. */
static char *names_of(const struct board_rows *rows)
{
    struct buf out = {0};

    buf_append_str(&out, "");
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->rows[i].active)
            buf_printf(&out, "%s%s", out.len ? ", " : "",
                       json_string_value(json_array_get(rows->rows[i].row, 0)));
    }
    return out.data ? buf_take(&out) : mem_strdup("");
}

bool board_check_migration(struct eng_board *board, const char *name, struct err *err)
{
    const struct board_rows *all = &board->tables[BOARD_MIGRATIONS];
    char *in_flight = NULL;
    bool known = false;

    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < all->n && !known; i++)
        known = row_is(all->rows[i].row, name);
    if (!known)
        in_flight = names_of(&board->tables[BOARD_STATUS]);
    pthread_mutex_unlock(&board->lock);
    if (!known)
        typed_unknown(name, in_flight, err);
    free(in_flight);
    return known;
}

void board_set_connected(struct eng_board *board, bool connected)
{
    pthread_mutex_lock(&board->lock);
    board->connected = connected;
    board->trouble[0] = '\0';
    pthread_mutex_unlock(&board->lock);
}

bool board_connected(struct eng_board *board)
{
    bool connected;

    pthread_mutex_lock(&board->lock);
    connected = board->connected;
    pthread_mutex_unlock(&board->lock);
    return connected;
}

void board_set_trouble(struct eng_board *board, const char *why)
{
    pthread_mutex_lock(&board->lock);
    snprintf(board->trouble, sizeof(board->trouble), "%s", why);
    utf8_mend(board->trouble);
    pthread_mutex_unlock(&board->lock);
}

char *board_trouble(struct eng_board *board)
{
    char *why;

    pthread_mutex_lock(&board->lock);
    why = mem_strdup(board->trouble);
    pthread_mutex_unlock(&board->lock);
    return why;
}
