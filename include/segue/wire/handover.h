/*
 * What two segues say to each other when one takes over from the other. Pure.
 *
 *   new                          old
 *   HELLO version, pid       ->
 *                            <-  WELCOME version, pid, number of sockets
 *                            <-  SOCKET kind, with one descriptor each
 *   READY                    ->                 the new one could serve
 *                            <-  GO
 *   ACCEPTING                ->                 it does; the old one closes its copies
 *                            <-  REPORT sessions left, of those before it, too: at once, then
 *                                every second, until it ends
 *   CANCEL hops, asker, key  ->                 behind that, whenever the new one is sent a cancel
 *                                request whose key no session of its own has
 *                            <-  CANCEL_IS hops, asker, how
 *   At any moment before ACCEPTING either side may say REFUSED and why, and nothing has happened.
 *
 * Both speak the older one's version. In version 1 a REPORT does not say whose the sessions are;
 * nobody says CANCEL before version 3. One who does not know the key asks its own predecessor, with
 * one hop more, and passes back what comes, with one less; who asked for itself finds none left.
 *
 * A frame is its length (four bytes, itself included), its type, its fields (four bytes each, all
 * in network order), and for REFUSED a text, for CANCEL a key. It travels as one packet.
 * Not here: sockets (net/handover.h), who may say what when (takeover).
 */
#ifndef SEGUE_WIRE_HANDOVER_H
#define SEGUE_WIRE_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"

#define WIRE_HANDOVER_VERSION 3
#define WIRE_HANDOVER_VERSION_MIN 1
#define WIRE_HANDOVER_VERSION_WHOSE 2
#define WIRE_HANDOVER_VERSION_CANCEL 3
#define WIRE_HANDOVER_TEXT_MAX 400
#define WIRE_HANDOVER_KEY_MIN 4
#define WIRE_HANDOVER_KEY_MAX 256
#define WIRE_HANDOVER_MAX (5 + 4 * 4 + WIRE_HANDOVER_TEXT_MAX) /* bytes of a frame */

enum wire_handover_type {
    WIRE_HANDOVER_HELLO = 'H',
    WIRE_HANDOVER_WELCOME = 'W',
    WIRE_HANDOVER_SOCKET = 'D',
    WIRE_HANDOVER_READY = 'R',
    WIRE_HANDOVER_GO = 'G',
    WIRE_HANDOVER_ACCEPTING = 'A',
    WIRE_HANDOVER_REPORT = 'S',
    WIRE_HANDOVER_REFUSED = 'X',
    WIRE_HANDOVER_CANCEL = 'C',
    WIRE_HANDOVER_CANCEL_IS = 'c',
};

enum wire_handover_kind { WIRE_HANDOVER_CLIENTS, WIRE_HANDOVER_CONTROL, WIRE_HANDOVER_KINDS };

/* What is to become of a cancel request. */
enum wire_handover_how {
    WIRE_HANDOVER_ELSEWHERE, /* it is the server's: sent there, or not known in the chain */
    WIRE_HANDOVER_HELD,      /* its statement waits: another answer follows */
    WIRE_HANDOVER_DONE,      /* that will not run */
    WIRE_HANDOVER_HOWS
};

struct wire_handover {
    enum wire_handover_type type;
    uint32_t version; /* HELLO: the newest it speaks; WELCOME: the one that both do */
    uint32_t pid;   /* REPORT: the first in the chain that has some of the sessions; 0: not said */
    uint32_t count; /* SOCKETs to come */
    uint32_t kind;  /* enum wire_handover_kind */
    uint32_t sessions;                     /* of the old one and those before it */
    uint32_t left_s;                       /* until it ends the rest of them */
    uint32_t working;                      /* 1: its engine has not stopped yet */
    uint32_t hops;                         /* between who asked and who is told */
    uint32_t asker_high, asker_low;        /* who asked, in its own words */
    uint32_t backend;                      /* with the key: whose statement is to be cancelled */
    uint32_t how;                          /* enum wire_handover_how */
    uint32_t key_len;                      /* CANCEL: WIRE_HANDOVER_KEY_MIN to _MAX */
    uint8_t key[WIRE_HANDOVER_KEY_MAX];    /* never logged */
    char text[WIRE_HANDOVER_TEXT_MAX + 1]; /* printable */
};

/* Returns the length of the frame. A text that is too long is cut. */
size_t wire_handover_put(const struct wire_handover *msg, uint8_t out[WIRE_HANDOVER_MAX]);

/* One packet; RC_ERR (08P01): not exactly one frame that this version knows. */
enum rc wire_handover_read(const void *packet, size_t len, struct wire_handover *out,
                           struct err *err) MUST_CHECK;

const char *wire_handover_name(enum wire_handover_type type);

#endif
