/*
 * What a relation's columns are, in one number: names, types and order, as the server compares what
 * a prepared statement gives with what it gave. The catalog says it of whole relations; of those
 * columns that one side of a migrating table sees it is made here, of the same parts.
 */
#ifndef SEGUE_ENGINE_SIGNATURE_H
#define SEGUE_ENGINE_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "segue/base/buf.h"

/* The part of a column: `a` of pg_attribute. */
#define SIGNATURE_PART_SQL                                                                         \
    "concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation, octet_length(a.attname::text), "      \
    "a.attname)"

/* Of a relation, `c` of pg_class: digits. */
#define SIGNATURE_SQL                                                                              \
    "(SELECT left(encode(sha256(textsend(string_agg(" SIGNATURE_PART_SQL                           \
    ", ',' ORDER BY a.attnum))), 'hex'), 16) FROM pg_attribute a "                                 \
    "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"

struct eng_signature {
    struct buf parts;
    bool unknown;
};

void signature_add(struct eng_signature *signature, const char *part); /* NULL: not known */

/* 0: not known. What was added is freed. */
uint64_t signature_take(struct eng_signature *signature);

uint64_t signature_read(const char *digits); /* as the catalog says it; 0 for NULL */

#endif
