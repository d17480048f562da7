/* Files that people name. Not here: how long they may be, what they hold. */
#ifndef SEGUE_BASE_TEXT_H
#define SEGUE_BASE_TEXT_H

#include <stdio.h>

/* For reading; NULL with errno. A pipe may be read while somebody writes it; one without a writer
 * is empty, and not waited for. */
FILE *text_open(const char *path);

/* Bytes of the byte order mark with which some editors begin a file; JSON and user lists know none.
 */
size_t text_mark(const char *text);

#endif
