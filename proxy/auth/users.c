#include "segue/auth/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"
#include "segue/auth/scram.h"
#include "segue/base/mem.h"
#include "segue/base/text.h"

struct row {
    struct auth_user user; /* first: what callers hold is a row */
    unsigned line;
    struct auth_verifier *_Atomic verifier; /* NULL until it is made */
};

struct auth_users {
    atomic_uint refs;
    size_t count, cap;
    struct row *rows;    /* sorted by name once read */
    unsigned overridden; /* the first line whose user is on a later one, too; 0: none */
    size_t text_len;
    char *text; /* the file; names and secrets are unquoted in place */
};

/* Where the reader stands. */
struct reader {
    const char *where;
    char *p, *end;
    unsigned line;
    struct err *err;
};

static enum rc refuse(const struct reader *r, const char *what)
{
    err_set(r->err, "F0000", "%s:%u: %s", r->where, r->line, what);
    return RC_ERR;
}

static void blanks_skip(struct reader *r)
{
    while (r->p < r->end &&
           (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\v' || *r->p == '\f'))
        r->p++;
}

static void line_skip(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n')
        r->p++;
}

/* A text in quotes, unquoted and NUL-terminated in place; never longer than it stood there. */
static enum rc quoted_take(struct reader *r, const char *missing, size_t max, const char *too_long,
                           char **out)
{
    char *to;

    if (r->p == r->end || *r->p != '"')
        return refuse(r, missing);
    to = *out = ++r->p;
    for (;;) {
        if (r->p == r->end || *r->p == '\n')
            return refuse(r, "a double quote is not closed on its line");
        if (*r->p == '"' && (r->p + 1 == r->end || r->p[1] != '"'))
            break;
        if (*r->p == '"')
            r->p++;
        *to++ = *r->p++;
    }
    r->p++;
    *to = '\0';
    return (size_t)(to - *out) > max ? refuse(r, too_long) : RC_OK;
}

static enum rc secret_read(const struct reader *r, struct row *row)
{
    const char *text = row->user.text;
    size_t len = strlen(text);
    struct auth_verifier verifier = {0};

    row->user.kind = len == 0                   ? AUTH_SECRET_NONE
                     : md5_is_secret(text, len) ? AUTH_SECRET_MD5
                                                : AUTH_SECRET_PASSWORD;
    if (strncmp(text, AUTH_MECHANISM "$", strlen(AUTH_MECHANISM "$")) != 0)
        return RC_OK;
    /* PostgreSQL and PgBouncer take a damaged one for a password, which nobody means */
    if (!auth_verifier_parse(text, len, &verifier))
        return refuse(r, "the secret begins like a SCRAM verifier but is none");
    row->user.kind = AUTH_SECRET_SCRAM;
    row->verifier = mem_alloc(sizeof(verifier));
    *row->verifier = verifier;
    return RC_OK;
}

static enum rc user_read(struct reader *r, struct auth_users *users)
{
    struct row *row;
    char *name, *secret;

    if (quoted_take(r, "a user name in double quotes is expected", AUTH_NAME_BYTES_MAX,
                    "the user name is too long", &name) != RC_OK)
        return RC_ERR;
    if (!*name)
        return refuse(r, "the user name is empty");
    blanks_skip(r);
    if (quoted_take(r, "a secret in double quotes is expected after the user name",
                    AUTH_SECRET_BYTES_MAX, "the secret is too long", &secret) != RC_OK)
        return RC_ERR;
    if (strlen(name) > AUTH_ROLE_BYTES_MAX)
        name[AUTH_ROLE_BYTES_MAX] = '\0';
    mem_grow((void **)&users->rows, &users->cap, users->count + 1, sizeof(*users->rows));
    row = &users->rows[users->count++];
    row->user = (struct auth_user){.name = name, .text = secret};
    row->line = r->line;
    return secret_read(r, row);
}

static enum rc lines_read(struct reader *r, struct auth_users *users)
{
    while (r->p < r->end) {
        blanks_skip(r);
        if (r->p < r->end && *r->p != '\n' && *r->p != ';' && *r->p != '#' &&
            user_read(r, users) != RC_OK)
            return RC_ERR;
        line_skip(r); /* PostgreSQL's old pg_auth files have a third column */
        if (r->p < r->end)
            r->p++;
        r->line++;
    }
    return RC_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->user.name, y->user.name);

    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static void row_fini(struct row *row)
{
    struct auth_verifier *verifier = row->verifier;

    auth_wipe(verifier, sizeof(*verifier));
    free(verifier);
}

/* As in PgBouncer, of a user's lines the last one counts. */
static void sort(struct auth_users *users)
{
    size_t kept = 0;

    if (users->count)
        qsort(users->rows, users->count, sizeof(*users->rows), by_name);
    for (size_t i = 0; i < users->count; i++) {
        if (kept && strcmp(users->rows[kept - 1].user.name, users->rows[i].user.name) == 0) {
            if (!users->overridden || users->rows[kept - 1].line < users->overridden)
                users->overridden = users->rows[kept - 1].line;
            row_fini(&users->rows[--kept]);
        }
        users->rows[kept++] = users->rows[i];
    }
    users->count = kept;
}

/* Takes `text` (len bytes and a NUL). */
static enum rc users_read(const char *where, char *text, size_t len, struct auth_users **out,
                          struct err *err)
{
    struct auth_users *users = mem_calloc(1, sizeof(*users));
    struct reader r = {
        .where = where, .p = text + text_mark(text), .end = text + len, .line = 1, .err = err};
    const char *zero = memchr(text, '\0', len);

    users->refs = 1;
    users->text = text;
    users->text_len = len;
    *out = NULL;
    if (zero) {
        for (; r.p < zero; r.p++)
            r.line += *r.p == '\n';
        if (refuse(&r, "a zero byte") != RC_OK)
            goto fail;
    }
    if (lines_read(&r, users) != RC_OK)
        goto fail;
    sort(users);
    *out = users;
    return RC_OK;
fail:
    auth_users_unref(users);
    return RC_ERR;
}

enum rc auth_users_parse(const char *where, const char *text, size_t len, struct auth_users **out,
                         struct err *err)
{
    char *copy = mem_alloc(len + 1);

    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return users_read(where, copy, len, out, err);
}

/* The whole file into memory that is wiped later; NULL with err. */
static char *file_read(int fd, const char *path, size_t size, size_t *len, struct err *err)
{
    char *text;

    if (size > AUTH_FILE_BYTES_MAX) {
        err_set(err, "54000", "%s: longer than %u bytes", path, AUTH_FILE_BYTES_MAX);
        return NULL;
    }
    text = mem_alloc(size + 1);
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, text + *len, size - *len);

        if (n == 0)
            break; /* it became shorter: what is there counts */
        if (n < 0 && errno != EINTR) {
            err_set(err, "58030", "%s: cannot read: %s", path, strerror(errno));
            auth_wipe(text, *len);
            free(text);
            return NULL;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    text[*len] = '\0';
    return text;
}

enum rc auth_users_load(const char *path, struct auth_users **out, bool *open_to_others,
                        struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would wait for a writer */
    struct stat st;
    size_t len;
    char *text = NULL;

    *out = NULL;
    *open_to_others = false;
    if (fd < 0 || fstat(fd, &st) != 0) {
        err_set(err, "58P01", "%s: cannot open: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, "58P01", "%s: not a regular file", path);
    } else {
        *open_to_others = (st.st_mode & S_IRWXO) != 0;
        text = file_read(fd, path, (size_t)st.st_size, &len, err);
    }
    if (fd >= 0)
        close(fd);
    return text ? users_read(path, text, len, out, err) : RC_ERR;
}

struct auth_users *auth_users_ref(struct auth_users *users)
{
    if (users)
        atomic_fetch_add_explicit(&users->refs, 1, memory_order_relaxed);
    return users;
}

void auth_users_unref(struct auth_users *users)
{
    if (!users || atomic_fetch_sub_explicit(&users->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < users->count; i++) {
        row_fini(&users->rows[i]);
    }
    free(users->rows);
    auth_wipe(users->text, users->text_len);
    free(users->text);
    free(users);
}

static int name_order(const void *name, const void *row)
{
    return strcmp(name, ((const struct row *)row)->user.name);
}

const struct auth_user *auth_users_find(const struct auth_users *users, const char *name)
{
    const struct row *row =
        users->count ? bsearch(name, users->rows, users->count, sizeof(*users->rows), name_order)
                     : NULL;

    return row ? &row->user : NULL;
}

size_t auth_users_count(const struct auth_users *users)
{
    return users->count;
}

unsigned auth_users_overridden(const struct auth_users *users)
{
    return users->overridden;
}

size_t auth_users_count_of(const struct auth_users *users, enum auth_secret_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < users->count; i++)
        n += users->rows[i].user.kind == kind;
    return n;
}

const struct auth_verifier *auth_user_verifier(const struct auth_user *user,
                                               const uint8_t salt[AUTH_SALT_BYTES])
{
    struct row *row = (struct row *)user; /* the list is const to its readers, this slot is not */
    struct auth_verifier *made, *there = atomic_load_explicit(&row->verifier, memory_order_acquire);

    if (there || user->kind != AUTH_SECRET_PASSWORD)
        return there;
    made = mem_alloc(sizeof(*made));
    keys_verifier(user->text, salt, made);
    if (atomic_compare_exchange_strong(&row->verifier, &there, made))
        return made;
    /* another thread was first */
    auth_wipe(made, sizeof(*made));
    free(made);
    return there;
}
