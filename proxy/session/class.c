#include "class.h"

#include <string.h>

#include "segue/wire/frame.h"

const char *const sess_class_names[SESS_CLASSES] = {
    [SESS_CLASS_NONE] = "none",     [SESS_CLASS_SELECT] = "select",
    [SESS_CLASS_INSERT] = "insert", [SESS_CLASS_UPDATE] = "update",
    [SESS_CLASS_DELETE] = "delete", [SESS_CLASS_MERGE] = "merge",
    [SESS_CLASS_COPY] = "copy",     [SESS_CLASS_TRANSACTION] = "transaction",
    [SESS_CLASS_OTHER] = "other",   [SESS_CLASS_ERROR] = "error",
};

/* A tag that begins so is of that class; those that come most stand first. A tag's end is a NUL, so
 * "COMMIT" need not name what follows. */
static const struct tag {
    const char *text;
    uint8_t len, class;
} tags[] = {
#define TAG(text, class)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, SESS_CLASS_##class                                                 \
    }
    TAG("SELECT ", SELECT),
    TAG("UPDATE ", UPDATE),
    TAG("INSERT ", INSERT),
    TAG("COMMIT", TRANSACTION),
    TAG("BEGIN", TRANSACTION),
    TAG("DELETE ", DELETE),
    TAG("SAVEPOINT", TRANSACTION),
    TAG("START TRANSACTION", TRANSACTION),
    TAG("COPY ", COPY),
    TAG("ROLLBACK", TRANSACTION),
    TAG("RELEASE", TRANSACTION),
    TAG("FETCH ", SELECT),
    TAG("MERGE ", MERGE),
    TAG("PREPARE TRANSACTION", TRANSACTION),
};

enum sess_class sess_class_of(const char *tag, size_t len)
{
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        const struct tag *t = &tags[i];

        if (len >= t->len && tag[0] == t->text[0] && memcmp(tag, t->text, t->len) == 0)
            return (enum sess_class)t->class;
    }
    return SESS_CLASS_OTHER;
}

#define LETTER(c) ((c)&31)
#define DDL_OF_LETTER 2

enum sess_ddl sess_ddl_of(const char *tag, size_t len)
{
    /* by their first letter: each command is asked, and hardly one is DDL */
    static const struct {
        const char *text;
        uint8_t len, ddl;
    } rows[32][DDL_OF_LETTER] = {
        [LETTER('A')] = {{"ALTER TABLE", 11, SESS_DDL_TABLE}, {"ALTER ", 6, SESS_DDL_SOME}},
        [LETTER('C')] = {{"CREATE ", 7, SESS_DDL_SOME}, {"COMMIT PREPARED", 15, SESS_DDL_SOME}},
        [LETTER('D')] = {{"DROP ", 5, SESS_DDL_SOME}, {"DO", 3, SESS_DDL_SOME}}, /* with its NUL */
        [LETTER('G')] = {{"GRANT", 5, SESS_DDL_SOME}},
        [LETTER('R')] = {{"REVOKE", 6, SESS_DDL_SOME}},
    };
    unsigned letter = len > 0 ? LETTER((unsigned char)tag[0]) : 0;

    for (size_t i = 0; i < DDL_OF_LETTER && rows[letter][i].text; i++)
        if (len >= rows[letter][i].len &&
            memcmp(tag, rows[letter][i].text, rows[letter][i].len) == 0)
            return (enum sess_ddl)rows[letter][i].ddl;
    return SESS_DDL_NONE;
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 10;
    return 36;
}

/* Fields are a code byte and a text with a NUL; the SQLSTATE is one of the first. */
unsigned sess_sqlstate_class(const char *msg, size_t len)
{
    size_t at = WIRE_HEADER_BYTES;

    while (at + 3 <= len && msg[at]) {
        const char *end = memchr(msg + at, '\0', len - at);

        if (msg[at] == 'C') {
            unsigned high = digit(msg[at + 1]), low = digit(msg[at + 2]);

            return high < 36 && low < 36 ? high * 36 + low : SESS_SQLSTATES - 1;
        }
        if (!end)
            break;
        at = (size_t)(end - msg) + 1;
    }
    return SESS_SQLSTATES - 1;
}

void sess_sqlstate_class_name(unsigned sqlstate_class, char *out)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    out[0] = sqlstate_class < SESS_SQLSTATES - 1 ? digits[sqlstate_class / 36] : '?';
    out[1] = sqlstate_class < SESS_SQLSTATES - 1 ? digits[sqlstate_class % 36] : '?';
    out[2] = '\0';
}
