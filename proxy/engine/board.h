/*
 * The status board: what the engine last said of each migration, for anybody to read at any time
 * without asking the database. The engine writes rows; readers get copies.
 */
#ifndef SEGUE_ENGINE_BOARD_H
#define SEGUE_ENGINE_BOARD_H

#include <stdbool.h>

#include <jansson.h>

#include "segue/base/err.h"

enum board_table {
    BOARD_MIGRATIONS,
    BOARD_STATUS,
    BOARD_THROTTLE,
    BOARD_USAGE,
    BOARD_HISTORY,
    BOARD_ATTEMPTS,
    BOARD_TABLE_COUNT
};

struct eng_board;

struct eng_board *board_new(void);
void board_free(struct eng_board *board);

/* Column titles of the table, NULL-terminated. */
const char *const *board_columns(enum board_table table);

/* Takes the row (array of values, one a column); replaces the row with the same first value.
 * `active`: shown when no name is asked for. */
void board_put(struct eng_board *board, enum board_table table, json_t *row, bool active);
/* Takes the rows (an array of them), all active, in place of all there were. */
void board_put_all(struct eng_board *board, enum board_table table, json_t *rows);
void board_clear(struct eng_board *board, enum board_table table);

/* {"columns", "rows"}; name NULL: the active rows. Caller decrefs. */
json_t *board_show(struct eng_board *board, enum board_table table, const char *name);

/* False with err (42704, and those that are in flight): MIGRATIONS has no such row. */
bool board_check_migration(struct eng_board *board, const char *name, struct err *err);

void board_set_connected(struct eng_board *board, bool connected);
bool board_connected(struct eng_board *board);
/* Why the engine is not connected, or not at work; forgotten when it is. */
void board_set_trouble(struct eng_board *board, const char *why);
char *board_trouble(struct eng_board *board); /* "" when there is none; heap */

#endif
