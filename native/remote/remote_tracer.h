/*
 * A process of its own, for the time of one function, that shares memory and descriptors with the caller. What it
 * traces is no concern of the caller's wait calls and SIGCHLD handler, and is let go by the kernel when it ends.
 */
#ifndef HOLDFAST_REMOTE_TRACER_H
#define HOLDFAST_REMOTE_TRACER_H

/* The calling thread waits. 0, or the errno with which the process could not be started. */
int remote_run_as_tracer(void (*work)(void *argument), void *argument);

#endif
