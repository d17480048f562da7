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
 * are ReadyForQuery idle, in transaction, failed. '!' asserts a safe point, '?' that it is none,
 * '~' that there perhaps will be none.
 * '<G' CopyInResponse, '<H' out, '<W' both, '<C' CommandComplete, '<E' ErrorResponse;
 * '<1' to '<3', '<n', '<s' are the answers to Parse, Bind, Close, Describe, Execute; '<t' a
 * RowDescription
 * ('<T' is taken).
 */
static void play(const char *name, const char *script)
{
    struct sess_track t;

    sess_track_init(&t);
    for (const char *at = script; *at; at++) {
        if (*at == ' ')
            continue;
        if (*at == '!' || *at == '?') {
            if (sess_track_safe(&t) != (*at == '!') || (*at == '!' && sess_track_lost(&t)))
                fail_msg("%s: at byte %d of \"%s\"", name, (int)(at - script), script);
        } else if (*at == '~') {
            if (!sess_track_lost(&t))
                fail_msg("%s: at byte %d of \"%s\"", name, (int)(at - script), script);
        } else if (*at != '<') {
            sess_track_client(&t, (uint8_t)*at);
        } else if (strchr("ITF", *++at)) {
            sess_track_ready(&t, *at == 'F' ? 'E' : *at);
        } else {
            sess_track_server(&t, *at == 't' ? 'T' : (uint8_t)*at);
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
        {"syncs inside a copy, ended and followed ahead", "<I Q SdSc Q <G? <C<I? <C<I!"},
        {"the same, of an execute", "<I PBE SdSc S PBES <1<2<G? <C<I? <C<I!"},
        {"a copy behind another request, ended and followed ahead",
         "<I Q Q SdSc QS <C<I? <G<C<I? <C<I? <I!"},
        {"two copies ahead", "<I Q Sdc Q dSSc Q <G<C<I? <G<C<I? <C<I!"},
        {"a copy in one go with what follows", "<I Q dc PBES <G<C<I? <1<2<C<I!"},
        {"an end for nothing ahead of a copy", "<I Q c Q <C<I <G? S d c? <C<I!"},
        {"an end for nothing behind a sync", "<I PBES c Q <1<2<C<I <G? S d c? <C<I!"},
        {"a late end, then another copy", "<I PBES <1<2<G d <E c? S <I! PBE S d c S <1<2<G<C? <I!"},
        {"more ends than are remembered", "<I Q cccccc~ S Q <C<I? <G c? <C<I? <I!"},
        {"a mixed query behind a copy with a sync", "<I PQS PBE S d c S <E<I? <1<2<G<C? <I!"},
        {"a mixed query behind a sync inside a copy", "<I PBE SdcS PQS <1<2<G<C? <I <E? <I!"},
        {"a copy ended ahead while another goes out", "<I Q Q <H d c S <C<I? <G <C<I? <I!"},
        {"a copy ended ahead while another's end is read", "<I Q <G dc Q dc S <C<I? <G<C<I? <I!"},
        {"two copies ahead, the first with a sync inside", "<I Q S c E c S <G<C<I? <G<C? <I!"},
        {"a query skipped behind what follows a copy", "<I ES cEE <G<C QS <C<E? <I!"},
        {"a query skipped behind a copy that fails at its end", "<I PBE S dc QS <1<2<G<E? <I!"},
        {"the same, read", "<I PBE S dc QS <1<2<G<C? <C<I? <I!"},
        {"an end behind one that is not remembered",
         "<I QcQcQcQcQc~ <G<C<I Sc <G<C<I <G<C<I <G<C<I <G<C<I? <I!"},
        {"copy in failed by the client", "<I Q <G d f? <E? <I!"},
        {"copy in failed by the server, late data", "<I Q <G d <E? <I! d d c! Q <G? S c <C <I!"},
        {"extended copy in failed by the server", "<I PBES <G d <E c S? <I!"},
        {"copy in behind another request", "<I PBES PBES <C<I? <G? c S? <C <I!"},
        {"copy out", "<I Q <H? <C? <I!"},
        {"copy both", "<I Q <W? d d <C? c? <C <I!"},
        {"two queries in a row", "<I Q Q <C<I? <C<I!"},
        {"an answer nobody asked for", "<I <I! Q? <I!"},
        {"query behind a failed parse is skipped to sync", "<I PBEQS <E? <I!"},
        {"query behind a failed execute is skipped", "<I PBDEQS <1<2<t<E? <I!"},
        {"all queries up to sync are skipped", "<I PBEQFQS Q <1<E? <I? <C<I!"},
        {"query behind a good execute fails by itself", "<I PBEQS <1<2<C<E<I? <I!"},
        {"second query behind a failed parse", "<I PBEQ PBEQS <1<2<C<C<I? <1<E? <I!"},
        {"query alone behind a mixed one fails by itself", "<I PBEQQS <1<2<C <C<I? <E<I? <I!"},
        {"query sent after the error", "<I PBEH <1<E? Q? Q F? S? <I!"},
        {"query sent before the error is seen", "<I PBEH Q? <1<2<E? Q? S? <I! Q? <C<I!"},
        {"close counts as an extended message", "<I CQS <3<E<I? <I! CQS <E? <I!"},
        {"next segment after a skipped query", "<I PQS PBES <E? <I? <1<2<C<I!"},
        {"two segments with skipped queries", "<I PQS PQQS <E? <I? <E? <I!"},
        {"query behind a failing copy in", "<I PBES <1<2<G d c Q S <E? <I!"},
        {"query behind a good copy in", "<I PBES <1<2<G d c Q S <C<C<I? <I!"},
        {"sync between keeps a query's answer", "<I PBES Q <E<I? <C<I!"},
        {"more mixed queries than are remembered",
         "<I PQQQQQQQQQ~ S <1<C<I<C<I<C<I<C<I<C<I<C<I<C<I<C<I<C<I?~ <I!"},
        {"the same, skipped", "<I PQQQQQQQQQ~ S <E<I?~ Q <C<I?~"},
        {"an error behind them is nobody's", "<I PQQQQQQQQQ~ S <E<I? EDQQS <s<n<C<I <E<I? <I?~"},
        {"a copy behind them takes no sync", "<I PQQQQQQQQQ~ S <E<I? PBE c SS <1<2<G<C? <I? <I?~"},
        {"an end for nothing ahead of a copy in its segment", "<I EcE SdcS <C<G<C? <I!"},
        {"two ends for one copy, then another", "<I E ccE SdcS <G<C<G<C? <I!"},
        {"an end for nothing behind a sync that a copy swallows",
         "<I E ScEcE SdcS <G<C<C<G<C? <I!"},
        {"a copy that fails among syncs ahead", "<I E SdSc S E S <G<E<I?~ <I? <s<I? <I!"},
        {"the same, all read in it: no safe point is known of", "<I E SdSc S <G<E?~ <I?~ Q <C<I?~"},
        {"a copy that fails where a sync stands in its data", "<I Q <G dSdc? <E? <I?~ <I!"},
        {"a query behind an end that is not remembered fails by itself",
         "<I QcQcQcQcESc~S <G<C<I <G<C<I <G<C<I <G<C<I <G<C<I? PQQS <1<E<I?~ <E<I? <I?~"},
        {"a query skipped behind two copies that swallow their syncs",
         "<I E Sc E Sc <G<C<G<C EQS <E? <I!"},
        {"a query behind a copy that fails among syncs ahead is perhaps skipped",
         "<I E SdSc Q S <G<E?~ <I?~ <I? <C<I?~ <I!"},
        {"a sync behind late data of a copy is one", "<I PBES <1<2<G d <E d S? <I!"},
        {"terminate asks nothing", "<I X!"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        play(rows[i].name, rows[i].script);
}

/* As many as fit 16 bits are not the most that a client sends without a Sync. */
static void a_query_behind_a_great_many_messages_fails_by_itself(void **state)
{
    struct sess_track t;

    (void)state;
    sess_track_init(&t);
    sess_track_ready(&t, 'I');
    for (int i = 0; i < 70000; i++)
        sess_track_client(&t, 'E');
    sess_track_client(&t, 'Q');
    for (int i = 0; i < 70000; i++)
        sess_track_server(&t, 's');
    sess_track_server(&t, 'E');
    sess_track_ready(&t, 'I');
    sess_track_client(&t, 'Q');
    assert_false(sess_track_safe(&t));
    sess_track_server(&t, 'C');
    sess_track_ready(&t, 'I');
    assert_true(sess_track_safe(&t));
}

static void a_segment_is_not_taken_for_one_long_before_it(void **state)
{
    struct sess_track t;

    (void)state;
    sess_track_init(&t);
    sess_track_ready(&t, 'I');
    sess_track_client(&t, 'P');
    sess_track_client(&t, 'Q');
    for (int i = 0; i < 65536; i++)
        sess_track_client(&t, 'S');
    sess_track_server(&t, 'E'); /* of the Parse: the Query is skipped, what is sent now is not */
    sess_track_client(&t, 'Q');
    for (int i = 0; i < 65536; i++)
        sess_track_ready(&t, 'I');
    assert_false(sess_track_safe(&t));
    sess_track_ready(&t, 'I');
    assert_true(sess_track_safe(&t));
}

static void a_copy_both_that_its_client_has_ended_waits_for_nothing_of_it(void **state)
{
    struct sess_track t;

    (void)state;
    sess_track_init(&t);
    sess_track_ready(&t, 'I');
    sess_track_client(&t, 'Q');
    sess_track_server(&t, 'W');
    assert_true(sess_track_copies(&t));
    sess_track_client(&t, 'c');
    assert_false(sess_track_copies(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safe_points_are_where_they_are),
        cmocka_unit_test(a_query_behind_a_great_many_messages_fails_by_itself),
        cmocka_unit_test(a_segment_is_not_taken_for_one_long_before_it),
        cmocka_unit_test(a_copy_both_that_its_client_has_ended_waits_for_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
