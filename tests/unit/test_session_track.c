#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/track.h"
#include "segue/base/rc.h"

/*
 * A conversation: messages of the client as they are, of the server behind '<'; "<I", "<T", "<F"
 * are ReadyForQuery idle, in transaction, failed. '!' asserts a safe point, '?' that it is none.
 * '<G' CopyInResponse, '<H' out, '<W' both, '<C' CommandComplete, '<E' ErrorResponse.
 */
static void play(const char *name, const char *script)
{
    struct sess_track t;

    sess_track_init(&t);
    for (const char *at = script; *at; at++) {
        if (*at == ' ')
            continue;
        if (*at == '!' || *at == '?') {
            if (sess_track_safe(&t) != (*at == '!'))
                fail_msg("%s: at byte %d of \"%s\"", name, (int)(at - script), script);
        } else if (*at != '<') {
            sess_track_client(&t, (uint8_t)*at);
        } else if (strchr("ITF", *++at)) {
            sess_track_ready(&t, *at == 'F' ? 'E' : *at);
        } else {
            sess_track_server(&t, (uint8_t)*at);
        }
    }
}

static void safe_points_are_where_they_are(void **state)
{
    static const struct {
        const char *name, *script;
    } rows[] = {
        {"start-up", "? <I!"},
        {"simple query", "<I Q? <C? <I!"},
        {"transaction block", "<I Q? <T? Q? <C <T? Q <F? Q <C <I!"},
        {"extended query", "<I P? B? D? E? S? <C? <I!"},
        {"flush without sync stays open", "<I P B E H? <C? S? <I!"},
        {"close alone opens nothing", "<I C! S? <I!"},
        {"function call needs no sync", "<I F? <I!"},
        {"pipeline of syncs", "<I PBES? PBES? PBES? <C<I? <C<I? <C<I!"},
        {"pipeline with an error", "<I PBES PBES <E<I? <C<I!"},
        {"error before the next segment", "<I PBES <E P <I? S? <I!"},
        {"simple copy in", "<I Q <G? d d c? <C? <I!"},
        {"syncs inside a simple copy get no answer", "<I Q S <G? d S d c <C <I!"},
        {"extended copy in", "<I PBES <G? d d c? S? <C <I!"},
        {"extended copy in, all sent ahead", "<I PBE d c S <G? <C <I!"},
        {"extended copy in, sync ahead of the data", "<I PBES d c S <G? <C <I!"},
        {"copy in failed by the client", "<I Q <G d f? <E? <I!"},
        {"copy in failed by the server, late data", "<I Q <G d <E? <I! d d c! Q <G? S c <C <I!"},
        {"extended copy in failed by the server", "<I PBES <G d <E c S? <I!"},
        {"copy in behind another request", "<I PBES PBES <C<I? <G? c S? <C <I!"},
        {"copy out", "<I Q <H? <C? <I!"},
        {"copy both", "<I Q <W? d d <C? c? <C <I!"},
        {"two queries in a row", "<I Q Q <C<I? <C<I!"},
        {"an answer nobody asked for", "<I <I! Q? <I!"},
        {"terminate asks nothing", "<I X!"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        play(rows[i].name, rows[i].script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_points_are_where_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
