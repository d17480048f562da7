#include "segue/net/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "segue/base/log.h"

#define LOCK_TRIES 100 /* as PostgreSQL: somebody else makes and removes it at the same time */
#define LOCK_PATH (sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".lock"))

/* ---- addresses ---- */

enum rc net_unix_address(const char *directory, const char *port, struct net_address *out,
                         struct err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
    int n;

    memset(out, 0, sizeof(*out));
    un->sun_family = AF_UNIX;
    n = snprintf(un->sun_path, sizeof(un->sun_path), "%s/.s.PGSQL.%s", directory, port);
    if (n < 0 || (size_t)n >= sizeof(un->sun_path)) {
        err_set(err, "22023", "Unix socket path \"%s/.s.PGSQL.%s\" is too long", directory, port);
        err_hint(err, "at most %zu bytes", sizeof(un->sun_path) - 1);
        return RC_ERR;
    }
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
    if (directory[0] == '@') { /* abstract: a NUL at its beginning, none at its end */
        un->sun_path[0] = '\0';
        out->len--;
    }
    return RC_OK;
}

enum rc net_unix_parse(const char *text, struct net_address *out, struct err *err)
{
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *colon = strrchr(text, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 0;

    if (text[0] != '/' || !digits || colon[1 + digits] || port < 1 || port > 65535) {
        err_set(err, "22023", "cannot listen on \"%s\"", text);
        err_hint(err, "write /directory:port, for example /run/postgresql:6432");
        return RC_ERR;
    }
    snprintf(directory, sizeof(directory), "%.*s", (int)(colon - text), text);
    if ((size_t)(colon - text) >= sizeof(directory)) {
        err_set(err, "22023", "the directory in \"%s\" is too long for a Unix socket", text);
        return RC_ERR;
    }
    while (strlen(directory) > 1 && directory[strlen(directory) - 1] == '/')
        directory[strlen(directory) - 1] = '\0';
    return net_unix_address(directory, colon + 1, out, err);
}

/* NULL: not a Unix socket with a path. */
static const char *path_of(const struct net_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->sa;

    return un->sun_family == AF_UNIX && un->sun_path[0] ? un->sun_path : NULL;
}

static const char *lock_of(const struct net_address *address, char out[LOCK_PATH])
{
    const char *path = path_of(address);

    if (!path)
        return NULL;
    snprintf(out, LOCK_PATH, "%s.lock", path);
    return out;
}

/* ---- the lock file ---- */

/* The process in its first line; 0: none can be read. `*segues`: one of segue, says the second. */
static pid_t owner_of(const char *lock, bool *segues)
{
    char text[32] = "", *second;
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    long pid = n > 0 ? strtol(text, &second, 10) : 0;

    if (fd >= 0)
        close(fd);
    *segues = n > 0 && strncmp(second, "\nsegue\n", 7) == 0;
    return (pid_t)(pid < 0 ? -pid : pid); /* negative: a single-user backend */
}

/* A process of this number that is this one or its parent is a number used again: containers
 * count from 1. */
static bool lives(pid_t pid)
{
    return pid != getpid() && pid != getppid() && (kill(pid, 0) == 0 || errno == EPERM);
}

/* PostgreSQL's lines: process, data directory, start, port, directory of the socket. */
static bool fill(int fd, const char *path)
{
    const char *slash = strrchr(path, '/'), *port = strrchr(path, '.') + 1;
    char text[256];
    int n = snprintf(text, sizeof(text), "%d\nsegue\n%lld\n%s\n%.*s\n", (int)getpid(),
                     (long long)time(NULL), port, (int)(slash - path), path);

    return write(fd, text, (size_t)n) == n;
}

static enum rc refuse(struct err *err, const char *what, const char *path)
{
    err_set(err, "58000", "cannot %s \"%s\": %s", what, path, strerror(errno));
    return RC_ERR;
}

/* RC_AGAIN: it was left behind, and is gone now. */
static enum rc remove_stale(const char *path, const char *lock, struct err *err)
{
    bool segues;
    pid_t pid = owner_of(lock, &segues);

    if (pid && lives(pid)) {
        err_set(err, "55006", "cannot listen on %s: process %d does (%s)", path, (int)pid, lock);
        if (!segues)
            err_hint(err, "a PostgreSQL server, it seems, and no segue: take another directory or "
                          "port in listen");
        return RC_ERR;
    }
    if (unlink(lock) < 0 && errno != ENOENT)
        return refuse(err, "remove the lock file that was left behind", lock);
    return RC_AGAIN;
}

/* Whose lock file is gone: the socket is not. */
static bool is_listened_on(const struct net_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool listened =
        fd >= 0 && (connect(fd, (const struct sockaddr *)&address->sa, address->len) == 0 ||
                    errno == EAGAIN); /* its queue is full */

    if (fd >= 0)
        close(fd);
    return listened;
}

static enum rc try_claim(const struct net_address *address, const char *lock, struct err *err)
{
    const char *path = path_of(address);
    int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool filled;

    if (fd < 0 && errno == EEXIST)
        return remove_stale(path, lock, err);
    if (fd < 0)
        return refuse(err, "create the lock file", lock);
    filled = fill(fd, path);
    close(fd);
    if (is_listened_on(address)) {
        err_set(err, "55006",
                "cannot listen on %s: somebody listens there, whose lock file is gone", path);
        unlink(lock);
        return RC_ERR;
    }
    if (!filled || (unlink(path) < 0 && errno != ENOENT)) {
        refuse(err, filled ? "remove the socket that was left behind" : "write the lock file",
               filled ? path : lock);
        unlink(lock);
        return RC_ERR;
    }
    return RC_OK;
}

enum rc net_unix_claim(const struct net_address *address, struct err *err)
{
    char name[LOCK_PATH];
    const char *lock = lock_of(address, name);
    enum rc rc = RC_AGAIN;

    if (!lock)
        return RC_OK;
    for (int i = 0; i < LOCK_TRIES && rc == RC_AGAIN; i++)
        rc = try_claim(address, lock, err);
    if (rc == RC_AGAIN)
        err_set(err, "55006", "the lock file \"%s\" comes and goes", lock);
    return rc == RC_OK ? RC_OK : RC_ERR;
}

void net_unix_own(const struct net_address *address)
{
    char name[LOCK_PATH];
    const char *lock = lock_of(address, name);
    int fd;

    if (!lock)
        return;
    fd = open(lock, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !fill(fd, path_of(address)))
        log_warning("cannot write the lock file \"%s\": %s", lock, strerror(errno));
    if (fd >= 0)
        close(fd);
}

enum rc net_unix_permit(const struct net_address *address, unsigned mode, gid_t group,
                        struct err *err)
{
    const char *path = path_of(address);

    if (path && group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0) {
        refuse(err, "give the group to the socket", path);
        err_hint(err, "option unix_socket_group: the user that segue runs as must be a member");
        return RC_ERR;
    }
    return path && chmod(path, mode) < 0 ? refuse(err, "set the permissions of", path) : RC_OK;
}

bool net_unix_group(const char *name, gid_t *out)
{
    size_t digits = strspn(name, "0123456789");
    const struct group *found = *name ? getgrnam(name) : NULL;

    *out = found ? found->gr_gid : (gid_t)-1;
    if (!found && digits && digits < 10 && !name[digits])
        *out = (gid_t)strtoul(name, NULL, 10);
    return !*name || *out != (gid_t)-1;
}

void net_unix_touch(const struct net_address *address)
{
    char name[LOCK_PATH];
    const char *lock = lock_of(address, name);

    if (!lock)
        return;
    (void)utimensat(AT_FDCWD, path_of(address), NULL, 0);
    (void)utimensat(AT_FDCWD, lock, NULL, 0);
}

void net_unix_release(const struct net_address *address)
{
    char name[LOCK_PATH];
    const char *lock = lock_of(address, name);
    bool ignored;

    if (!lock || owner_of(lock, &ignored) != getpid())
        return;
    unlink(path_of(address));
    unlink(lock);
}
