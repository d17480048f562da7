/*
 * Since when transactions whose beginning the server hides (those of other roles, to who is no
 * member of pg_read_all_stats) have been seen to hold a lock. Their number (virtualxid) is shown to
 * everybody, and no two transactions have the same.
 *
 * Not here: those of sessions that segue carries, whose beginning it knows (sess_plane_carried).
 */
#ifndef SEGUE_ENGINE_HIDDEN_H
#define SEGUE_ENGINE_HIDDEN_H

#include <stdint.h>

#define HIDDEN_MAX 64

struct hidden_one {
    int32_t pid;
    char transaction[32];
    int64_t since_us, seen_us;
};

struct hidden {
    struct hidden_one list[HIDDEN_MAX]; /* whoever was not seen for the longest makes room */
};

/* It is seen holding a lock at now_us. For how long by now, in us; 0: for the first time. */
int64_t hidden_held_us(struct hidden *hidden, int32_t pid, const char *transaction, int64_t now_us);

#endif
