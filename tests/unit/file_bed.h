/* Migration files as text, for the tests of what reads them. */
#ifndef SEGUE_TEST_FILE_BED_H
#define SEGUE_TEST_FILE_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/file.h"

#define OPS(text) "{\"name\": \"m\", \"operations\": [" text "]}"

static inline struct file *load(const char *text)
{
    struct file *file = NULL;
    struct err err = {0};

    if (file_load("m.json", text, &file, &err) != RC_OK)
        fail_msg("%s", err.text);
    return file;
}

#endif
