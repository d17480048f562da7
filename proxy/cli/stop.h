/*
 * Signals that end a command while it waits: noted, so that it can say what goes on without it
 * (wait.c) or tidy up (bench.c). Commands that do not wait die of them as everybody does.
 */
#ifndef SEGUE_CLI_STOP_H
#define SEGUE_CLI_STOP_H

/* From here on SIGINT, SIGTERM and SIGHUP are noted. What the caller has us ignore (nohup, a
 * shell's background) stays ignored. */
void cli_stop_catch(void);

/* The first signal that came; 0: none has. */
int cli_stop_signal(void);

/* The exit code that shells give to whom that signal ends. */
int cli_stop_code(void);

#endif
