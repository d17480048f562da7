/*
 * Outcomes and the few attributes every layer uses.
 *
 * RC_AGAIN means "need more" (bytes, time, another turn): it is never an error.
 * Not here: error texts (base/err.h).
 */
#ifndef SEGUE_BASE_RC_H
#define SEGUE_BASE_RC_H

enum rc { RC_OK, RC_AGAIN, RC_ERR };

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
