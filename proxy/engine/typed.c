#include "typed.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Of nothing but letters that mean themselves, and no option. */
static bool is_plain(const char *text)
{
    return *text && *text != '-' && strspn(text, LOWER UPPER DIGITS "_-.") == strlen(text);
}

void typed_quoted(struct buf *out, const char *text)
{
    buf_append_u8(out, '\'');
    for (; *text; text++)
        buf_append_str(out, *text == '\'' ? "'\\''" : (const char[]){*text, '\0'});
    buf_append_u8(out, '\'');
}

static void put_shell(struct buf *out, const char *verb, const char *name)
{
    buf_printf(out, "segue %s ", verb);
    if (is_plain(name))
        buf_append_str(out, name);
    else
        typed_quoted(out, name);
}

/* A name in double quotes is never taken for a keyword, nor for a comment. */
static void put_console(struct buf *out, const char *verb, const char *name)
{
    for (; *verb; verb++)
        buf_append_u8(out, (uint8_t)toupper((unsigned char)*verb));
    buf_append_str(out, " \"");
    for (; *name; name++)
        buf_append_str(out, *name == '"' ? "\"\"" : (const char[]){*name, '\0'});
    buf_append_u8(out, '"');
}

char *typed_shell(const char *verb, const char *name)
{
    struct buf out = {0};

    put_shell(&out, verb, name);
    return buf_take(&out);
}

char *typed_force(const char *verb, const char *name)
{
    struct buf out = {0};

    put_console(&out, verb, name);
    buf_append_str(&out, " FORCE (");
    put_shell(&out, verb, name);
    buf_append_str(&out, " --force)");
    return buf_take(&out);
}

/* ---- what ends a migration ---- */

static const char before[] = "complete or abort \"%s\" first (%s)";
static const char anew_before[] =
    "SHOW STATUS (%s) tells how far it is; abort \"%s\" first to start it anew (%s)";

static const struct {
    const char *end, *anew; /* of the name and the command */
    const char *verb;
} ends[PH_COUNT] = {
    [PH_SOAKING] = {"complete \"%s\" first, or roll it back (%s) and then abort it",
                    "\"%s\" is past its cut-over: to start it anew, roll it back (%s) and then "
                    "abort it",
                    "rollback"},
    [PH_REVERTING] = {"\"%s\" goes back to ready: wait for that (%s), then abort it",
                      "\"%s\" goes back to ready: wait for that (%s), then abort it to start it "
                      "anew",
                      "wait"},
    [PH_CONTRACTING] = {"\"%s\" ends by itself: wait for that (%s)",
                        "\"%s\" ends by itself (%s), and then it has run: give the new one another "
                        "name",
                        "status"},
    [PH_ABORTING] = {"\"%s\" ends by itself: wait for that (%s)",
                     "\"%s\" ends by itself: start it anew after that (%s)", "status"},
};

char *typed_end(const char *name, enum eng_phase_id phase)
{
    char *command = typed_shell(ends[phase].verb ? ends[phase].verb : "abort", name);
    struct buf out = {0};

    buf_printf(&out, ends[phase].end ? ends[phase].end : before, name, command);
    free(command);
    return buf_take(&out);
}

void typed_already(const char *name, const char *phase, struct err *err)
{
    enum eng_phase_id id = PH_PLANNED;
    char *command, *look;

    err_set(err, "42710", "migration \"%s\" is already %s", name, phase);
    if (eng_phase_parse(phase, &id) != RC_OK)
        return;
    command = typed_shell(ends[id].verb ? ends[id].verb : "abort", name);
    look = typed_shell("status", name);
    if (ends[id].anew)
        err_hint(err, ends[id].anew, name, command);
    else
        err_hint(err, anew_before, look, name, command);
    free(look);
    free(command);
}

void typed_unknown(const char *name, const char *in_flight, struct err *err)
{
    err_set(err, "42704", "there is no migration \"%s\"", name);
    if (*in_flight)
        err_hint(err, "in flight: %.400s; SHOW MIGRATIONS (segue history) lists all", in_flight);
    else
        err_hint(err, "none is in flight; SHOW MIGRATIONS (segue history) lists those of before");
}
