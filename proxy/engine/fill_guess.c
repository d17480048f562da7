/*
 * How many rows a fill has before it. Blocks alone do not tell: the front of a table may be empty.
 * A sample of the blocks says where its rows are; how many of those are to be filled at all (NULLs
 * and what writers have filled are not), the blocks behind tell better the further the fill comes.
 */
#include <inttypes.h>

#include "fill.h"
#include "segue/base/log.h"

#define SAMPLED_BLOCKS 512 /* over all relations */
#define SAMPLE_TIMEOUT_MS 2000
/* So much of all rows says as much as the rows behind do: less, and where an empty front ends
 * within a strip, or few of its blocks were in the sample, the first rows are counted as half as
 * many again. */
#define PRIOR 0.1
#define BLOCK_ROWS 1.0 /* reading a block counts as so many rows */

static bool sample(struct eng_engine *engine, struct fill_relation *rel, double percent)
{
    bool found;
    struct err err = {0};
    PGresult *res = conn_query(
        &engine->work, &err,
        "BEGIN; SET LOCAL statement_timeout = %d; SELECT least(%d, "
        "(ctid::text::point)[0]::bigint * %d / %" PRId64 "), count(*) FROM ONLY %s "
        "TABLESAMPLE SYSTEM (%f) GROUP BY 1",
        SAMPLE_TIMEOUT_MS, FILL_STRIPS - 1, FILL_STRIPS, rel->blocks, rel->name, percent);

    for (int s = 0; res && s < FILL_STRIPS; s++)
        rel->strips[s] = 0;
    for (int r = 0; res && r < PQntuples(res); r++)
        rel->strips[res_int(res, r, 0)] = res_double(res, r, 1) * 100 / percent;
    if (!res)
        log_err(LOG_DEBUG, rel->name, &err);
    found = res != NULL;
    PQclear(res);
    conn_rollback(&engine->work);
    return found;
}

void fill_guess_sample(struct eng_engine *engine, struct eng_fill *fill)
{
    double blocks = 0, percent;
    bool good = true;

    for (size_t i = 0; i < fill->nranges; i++) {
        struct fill_relation *rel = &fill->relations[fill->ranges[i].relation];

        if (fill->ranges[i].end > rel->blocks)
            rel->blocks = fill->ranges[i].end;
    }
    for (size_t i = 0; i < fill->nrelations; i++)
        blocks += (double)fill->relations[i].blocks;
    percent = blocks > SAMPLED_BLOCKS ? 100 * SAMPLED_BLOCKS / blocks : 100;
    for (size_t i = 0; i < fill->nrelations; i++) {
        struct fill_relation *rel = &fill->relations[i];

        for (int s = 0; s < FILL_STRIPS; s++) /* until more is known, all blocks are alike */
            rel->strips[s] = (double)rel->blocks / FILL_STRIPS;
        if (good && rel->blocks > 0) /* one that is locked is waited for once, not each */
            good = sample(engine, rel, percent);
    }
}

static double rows_between(const struct fill_relation *rel, int64_t from, int64_t to)
{
    double width = (double)rel->blocks / FILL_STRIPS, rows = 0;

    for (int s = 0; s < FILL_STRIPS && width > 0; s++) {
        double low = s * width, high = low + width;

        low = low > (double)from ? low : (double)from;
        high = high < (double)to ? high : (double)to;
        if (high > low)
            rows += rel->strips[s] * (high - low) / width;
    }
    return rows;
}

struct fill_guess fill_guess(const struct eng_fill *fill)
{
    double behind = 0, ahead = 0, work = 0, work_behind = 0, prior, done = 0;

    for (size_t i = 0; i < fill->nranges; i++) {
        const struct fill_range *range = &fill->ranges[i];
        const struct fill_relation *rel = &fill->relations[range->relation];
        double before = rows_between(rel, range->from, range->next);
        double after = rows_between(rel, range->next, range->end);

        done += (double)range->rows;
        behind += before;
        ahead += after;
        work_behind += before + BLOCK_ROWS * (double)(range->next - range->from);
        work += before + after + BLOCK_ROWS * (double)(range->end - range->from);
    }
    prior = PRIOR * (behind + ahead) + 1;
    return (struct fill_guess){.share = work > 0 ? work_behind / work : 1,
                               .rows = done + ahead * (done + prior) / (behind + prior)};
}
