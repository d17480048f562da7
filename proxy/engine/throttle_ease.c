#include "throttle_ease.h"

#define SLOW_SHARE 0.01    /* of the requests: what a p99 leaves */
#define ALLOWED_LEAST 0.05 /* a reading: what is owed to clients that have gone is forgotten */
#define PAUSE_FIRST 9.0
#define PAUSE_HUSH 49.0
#define PAUSE_MOST 199.0
#define PAUSE_LEAST 0.1 /* shorter is none */
#define BACK_OFF 1.5
#define GO_ON 0.93
#define GO_ON_WELL 0.8   /* as much in hand as can be */
#define DEBT_READINGS 10 /* so many readings' worth of slow requests are owed at most */
#define DEBT_MOST 3.0    /* requests, however few there are */
#define USELESS_READINGS 60

void throttle_ease_begin(struct throttle_ease *ease)
{
    *ease = (struct throttle_ease){.pause = PAUSE_FIRST};
}

void throttle_ease_hush(struct throttle_ease *ease)
{
    *ease = (struct throttle_ease){.pause = PAUSE_HUSH};
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

bool throttle_ease_note(struct throttle_ease *ease, uint64_t requests, uint64_t slow)
{
    double allowed = clamp((double)requests * SLOW_SHARE, ALLOWED_LEAST, 1e18);
    double most = clamp(allowed * DEBT_READINGS, DEBT_MOST, allowed * DEBT_READINGS + DEBT_MOST);

    ease->debt = clamp(ease->debt + (double)slow - allowed, -most, most);
    if (ease->debt <= 0) {
        ease->pause *= ease->debt <= -most ? GO_ON_WELL : GO_ON;
        if (ease->pause < PAUSE_LEAST)
            ease->pause = 0;
        ease->at_most = 0;
        return false;
    }
    if ((double)slow > allowed)
        ease->pause = clamp(ease->pause * BACK_OFF, 1, PAUSE_MOST);
    ease->at_most = ease->pause >= PAUSE_MOST ? ease->at_most + 1 : 0;
    if (ease->at_most < USELESS_READINGS)
        return false;
    ease->at_most = 0;
    ease->debt = 0;
    return true;
}
