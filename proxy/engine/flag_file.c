#include "flag_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "segue/base/mem.h"

/* A folder that is gone (a mount, perhaps) does not say that the file is not there. */
static bool folder_is_there(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    struct stat st;
    bool there;

    if (!slash)
        return true;
    folder = slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
    there = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
    free(folder);
    return there;
}

enum rc flag_file_look(const char *path, bool *there, struct err *err)
{
    struct stat st;

    *there = stat(path, &st) == 0;
    if (*there)
        return RC_OK;
    if (errno != ENOENT)
        err_set(err, "58030", "the file %s cannot be looked at: %s", path, strerror(errno));
    else if (!folder_is_there(path))
        err_set(err, "58030", "the folder of the file %s cannot be looked at: %s", path,
                strerror(errno));
    return err_is_set(err) ? RC_ERR : RC_OK;
}
