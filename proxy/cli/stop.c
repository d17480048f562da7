#include "stop.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "segue/base/rc.h"

static atomic_int stopped;

static void on_signal(int number)
{
    int none = 0;

    atomic_compare_exchange_strong(&stopped, &none, number);
}

void cli_stop_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction note = {.sa_handler = on_signal};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sigaction before;

        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &note, NULL);
    }
}

int cli_stop_signal(void)
{
    return atomic_load(&stopped);
}

int cli_stop_code(void)
{
    return 128 + cli_stop_signal();
}
