/*
 * A userfaultfd of another process: made in it, taken out of it, and closed there. The process is stopped meanwhile
 * and notices nothing.
 */
#ifndef HOLDFAST_REMOTE_USERFAULTFD_H
#define HOLDFAST_REMOTE_USERFAULTFD_H

#include <sys/types.h>

#include "remote_error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Our descriptor (close-on-exec, non-blocking; faults of the kernel itself are seen too), or -1. A process whose user
 * may not make one is given the right by a descriptor of /dev/userfaultfd. REMOTE_REFUSED: a 32-bit process, one with a
 * seccomp filter, one that somebody else traces, or a kernel without userfaultfd.
 */
int remote_userfaultfd(pid_t pid, struct remote_error *error);

#ifdef __cplusplus
}
#endif

#endif
