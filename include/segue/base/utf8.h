/*
 * Text that came from a client, or was cut to fit, need not be UTF-8: the database refuses to store
 * it then, and JSON cannot hold it. utf8_mend() makes it fit for both.
 */
#ifndef SEGUE_BASE_UTF8_H
#define SEGUE_BASE_UTF8_H

#include <stdbool.h>

bool utf8_is_valid(const char *text);

/* Replaces, in place, every byte that is not part of a valid character by '?'; a character that
 * was cut at the end is removed. */
void utf8_mend(char *text);

#endif
