/*
 * Listening sockets: which worker has which, from where they come, how they are given away.
 *
 * Each TCP socket (SO_REUSEPORT) has a queue of its own, in which clients wait that the kernel has
 * let in already. So sockets of another process are all adopted, however many workers there are,
 * and a socket is closed only by a process that is not the last one to have it, or whose
 * configuration does not name its address any more: then when its queue is empty.
 * A Unix socket has one queue: one worker accepts and deals the clients out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/unix.h"
#include "worker.h"

#define RELEASE_MS 1000 /* a worker that has not looked at its mail by then is stuck */
#define RELEASE_POLL_MS 2

/* ---- a worker's sockets; links change under the plane's lock ---- */

static void add(struct sess_worker *w, int fd, const struct net_address *address, bool adopted,
                bool retiring)
{
    struct sess_listener *l = mem_calloc(1, sizeof(*l));

    *l = (struct sess_listener){.worker = w,
                                .fd = fd,
                                .address = *address,
                                .adopted = adopted,
                                .retiring = retiring,
                                .next = w->listeners};
    w->listeners = l;
    atomic_fetch_add(&w->plane->listening, 1);
}

/* Those that are watched already go on where they stopped. One that retires is looked at even if
 * nobody comes. */
void sess_listen_accept(struct sess_worker *w)
{
    for (struct sess_listener *l = w->listeners; l; l = l->next) {
        if (!l->watch.loop && net_watch_add(&l->watch, w->loop, l->fd, sess_worker_accept) != RC_OK)
            log_error("cannot watch a listening socket: %s", strerror(errno));
        net_watch_again(&l->watch);
    }
}

void sess_listen_close(struct sess_listener *l)
{
    struct sess_plane *plane = l->worker->plane;
    struct sess_listener **at = &l->worker->listeners;
    char text[NET_ADDRESS_TEXT];

    pthread_mutex_lock(&plane->lock);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    net_watch_del(&l->watch); /* before close: another process may hold the socket, too */
    close(l->fd);
    if (!atomic_load(&plane->given) && (!l->adopted || atomic_load(&plane->owns_adopted)))
        net_unix_release(&l->address);
    pthread_mutex_unlock(&plane->lock);
    atomic_fetch_sub(&plane->listening, 1);
    if (l->retiring) {
        net_address_text(&l->address, text);
        log_info("no longer listening on %s: it is not configured any more", text);
    }
    free(l);
}

void sess_listen_close_all(struct sess_worker *w)
{
    while (w->listeners)
        sess_listen_close(w->listeners);
}

void sess_listen_touch(struct sess_plane *plane)
{
    pthread_mutex_lock(&plane->lock);
    for (unsigned i = 0; i < plane->nworkers; i++)
        for (struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next)
            net_unix_touch(&l->address);
    pthread_mutex_unlock(&plane->lock);
}

/* ---- start ---- */

static size_t parse(const char *text, struct net_address *out, struct err *err)
{
    char *copy = mem_strdup(text);
    char *rest = copy, *one;
    size_t n = 0;

    while ((one = strsep(&rest, ",")) != NULL) {
        struct net_address found[NET_ADDRESSES_MAX];
        size_t more = net_listen_parse_all(one + strspn(one, " "), found, err);

        if (more && n + more > LISTENERS_MAX) {
            err_set(err, "22023", "more than %d addresses to listen on", LISTENERS_MAX);
            more = 0;
        }
        if (!more) {
            n = 0;
            break;
        }
        memcpy(out + n, found, more * sizeof(*found));
        n += more;
    }
    free(copy);
    return n;
}

/* Each goes to the next worker that would have one of this address. */
static enum rc adopt(struct sess_plane *plane, const struct net_address *addresses, size_t n,
                     unsigned *per_address, struct err *err)
{
    unsigned strays = 0;

    while (plane->nadopted) {
        int fd = plane->adopted[plane->nadopted - 1];
        struct net_address address;
        unsigned *count = &strays;

        if (net_listen_adopt(fd, &address, err) != RC_OK)
            return RC_ERR;
        for (size_t i = 0; i < n; i++) {
            if (net_address_same(&address, &addresses[i]))
                count = &per_address[i];
        }
        add(plane->workers[(*count)++ % plane->nworkers], fd, &address, true, count == &strays);
        plane->nadopted--;
    }
    return RC_OK;
}

static char *all_of(const struct net_address *addresses, size_t n)
{
    char text[NET_ADDRESS_TEXT];
    struct buf all = {0};

    for (size_t i = 0; i < n; i++) {
        net_address_text(&addresses[i], text);
        buf_printf(&all, "%s%s", i ? ", " : "", text);
    }
    return buf_take(&all);
}

static bool has_adopted(const struct sess_plane *plane, const struct net_address *address)
{
    for (unsigned i = 0; i < plane->nworkers; i++)
        for (const struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next)
            if (l->adopted && net_address_same_port(&l->address, address))
                return true;
    return false;
}

/* Of a port that we have been given we are one of those who listen. */
static enum rc check(const struct sess_plane *plane, const struct net_address *addresses, size_t n,
                     struct err *err)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < n && rc == RC_OK; i++)
        if (!has_adopted(plane, &addresses[i]))
            rc = net_listen_check(&addresses[i], err);
    return rc;
}

enum rc sess_listen_open(struct sess_plane *plane, struct err *err)
{
    struct net_address addresses[LISTENERS_MAX];
    unsigned per_address[LISTENERS_MAX] = {0};
    size_t n = parse(plane->options.listen, addresses, err);

    if (!n || adopt(plane, addresses, n, per_address, err) != RC_OK ||
        check(plane, addresses, n, err) != RC_OK)
        return RC_ERR;
    for (unsigned i = 0; i < plane->nworkers; i++) {
        for (size_t j = 0; j < n; j++) {
            bool shared = addresses[j].sa.ss_family == AF_UNIX; /* by all workers, see accept */
            int fd;

            if (i < per_address[j] || (shared && i > 0))
                continue;
            fd = net_listen_open(&addresses[j], plane->options.unix_socket_mode, err);
            if (fd < 0)
                return RC_ERR;
            add(plane->workers[i], fd, &addresses[j], false, false);
        }
    }
    net_address_text(&addresses[0], plane->address);
    plane->addresses = all_of(addresses, n);
    return RC_OK;
}

static enum rc begin(const struct sess_plane *plane, const struct sess_listener *l, struct err *err)
{
    enum rc rc = net_unix_permit(&l->address, plane->options.unix_socket_mode,
                                 plane->options.unix_socket_group, err);

    return rc == RC_OK && !l->adopted ? net_listen_start(l->fd, &l->address, err) : rc;
}

/* Nothing is taken from a process that goes on where one of them cannot be served. */
enum rc sess_plane_accept(struct sess_plane *plane, struct err *err)
{
    enum rc rc = RC_OK;

    pthread_mutex_lock(&plane->lock);
    for (unsigned i = 0; i < plane->nworkers && rc == RC_OK; i++)
        for (struct sess_listener *l = plane->workers[i]->listeners; l && rc == RC_OK; l = l->next)
            rc = begin(plane, l, err);
    for (unsigned i = 0; i < plane->nworkers && rc == RC_OK; i++)
        for (struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next)
            if (l->adopted)
                net_unix_own(&l->address);
    pthread_mutex_unlock(&plane->lock);
    atomic_store(&plane->owns_adopted, rc == RC_OK);
    if (rc == RC_OK)
        sess_rules_await(plane);
    for (unsigned i = 0; i < plane->nworkers && rc == RC_OK; i++)
        sess_worker_post(plane->workers[i], MAIL_ACCEPT, 0, NULL, 0);
    return rc;
}

/* ---- from process to process ---- */

void sess_plane_adopt(struct sess_plane *plane, const int *fds, size_t n)
{
    plane->adopted = mem_calloc(n ? n : 1, sizeof(int));
    memcpy(plane->adopted, fds, n * sizeof(int));
    plane->nadopted = n;
}

size_t sess_plane_listeners(struct sess_plane *plane, int **out, struct err *err)
{
    size_t n = 0;
    int *fds;

    pthread_mutex_lock(&plane->lock);
    fds = mem_calloc(atomic_load(&plane->listening) + 1, sizeof(int));
    for (unsigned i = 0; i < plane->nworkers; i++) {
        for (struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next) {
            int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);

            if (fd < 0)
                goto failed;
            fds[n++] = fd;
        }
    }
    pthread_mutex_unlock(&plane->lock);
    if (!n)
        err_set(err, "55000", "there are no listening sockets to hand over");
    *out = fds;
    return n;
failed:
    err_set(err, "53000", "cannot copy the listening sockets: %s", strerror(errno));
    pthread_mutex_unlock(&plane->lock);
    while (n)
        close(fds[--n]);
    free(fds);
    *out = NULL;
    return 0;
}

void sess_plane_give(struct sess_plane *plane)
{
    atomic_store(&plane->given, true);
}

void sess_plane_disown(struct sess_plane *plane)
{
    atomic_store(&plane->owns_adopted, false);
}

void sess_plane_keep(struct sess_plane *plane, bool at_them)
{
    struct err err = {0};

    atomic_store(&plane->given, false);
    pthread_mutex_lock(&plane->lock);
    for (unsigned i = 0; i < plane->nworkers && at_them; i++) {
        for (struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next) {
            if (net_unix_permit(&l->address, plane->options.unix_socket_mode,
                                plane->options.unix_socket_group, &err) != RC_OK)
                log_err(LOG_WARNING, "takeover", &err);
            net_unix_own(&l->address);
        }
    }
    pthread_mutex_unlock(&plane->lock);
}

bool sess_plane_release(struct sess_plane *plane)
{
    int64_t until = clock_ms() + RELEASE_MS;

    for (unsigned i = 0; i < plane->nworkers; i++)
        sess_worker_post(plane->workers[i], MAIL_RELEASE, 0, NULL, 0);
    while (atomic_load(&plane->listening)) {
        if (clock_ms() >= until)
            return false;
        clock_sleep_ms(RELEASE_POLL_MS);
    }
    return true;
}
