/*
 * A file by which people, or their programs, hold something: whoever asks must know that it is not
 * there.
 */
#ifndef SEGUE_ENGINE_FLAG_FILE_H
#define SEGUE_ENGINE_FLAG_FILE_H

#include <stdbool.h>

#include "segue/base/err.h"

/* RC_ERR: nobody can tell. */
enum rc flag_file_look(const char *path, bool *there, struct err *err) MUST_CHECK;

#endif
