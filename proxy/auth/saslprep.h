/*
 * SASLprep (RFC 4013) of passwords, step by step as PostgreSQL's pg_saslprep does it, so that
 * the same password gives the same keys here, in libpq and in the server: prohibited and
 * unassigned characters are looked for before normalising, and what cannot be prepared is used
 * as it is.
 */
#ifndef SEGUE_PROXY_AUTH_SASLPREP_H
#define SEGUE_PROXY_AUTH_SASLPREP_H

/* The prepared text (free() after wiping it); NULL: use the password's bytes as they are (ASCII,
 * not valid UTF-8, prohibited). */
char *saslprep(const char *password);

#endif
