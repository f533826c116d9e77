/*
 * A copy of a process that never runs: its memory is that of the process at this moment, copy-on-write. It has no open
 * files, all signals blocked, and sleeps in pause(2). It is a child of the process, but without an exit signal: only a wait
 * with __WALL or __WCLONE sees it. It ends with its parent.
 */
#ifndef HOLDFAST_REMOTE_CLONE_H
#define HOLDFAST_REMOTE_CLONE_H

#include "remote_call.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Between begin and end of the parent's calls. The clone's pid in the caller's pid namespace; the caller does not trace
 * it any more. 0: there is none, and nothing of it is left.
 */
pid_t remote_clone(struct remote_call *parent, struct remote_error *error);

/*
 * Makes the clone the calling thread's tracee, stopped for good: no signal but SIGKILL makes it run. From now on it ends with
 * the caller's process instead of its parent, whose end is no reason to lose the memory. It fails when the clone does not stop within two
 * seconds.
 */
bool remote_clone_keep(pid_t clone, struct remote_error *error);

#ifdef __cplusplus
}
#endif

#endif
