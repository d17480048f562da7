#include "lag.h"

/* Makes room: the point that is missed least, for its distance from its neighbours is the smallest
 * part of its age. So a day fits, and a lag is known to some percent of itself. */
static void thin_out(struct lag_history *history, int64_t now_us)
{
    size_t best = 1;
    double least = 2;

    for (size_t i = 1; i + 1 < history->n; i++) {
        double gap = (double)(history->points[i + 1].at_us - history->points[i - 1].at_us);
        double part = gap / (double)(now_us - history->points[i - 1].at_us + 1);

        if (part < least) {
            least = part;
            best = i;
        }
    }
    history->n--;
    for (size_t i = best; i < history->n; i++)
        history->points[i] = history->points[i + 1];
}

void lag_anew(struct lag_history *history, double lsn)
{
    if (history->n > 0 && history->points[history->n - 1].lsn > lsn)
        history->n = 0;
}

void lag_note(struct lag_history *history, int64_t at_us, double lsn)
{
    if (history->n > 0 && history->points[history->n - 1].lsn >= lsn)
        return; /* since then it has written nothing */
    if (history->n == LAG_POINTS)
        thin_out(history, at_us);
    history->points[history->n].at_us = at_us;
    history->points[history->n++].lsn = lsn;
}

bool lag_covers(const struct lag_history *history, double replayed)
{
    return history->n > 0 && history->points[0].lsn <= replayed;
}

double lag_s(const struct lag_history *history, int64_t now_us, double replayed)
{
    for (size_t i = 0; i < history->n; i++) {
        if (history->points[i].lsn > replayed)
            return (double)(now_us - history->points[i].at_us) / 1e6;
    }
    return 0;
}
