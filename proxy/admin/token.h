/*
 * Words of the console's small language.
 *
 * A bare word is everything up to a blank, a quote or one of ; , ( ) =. 'text' and "name" double
 * their quote to hold it; E'text' knows backslash escapes (psql's :'variable' makes such).
 * SQL comments count as blanks.
 */
#ifndef SEGUE_ADMIN_TOKEN_H
#define SEGUE_ADMIN_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/err.h"

enum adm_token_kind { ADM_WORD, ADM_TEXT, ADM_NAME, ADM_SYMBOL, ADM_SEMICOLON };

struct adm_token {
    enum adm_token_kind kind;
    char *value; /* unquoted */
};

struct adm_tokens {
    struct adm_token *items;
    size_t count;
    size_t cap;
};

/* RC_ERR: 42601, a quote or comment without an end. Free the tokens in either case. */
enum rc adm_tokenize(const char *text, struct adm_tokens *tokens, struct err *err) MUST_CHECK;
void adm_tokens_free(struct adm_tokens *tokens);

/* A bare word that is this keyword, in any case. */
bool adm_token_is(const struct adm_token *token, const char *keyword);

#endif
