/*
 * The journal: one line for each acknowledged write, in the order of each client's own doing (a
 * key belongs to one client, so that is enough to replay it).
 *
 *   {"t":"start","revision":"old","prefix":"o-"}
 *   {"t":"checks","f":"put","k":RUN_ID,"r":"old","c":CLAIM,"a":CONFIG,"d":COUNTS,"p":PROB}
 *   {"t":"user","f":"put","k":EMAIL,"v":12}
 */
#include "workload.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

struct wl_journal {
    FILE *file;
    pthread_mutex_t lock;
    const char *revision;
};

static const char *const facts[] = {
    [WL_PUT] = "put",
    [WL_GONE] = "gone",
    [WL_MAYBE] = "maybe",
    [WL_MAYBE_GONE] = "maybe_gone",
};

static void write_line(struct wl_journal *j, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    pthread_mutex_lock(&j->lock);
    if (!text || fprintf(j->file, "%s\n", text) < 0) {
        fprintf(stderr, "workload: cannot write the journal: %s\n", strerror(errno));
        exit(2);
    }
    pthread_mutex_unlock(&j->lock);
    free(text);
    json_decref(line);
}

struct wl_journal *wl_journal_open(const char *path, const char *revision, const char *prefix)
{
    struct wl_journal *j;
    FILE *file = fopen(path, "w");

    if (!file) {
        fprintf(stderr, "workload: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    j = mem_calloc(1, sizeof(*j));
    j->file = file;
    j->revision = revision;
    pthread_mutex_init(&j->lock, NULL);
    write_line(j,
               json_pack("{s:s, s:s, s:s}", "t", "start", "revision", revision, "prefix", prefix));
    return j;
}

void wl_journal_row(struct wl_journal *j, enum wl_fact fact, const struct wl_row *row)
{
    if (!j)
        return;
    if (fact == WL_GONE || fact == WL_MAYBE_GONE)
        write_line(j,
                   json_pack("{s:s, s:s, s:s}", "t", "checks", "f", facts[fact], "k", row->run_id));
    else
        write_line(j, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s}", "t", "checks", "f",
                                facts[fact], "k", row->run_id, "r", j->revision, "c", row->claim,
                                "a", row->config, "d", row->counts, "p", row->prob));
}

void wl_journal_value(struct wl_journal *j, enum wl_fact fact, const char *kind, const char *key,
                      long value)
{
    if (j)
        write_line(j, json_pack("{s:s, s:s, s:s, s:I}", "t", kind, "f", facts[fact], "k", key, "v",
                                (json_int_t)value));
}

void wl_journal_flush(struct wl_journal *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    fflush(j->file);
    pthread_mutex_unlock(&j->lock);
}

void wl_journal_close(struct wl_journal *j)
{
    if (!j)
        return;
    if (fclose(j->file) != 0) {
        fprintf(stderr, "workload: cannot write the journal: %s\n", strerror(errno));
        exit(2);
    }
    pthread_mutex_destroy(&j->lock);
    free(j);
}
