/*
 * Named places at which a test lets something fail (tests/faults). They exist in build/faults/segue
 * alone (make faulty); in any other program FAULT() is nothing, and fault.c is not linked.
 *
 *   FAULT(batch_sent);                   "batch_sent"
 *   FAULT_OF(gate_closed, "expanding");  "gate_closed/expanding"
 *
 * Environment of that program:
 *   SEGUE_FAULT         POINT[/OF][#N]:die, or :tell. At the N-th time (1) that the point is
 *                       reached: SIGKILL to itself, or word to the socket, and a wait for any
 *                       answer. Several with commas; each strikes once.
 *   SEGUE_FAULT_SOCKET  Unix socket of the test that is told: "POINT/OF\n"
 *   SEGUE_FAULT_TRACE   a file to which every point that is reached is appended
 *
 * The table of points is fault_points.h. From any thread.
 */
#ifndef SEGUE_BASE_FAULT_H
#define SEGUE_BASE_FAULT_H

#ifdef SEGUE_FAULTS

enum fault_point {
#define FAULT_POINT(name, of, where, what) FAULT_##name,
#include "segue/base/fault_points.h"
#undef FAULT_POINT
    FAULT_COUNT
};

void fault_reach(enum fault_point point, const char *of); /* of: may be NULL */

#define FAULT(name) fault_reach(FAULT_##name, NULL)
#define FAULT_OF(name, of) fault_reach(FAULT_##name, of)

#else

#define FAULT(name) ((void)0)
#define FAULT_OF(name, of) ((void)sizeof(of)) /* not evaluated */

#endif
#endif
