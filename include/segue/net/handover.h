/*
 * Control sockets: packets between two processes of one machine, each perhaps with a descriptor.
 *
 * Unix sockets of type SOCK_SEQPACKET, so that a packet arrives whole or not at all and its
 * descriptor with it. A name is a path, or "@name" in the abstract namespace, which is the network
 * namespace's as TCP ports are, and leaves nothing behind when the process dies.
 * Not here: what the packets say (wire/handover.h).
 */
#ifndef SEGUE_NET_HANDOVER_H
#define SEGUE_NET_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "segue/base/err.h"

#define NET_CONTROL_NAME_MAX 107 /* bytes: what the system takes */

/* Listens; a path that nobody listens on any more is taken over. -1 with err, 55006: somebody is
 * there. */
int net_control_listen(const char *name, struct err *err) MUST_CHECK;

/* Does the listening descriptor have this name? */
bool net_control_is(int fd, const char *name);

/* -1 with err; 08001: nobody is there. */
int net_control_connect(const char *name, struct err *err) MUST_CHECK;

/* -1: nobody waits. */
int net_control_accept(int fd);

/* Who is at the other end, by the kernel's word. True: the same user as we are, or root. */
bool net_control_trusted(int fd, pid_t *pid, uid_t *uid);

/* passed: -1, or a descriptor to go with it (stays the caller's). Waits at most wait_ms. */
enum rc net_control_send(int fd, const void *packet, size_t len, int passed, unsigned wait_ms,
                         struct err *err) MUST_CHECK;

/* RC_OK: *got bytes (0: the other end is closed) and *passed, -1 or a descriptor, now the
 * caller's. RC_AGAIN: nothing came within wait_ms. */
enum rc net_control_recv(int fd, void *packet, size_t size, size_t *got, int *passed,
                         unsigned wait_ms, struct err *err) MUST_CHECK;

#endif
