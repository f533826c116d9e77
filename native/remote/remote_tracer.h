/*
 * A process of its own, for the time of one function, that shares memory and descriptors with the caller. What it
 * traces is no concern of the caller's wait calls and SIGCHLD handler, and is let go by the kernel when it ends.
 */
#ifndef HOLDFAST_REMOTE_TRACER_H
#define HOLDFAST_REMOTE_TRACER_H

/*
 * The calling thread waits. 0; the errno with which the process could not be started; ETIMEDOUT when SIGALRM has ended it before the
 * function did, ECANCELED for another signal. All are blocked that can be, unless the function unblocks SIGALRM, where nothing is lost with it.
 */
int remote_run_as_tracer(void (*work)(void *argument), void *argument);

#endif
