#include "hidden.h"

#include <stdio.h>
#include <string.h>

int64_t hidden_held_us(struct hidden *hidden, int32_t pid, const char *transaction, int64_t now_us)
{
    struct hidden_one *one = &hidden->list[0];

    for (int i = 0; i < HIDDEN_MAX; i++) {
        struct hidden_one *look = &hidden->list[i];

        if (look->pid == pid && strcmp(look->transaction, transaction) == 0) {
            look->seen_us = now_us;
            return now_us - look->since_us;
        }
        if (look->seen_us < one->seen_us)
            one = look;
    }
    *one = (struct hidden_one){.pid = pid, .since_us = now_us, .seen_us = now_us};
    snprintf(one->transaction, sizeof(one->transaction), "%s", transaction);
    return 0;
}
