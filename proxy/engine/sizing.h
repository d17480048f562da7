/*
 * How many blocks the next batch takes (DESIGN 7). Pure: what batches took in, a number out.
 *
 * The p90 of the last ten batches' time a block sets the size for the target time; it grows at
 * most 1.5x a batch; a batch over five times the target shrinks it tenfold at once. Caps: WAL
 * bytes a batch, and rows a batch when a rate is set: by the rows of the blocks behind, so a batch
 * that comes to denser ones must still end where it has enough (fill_batch.c).
 */
#ifndef SEGUE_ENGINE_SIZING_H
#define SEGUE_ENGINE_SIZING_H

#include <stdint.h>

#define SIZING_WINDOW 10
#define SIZING_START_BLOCKS 64
#define SIZING_MAX_BLOCKS (1 << 20)

struct sizing {
    double target_ms;
    double wal_bytes_max;               /* a batch; 0: no cap */
    double ms_a_block[SIZING_WINDOW];   /* ring */
    double wal_a_block[SIZING_WINDOW];  /* ring */
    double rows_a_block[SIZING_WINDOW]; /* ring */
    unsigned n;                         /* batches seen, also the ring's position */
    double blocks;                      /* size of the next batch before the rows cap */
};

void sizing_init(struct sizing *s, double target_ms, double wal_bytes_max);

/* What the last batch took. */
void sizing_note(struct sizing *s, uint32_t blocks, double ms, double wal_bytes, double rows);

/* Blocks of the next batch, at least 1; rows_max 0: no cap. */
uint32_t sizing_next(const struct sizing *s, double rows_max);

#endif
