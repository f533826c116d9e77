/* A wait made in another process, for a child that its own waits do not see. */
#ifndef HOLDFAST_REMOTE_REAP_H
#define HOLDFAST_REMOTE_REAP_H

#include <sys/types.h>

#include "remote_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * `number` is the ended child's pid in the parent's pid namespace. A child that is not there is no failure; one that has not
 * ended is (EAGAIN).
 */
bool remote_reap(pid_t parent, pid_t number, struct remote_error *error);

#ifdef __cplusplus
}
#endif

#endif
