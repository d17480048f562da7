/*
 * What a client says after its login. First byte: sizes of the pieces. The upstream must get the
 * client's bytes and no others; all of them when they are whole messages.
 */
#include "bed.h"
#include "rules.h"
#include "target.h"

int fuzz_one(const uint8_t *data, size_t len)
{
    struct buf heard = {0}, told = {0};
    int client, upstream;
    size_t step;

    if (!bed.plane)
        bed_init(fuzz_rules(), NULL);
    if (!len)
        return 0;
    step = data[0] & 15;
    data++;
    len--;
    bed_log_in(&client, &upstream);
    bed_say(client, data, len, step);
    shutdown(client, SHUT_WR);
    bed_hear(upstream, &heard);
    close(upstream);
    bed_hear(client, &told);
    close(client);
    if (heard.len > len || (heard.len && memcmp(heard.data, data, heard.len) != 0))
        bed_stuck("the upstream has heard what the client did not say");
    if (heard.len < len && bed_whole_messages(data, len))
        bed_stuck("the upstream has not heard all that the client said");
    buf_fini(&heard);
    buf_fini(&told);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0Q\0\0\0\x0dSELECT 1\0"),
    FUZZ_SEED("\3Q\0\0\0\x21UPDATE checks SET claim = 'x'\0"),
    FUZZ_SEED("\1P\0\0\0\x25S_1\0SELECT claim FROM checks WHERE id=$1\0\0\0"
              "B\0\0\0\x14\0S_1\0\0\1\0\1\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"),
    FUZZ_SEED("\0C\0\0\0\x09SS_1\0H\0\0\0\4D\0\0\0\6P\0S\0\0\0\4"),
    FUZZ_SEED("\0d\0\0\0\x08"
              "abc\nc\0\0\0\4f\0\0\0\6x\0S\0\0\0\4"),
    FUZZ_SEED("\0F\0\0\0\x0e\0\0\0\1\0\0\0\0\0\0X\0\0\0\4"),
    FUZZ_SEED("\0Q\xff\xff\xff\xff"),
    FUZZ_SEED("\0Q\0\0\0\3"),
    FUZZ_SEED("\5Q\0\0\0\x2e/* */ BEGIN; COPY checks FROM STDIN; COMMIT\0"),
};
const size_t fuzz_nseeds = ARRAY_LEN(fuzz_seeds);
