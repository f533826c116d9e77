/* System calls in a running process: it is stopped as a whole, makes them, and goes on. */
#ifndef HOLDFAST_REMOTE_VISIT_H
#define HOLDFAST_REMOTE_VISIT_H

#include "remote_call.h"

/* False: the work has failed and says why in its error. */
typedef bool (*remote_work)(struct remote_call *call, void *argument, struct remote_error *error);

/*
 * The work runs in a process that shares memory and descriptors with the caller (remote_tracer.h). Its failure is that
 * of the visit. Refused: what remote_stop and remote_call_begin refuse.
 */
bool remote_visit(pid_t pid, remote_work work, void *argument, struct remote_error *error);

#endif
