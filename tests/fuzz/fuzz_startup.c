/*
 * A client's first bytes. First byte: sizes of the pieces. Whatever comes, the session ends when
 * the client has; what reaches the upstream is the last packet the client sent, as it was.
 */
#include "bed.h"
#include "target.h"

int fuzz_one(const uint8_t *data, size_t len)
{
    struct buf heard = {0}, told = {0};
    int client, upstream;
    size_t step;

    if (!bed.plane)
        bed_init(NULL, NULL);
    if (!len)
        return 0;
    step = data[0] & 15;
    data++;
    len--;
    client = bed_connect();
    bed_say(client, data, len, step);
    shutdown(client, SHUT_WR);
    upstream = bed_accept(client);
    if (upstream >= 0) {
        shutdown(upstream, SHUT_WR); /* as a server does that has cancelled, or refuses */
        bed_hear(upstream, &heard);
        close(upstream);
    }
    bed_hear(client, &told);
    close(client);
    if (heard.len && !memmem(data, len, heard.data, heard.len))
        bed_stuck("the upstream has heard what the client did not say");
    buf_fini(&heard);
    buf_fini(&told);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0\0\0\0\x1f\0\3\0\0user\0app\0database\0app\0\0"),
    FUZZ_SEED("\1\0\0\0\x23\0\3\0\2user\0app\0_pq_.x\0y\0options\0-c a=b\0\0"),
    FUZZ_SEED("\0\0\0\0\x10\4\xd2\x16\x2e\0\0\0\1\xde\xad\xbe\xef"),
    FUZZ_SEED("\0\0\0\0\x08\4\xd2\x16\x2f\0\0\0\x1f\0\3\0\0user\0app\0database\0app\0\0"),
    FUZZ_SEED("\7\0\0\0\x08\4\xd2\x16\x30"),
    FUZZ_SEED("\0\x16\3\1\2\0\1\0\1\xfc\3\3"),
    FUZZ_SEED("\0\xff\xff\xff\xff\0\3\0\0"),
    FUZZ_SEED("\0\0\0\0\x0c\0\2\0\0user"),
};
const size_t fuzz_nseeds = ARRAY_LEN(fuzz_seeds);
