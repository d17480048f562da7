/*
 * Cancel requests on their way along the chain of processes: whoever takes over has the sockets to
 * which they come, and a predecessor may hold the statement that is meant.
 *
 * Workers leave letters, the takeover's thread sends them as the neighbour takes them, so nobody
 * waits for a process that stands still. What is not sent in time is dropped: whoever asked has
 * told the server meanwhile, and the session may be at its next statement.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/auth/scram.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/handover.h"
#include "segue/wire/read.h"
#include "tko.h"

#define LETTERS_MAX 8192 /* to one neighbour */
#define LETTER_MS 2000   /* as long as who asks waits for a first answer (session/upstream.c) */
#define HOPS_MAX 1000    /* no chain is so long */

struct tko_letter {
    struct tko_letter *next;
    int64_t by_ms;
    size_t len;
    uint8_t packet[];
};

static void letter_free(struct tko_letter *letter)
{
    auth_wipe(letter->packet, letter->len); /* a key */
    free(letter);
}

/* False: too many are on their way. */
static bool leave(struct tko *t, struct tko_letters *to, const struct wire_handover *msg)
{
    uint8_t packet[WIRE_HANDOVER_MAX];
    size_t len = wire_handover_put(msg, packet);
    struct tko_letter *letter = NULL;

    pthread_mutex_lock(&t->letters_lock);
    if (to->count < LETTERS_MAX) {
        letter = mem_alloc(sizeof(*letter) + len);
        *letter = (struct tko_letter){.by_ms = clock_ms() + LETTER_MS, .len = len};
        memcpy(letter->packet, packet, len);
        *(to->count ? &to->last->next : &to->first) = letter;
        to->last = letter;
        to->count++;
    }
    pthread_mutex_unlock(&t->letters_lock);
    auth_wipe(packet, sizeof(packet));
    if (letter)
        tko_wake(t);
    return letter != NULL;
}

static struct tko_letter *next_letter(struct tko *t, struct tko_letters *to)
{
    struct tko_letter *letter;

    pthread_mutex_lock(&t->letters_lock);
    letter = to->count ? to->first : NULL;
    if (letter) {
        to->first = letter->next;
        to->count--;
    }
    pthread_mutex_unlock(&t->letters_lock);
    return letter;
}

bool tko_has_letters(struct tko *t, struct tko_letters *to)
{
    bool has;

    pthread_mutex_lock(&t->letters_lock);
    has = to->count != 0;
    pthread_mutex_unlock(&t->letters_lock);
    return has;
}

bool tko_takes_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) > 0;
}

static void send_letter(int fd, const struct tko_letter *letter)
{
    struct err err = {0};

    if (clock_ms() >= letter->by_ms)
        log_debug("takeover: a cancel request was not passed on in time");
    else if (net_control_send(fd, letter->packet, letter->len, -1, 0, &err) != RC_OK)
        log_debug("takeover: %s", err.text);
}

void tko_send_letters(struct tko *t, struct tko_letters *to, int fd)
{
    while (fd >= 0 && tko_has_letters(t, to) && tko_takes_more(fd)) {
        struct tko_letter *letter = next_letter(t, to);

        send_letter(fd, letter);
        letter_free(letter);
    }
}

void tko_drop_letters(struct tko *t, struct tko_letters *to)
{
    struct tko_letter *letter;

    while ((letter = next_letter(t, to)) != NULL)
        letter_free(letter);
}

/* ---- who asks ---- */

/* False: there is nobody who could know. */
static bool ask_before(struct tko *t, const struct wire_key *key, struct sess_cancel_asker asker)
{
    struct wire_handover msg = {.type = WIRE_HANDOVER_CANCEL,
                                .hops = asker.hops,
                                .asker_high = (uint32_t)(asker.id >> 32),
                                .asker_low = (uint32_t)asker.id,
                                .backend = (uint32_t)key->pid,
                                .key_len = (uint32_t)key->key_len};
    bool left;

    if (atomic_load(&t->predecessor_spoken) < WIRE_HANDOVER_VERSION_CANCEL ||
        asker.hops > HOPS_MAX || key->key_len > WIRE_HANDOVER_KEY_MAX)
        return false;
    memcpy(msg.key, key->key, key->key_len);
    left = leave(t, &t->to_predecessor, &msg);
    auth_wipe(msg.key, sizeof(msg.key));
    return left;
}

static bool ask(void *ctx, uint64_t asker, const struct wire_key *key)
{
    return ask_before(ctx, key, (struct sess_cancel_asker){.id = asker});
}

void tko_hear_cancel_is(struct tko *t, const struct wire_handover *msg)
{
    static const enum sess_cancel_is is[WIRE_HANDOVER_HOWS] = {
        [WIRE_HANDOVER_ELSEWHERE] = SESS_CANCEL_ELSEWHERE,
        [WIRE_HANDOVER_HELD] = SESS_CANCEL_HELD,
        [WIRE_HANDOVER_DONE] = SESS_CANCEL_DONE,
    };
    struct wire_handover on = *msg;

    if (!msg->hops) {
        sess_plane_cancel_is(t->options.plane, (uint64_t)msg->asker_high << 32 | msg->asker_low,
                             is[msg->how]);
        return;
    }
    on.hops--;
    if (!leave(t, &t->to_successor, &on))
        log_debug("takeover: what became of a cancel request is not passed on");
}

/* ---- who is asked ---- */

static void answer(void *ctx, struct sess_cancel_asker asker, enum sess_cancel_is how)
{
    static const enum wire_handover_how hows[] = {
        [SESS_CANCEL_ELSEWHERE] = WIRE_HANDOVER_ELSEWHERE,
        [SESS_CANCEL_HELD] = WIRE_HANDOVER_HELD,
        [SESS_CANCEL_DONE] = WIRE_HANDOVER_DONE,
    };
    struct tko *t = ctx;
    const struct wire_handover msg = {.type = WIRE_HANDOVER_CANCEL_IS,
                                      .hops = asker.hops,
                                      .asker_high = (uint32_t)(asker.id >> 32),
                                      .asker_low = (uint32_t)asker.id,
                                      .how = hows[how]};

    if (!leave(t, &t->to_successor, &msg))
        log_debug("takeover: what became of a cancel request is not told");
}

void tko_hear_cancel(struct tko *t, const struct wire_handover *msg)
{
    const struct wire_key key = {
        .pid = (int32_t)msg->backend, .key = msg->key, .key_len = msg->key_len};
    struct sess_cancel_asker asker = {.id = (uint64_t)msg->asker_high << 32 | msg->asker_low,
                                      .hops = msg->hops};

    if (sess_plane_cancel(t->options.plane, &key, asker))
        return;
    asker.hops++;
    if (ask_before(t, &key, asker))
        return;
    asker.hops--;
    answer(t, asker, SESS_CANCEL_ELSEWHERE);
}

void tko_know_cancels(struct tko *t)
{
    static const struct sess_cancel_ops ops = {ask, answer};

    sess_plane_on_cancel(t->options.plane, &ops, t);
}
