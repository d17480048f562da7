/*
 * The points of fault.h, a row each: its name; of what (a word for each place where it can be
 * reached, "" when there is one); the room it is in; what has happened there and what has not.
 * No guard: included where FAULT_POINT is defined. tests/faults reads it as text and strikes at
 * every point of every word; lint compares it with the rooms.
 */
/* clang-format off */

/* the engine and its connection */
FAULT_POINT(lock_before, "", "engine/connect.c", "connected; the advisory lock is about to be asked for")
FAULT_POINT(lock_taken, "", "engine/connect.c", "the advisory lock is ours; nothing has been read")
FAULT_POINT(loaded, "", "engine/connect.c", "everything has been read back; no turn yet")
FAULT_POINT(settle_before, "cutting_over reverting", "engine/store.c", "a turn-over may be in doubt; its row has not been asked")
FAULT_POINT(stop_before, "", "engine/engine.c", "told to end: no turn any more, usage not yet written")
FAULT_POINT(stop_saved, "", "engine/engine.c", "usage written, the advisory lock still ours")

/* jobs of the console */
FAULT_POINT(job_before, "start cut_over complete roll_back abort verify pause resume throttle baseline", "engine/jobs.c", "a job has come; nothing was done")
FAULT_POINT(job_done, "start cut_over complete roll_back abort pause resume throttle baseline", "engine/jobs.c", "done; whoever asked has no answer")

/* the store */
FAULT_POINT(store_before, "", "engine/store.c", "before the transaction of a version of schema segue")
FAULT_POINT(store_made, "", "engine/store.c", "a version of schema segue is committed")
FAULT_POINT(planned_before, "", "engine/store.c", "the migration's row is inserted, its COMMIT not sent")
FAULT_POINT(planned_after, "", "engine/store.c", "phase planned is durable; the engine does not know it yet")
FAULT_POINT(flags_before, "", "engine/store.c", "before pause, failure and repairs are written")
FAULT_POINT(flags_after, "", "engine/store.c", "pause, failure and repairs are written")
FAULT_POINT(attempt_before, "", "engine/attempts.c", "an attempt at the gate has ended and is not recorded")
FAULT_POINT(throttle_before, "", "engine/throttle_store.c", "before the limit of a signal is written")
FAULT_POINT(throttle_after, "", "engine/throttle_store.c", "the limit of a signal is written")

/* phases, by the one that is entered; turn-overs are persisted at the gate */
FAULT_POINT(phase_before, "expanding backfilling verifying ready cutting_over contracting done aborting aborted reverting", "engine/phase.c", "before the move is written")
FAULT_POINT(phase_persisted, "expanding backfilling verifying ready cutting_over contracting done aborting aborted reverting", "engine/phase.c", "the move is durable; memory and workers have the old phase")
FAULT_POINT(phase_switched, "expanding backfilling verifying ready cutting_over soaking contracting done aborting aborted reverting", "engine/phase.c", "the new rules are published")

/* steps, by the phase they belong to */
FAULT_POINT(ddl_before, "expanding contracting aborting", "engine/steps.c", "before a step's own transaction")
FAULT_POINT(ddl_after, "expanding contracting aborting", "engine/steps.c", "the step and its mark are committed; memory does not know it")
FAULT_POINT(long_before, "expanding backfilling ready soaking contracting aborting", "engine/steps.c", "before a long statement is sent")
FAULT_POINT(long_sent, "expanding backfilling ready soaking contracting aborting", "engine/steps.c", "a long statement runs on the second connection")
FAULT_POINT(long_done, "expanding backfilling ready soaking contracting aborting", "engine/steps.c", "a long statement is answered; nothing is marked")
FAULT_POINT(mark_before, "backfilling ready contracting aborting", "engine/steps.c", "the catalog has what the step makes; its mark is not written")
FAULT_POINT(mark_after, "backfilling ready contracting aborting", "engine/steps.c", "the mark is written")
FAULT_POINT(claim_before, "", "engine/steps_sql.c", "abort: a statement of the file is about to be barred from ever running")
FAULT_POINT(claim_commit, "", "engine/steps_sql.c", "abort: its mark is taken or found; COMMIT not sent")
FAULT_POINT(schedule_before, "", "engine/schedule.c", "before the time of a cut-over is written")
FAULT_POINT(schedule_set, "", "engine/schedule.c", "the time of a cut-over is written; memory does not know it")
FAULT_POINT(schedule_clear, "", "engine/schedule.c", "before the time of a cut-over is taken back")
FAULT_POINT(schedule_postpone, "", "engine/schedule.c", "a file postpones; that it decides from now on is not written")
FAULT_POINT(leftover_before, "", "engine/steps.c", "an invalid index of an earlier try is about to be dropped")

/* the gate, by the phase that needs it */
FAULT_POINT(gate_look, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "what is to be locked, and who is in the way, is about to be asked")
FAULT_POINT(gate_before, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "nobody is in the way; the gate is open")
FAULT_POINT(gate_closed, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "the gate is closed, transactions are under way")
FAULT_POINT(gate_drained, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "drained; no lock yet")
FAULT_POINT(gate_locked, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "the tables are locked, nothing is changed")
FAULT_POINT(gate_ran, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "all statements ran; COMMIT not sent")
FAULT_POINT(gate_committed, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "COMMIT is answered; memory and workers do not know it")
FAULT_POINT(gate_opening, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "over; the gate is about to be opened")
FAULT_POINT(gate_opened, "expanding backfilling cutting_over reverting contracting aborting", "engine/gated.c", "the gate is open; the attempt is not recorded")
FAULT_POINT(give_up, "cutting_over reverting", "engine/cutover.c", "attempts are used up; the phase has not gone back")

/* the backfill */
FAULT_POINT(fill_begin, "", "engine/fill_mark.c", "before the watermarks are made")
FAULT_POINT(fill_begun, "", "engine/fill_mark.c", "the watermarks are made; no batch yet")
FAULT_POINT(batch_before, "", "engine/fill_pool.c", "before a batch")
FAULT_POINT(batch_sent, "", "engine/fill_pool.c", "a batch is sent, its COMMIT with it; nothing is answered")
FAULT_POINT(batch_committed, "", "engine/backfill.c", "the batch is committed; memory does not know it")
FAULT_POINT(batch_skips, "", "engine/backfill.c", "rows are locked by somebody: the range is about to run around them")
FAULT_POINT(vacuum_before, "", "engine/fill_vacuum.c", "before an interleaved VACUUM")
FAULT_POINT(vacuum_sent, "", "engine/fill_vacuum.c", "VACUUM runs")
FAULT_POINT(vacuum_done, "", "engine/fill_vacuum.c", "VACUUM is answered")
FAULT_POINT(fill_mark, "", "engine/backfill.c", "all rows were visited; no mark yet")
FAULT_POINT(fill_marked, "", "engine/backfill.c", "the pass is marked as done")
FAULT_POINT(fill_again, "", "engine/fill_mark.c", "a table was rewritten: its watermark is not set back yet")
FAULT_POINT(fill_split, "", "engine/fill_mark.c", "before a range is parted for a further worker")
FAULT_POINT(fill_parted, "", "engine/fill_mark.c", "parted; memory does not know it")
FAULT_POINT(repair_before, "", "engine/fill_mark.c", "verify found rows: the repair pass is about to begin")

/* verify */
FAULT_POINT(verify_begin, "verifying soaking", "engine/verify.c", "before the first range")
FAULT_POINT(verify_range, "verifying soaking", "engine/verify.c", "before a range is read")
FAULT_POINT(verify_read, "verifying soaking", "engine/verify.c", "a range was read; its counts are not taken")
FAULT_POINT(verify_store, "verifying soaking", "engine/verify.c", "all was read; the result is not written")
FAULT_POINT(verify_stored, "verifying soaking", "engine/verify.c", "the result is written; memory does not know it")

/* who uses which names */
FAULT_POINT(usage_before, "", "engine/usage_store.c", "before what was seen is written")
FAULT_POINT(usage_commit, "", "engine/usage_store.c", "written; COMMIT not sent")
FAULT_POINT(usage_committed, "", "engine/usage_store.c", "committed; memory still has it as unsaved")

/* takeover: of the old process, of the new one */
FAULT_POINT(takeover_asked, "", "takeover/takeover.c", "old: asked; no socket was handed out")
FAULT_POINT(takeover_offered, "", "takeover/takeover.c", "old: the sockets are handed out")
FAULT_POINT(takeover_go, "", "takeover/takeover.c", "old: READY heard, its engine held, GO not said")
FAULT_POINT(takeover_release, "", "takeover/takeover.c", "old: ACCEPTING heard; its sockets still listen")
FAULT_POINT(takeover_released, "", "takeover/takeover.c", "old: its sockets are closed; its engine is not told to stop")
FAULT_POINT(takeover_taken, "", "takeover/take.c", "new: has the sockets, READY not said")
FAULT_POINT(takeover_accept, "", "takeover/take.c", "new: GO heard; it does not accept yet")
FAULT_POINT(takeover_accepting, "", "takeover/take.c", "new: accepts; has not said so")
FAULT_POINT(takeover_over, "", "takeover/take.c", "new: the old one has let go; the engine is not started")

/* clang-format on */
