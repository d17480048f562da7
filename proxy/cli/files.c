/* Texts and folders that commands are told of. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "segue/base/mem.h"
#include "segue/base/text.h"

#define FOLDER_FILES_MAX 10000

enum rc cli_text_read(const char *path, size_t bytes_max, struct buf *text, struct err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : text_open(path);
    size_t n, mark;

    if (!file) {
        err_set(err, "58P01", "%s: cannot open: %s", path, strerror(errno));
        return RC_ERR;
    }
    do {
        n = fread(buf_space(text, 65536), 1, 65536, file);
        buf_grow(text, n);
    } while (n > 0 && text->len <= bytes_max);
    if (ferror(file))
        err_set(err, "58030", "%s: cannot read: %s", path, strerror(errno));
    else if (text->len > bytes_max)
        err_set(err, "54000", "%s: longer than %zu bytes, the most such a file may have", path,
                bytes_max);
    else if (strlen(text->data) != text->len)
        err_set(err, "22021", "%s: not text: it holds a zero byte", path);
    mark = err_is_set(err) ? 0 : text_mark(text->data);
    memmove(text->data, text->data + mark, text->len - mark + 1);
    text->len -= mark;
    if (text->len == 0)
        err_set(err, "22032", "%s: empty", path);
    if (file != stdin)
        fclose(file);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static bool ends_with(const char *name, const char *const *endings)
{
    size_t len = strlen(name);

    for (; *endings; endings++) {
        size_t n = strlen(*endings);

        if (len > n && strcmp(name + len - n, *endings) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **cli_folder_list(const char *path, const char *const *endings, size_t *n, struct err *err)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char **names = NULL;
    size_t cap = 0;

    *n = 0;
    if (!folder) {
        err_set(err, "58P01", "%s: cannot open the folder: %s", path, strerror(errno));
        return NULL;
    }
    mem_grow((void **)&names, &cap, 1, sizeof(*names));
    while ((entry = readdir(folder)) && *n <= FOLDER_FILES_MAX) {
        if (entry->d_name[0] == '.' || !ends_with(entry->d_name, endings))
            continue;
        mem_grow((void **)&names, &cap, *n + 2, sizeof(*names));
        names[(*n)++] = mem_strdup(entry->d_name);
    }
    closedir(folder);
    if (*n > FOLDER_FILES_MAX) {
        err_set(err, "54000", "%s: more than %d files", path, FOLDER_FILES_MAX);
        mem_strlist_free(names);
        return NULL;
    }
    qsort(names, *n, sizeof(*names), by_name);
    return names;
}
