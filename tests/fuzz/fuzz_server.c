/*
 * What a server says after the login. First byte: sizes of the pieces, and whether the client has
 * asked something. The client must get the server's bytes and no others; all of them when they are
 * whole messages.
 */
#include "bed.h"
#include "rules.h"
#include "target.h"

static const char question[] = "Q\0\0\0\x0dSELECT 1";

int fuzz_one(const uint8_t *data, size_t len)
{
    struct buf told = {0};
    char asked[sizeof(question)];
    int client, upstream;
    size_t step;

    if (!bed.plane)
        bed_init(fuzz_rules(), NULL);
    if (!len)
        return 0;
    step = data[0] & 15;
    bed_log_in(&client, &upstream);
    if (data[0] & 16) {
        bed_say(client, question, sizeof(question), 0);
        bed_hear_exactly(upstream, asked, sizeof(asked));
    }
    data++;
    len--;
    bed_say(upstream, data, len, step);
    shutdown(upstream, SHUT_WR);
    bed_hear(client, &told);
    close(client);
    close(upstream);
    if (told.len > len || (told.len && memcmp(told.data, data, told.len) != 0))
        bed_stuck("the client was told what the server did not say");
    if (told.len < len && bed_whole_messages(data, len))
        bed_stuck("the client was not told all that the server said");
    buf_fini(&told);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\x10T\0\0\0\x1b\0\1a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
              "D\0\0\0\x0b\0\1\0\0\0\x01"
              "1C\0\0\0\x0dSELECT 1\0Z\0\0\0\5I"),
    FUZZ_SEED("\x11"
              "E\0\0\0\x1cSERROR\0C57014\0Mcanceled\0\0Z\0\0\0\5E"),
    FUZZ_SEED("\x10G\0\0\0\7\0\0\0C\0\0\0\x0b"
              "COPY 1\0Z\0\0\0\5T"),
    FUZZ_SEED("\x10W\0\0\0\7\0\0\0d\0\0\0\5xZ\0\0\0\6II"),
    FUZZ_SEED("\2S\0\0\0\x18"
              "application_name\0abc\0A\0\0\0\x0c\0\0\0\1x\0y\0"),
    FUZZ_SEED("\0N\0\0\0\x10SNOTICE\0M\0\0\0K\0\0\0\6\0\0"),
    FUZZ_SEED("\0C\0\0\0\x10"
              "DISCARD ALL\0Z\0\0\0\4Z\xff\xff\xff\xff"),
};
const size_t fuzz_nseeds = ARRAY_LEN(fuzz_seeds);
