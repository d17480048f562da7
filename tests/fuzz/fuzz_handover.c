/* A packet of a takeover: read within its bounds or refused; what was read is put and read again
 * the same. */
#include <stdlib.h>
#include <string.h>

#include "segue/wire/handover.h"
#include "target.h"

int fuzz_one(const uint8_t *data, size_t len)
{
    struct wire_handover msg, again;
    uint8_t packet[WIRE_HANDOVER_MAX];
    struct err err = {0};
    size_t n;

    if (wire_handover_read(data, len, &msg, &err) != RC_OK)
        return 0;
    n = wire_handover_put(&msg, packet);
    if (n > sizeof(packet) || wire_handover_read(packet, n, &again, &err) != RC_OK ||
        memcmp(&msg, &again, sizeof(msg)) != 0)
        abort();
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\0\0\0\x11H\x53\x65\x47\x75\0\0\0\1\0\0\x12\x34"),
    FUZZ_SEED("\0\0\0\x11W\0\0\0\1\0\0\x12\x34\0\0\0\3"),
    FUZZ_SEED("\0\0\0\x09\x44\0\0\0\1"),
    FUZZ_SEED("\0\0\0\5R"),
    FUZZ_SEED("\0\0\0\x11S\0\0\0\7\0\0\x0e\x10\0\0\0\1"),
    FUZZ_SEED("\0\0\0\x0fXno, \xc3\xa9\x1b[1m"),
    FUZZ_SEED("\0\0\0\x09Xno\xe8\x89"),
    FUZZ_SEED("\0\0\0\x19\x43\0\0\0\1\0\0\0\0\0\0\1\0\0\0\x12\x34keys"),
    FUZZ_SEED("\0\0\0\x15\x63\0\0\0\1\0\0\0\0\0\0\1\0\0\0\0\2"),
};
const size_t fuzz_nseeds = ARRAY_LEN(fuzz_seeds);
