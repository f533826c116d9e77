/* What /proc says about a process or a thread. */
#ifndef HOLDFAST_REMOTE_PROC_H
#define HOLDFAST_REMOTE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct remote_status {
	char state; /* as in proc(5): R, S, D, T, t, Z, X */
	pid_t process, tracer;
	int seccomp; /* 0: no filter */
	uint64_t pending, shared_pending;
};

/* False, with errno, when the thread does not exist or cannot be looked at. */
bool remote_status(pid_t tid, struct remote_status *status);

/*
 * The address of a system call instruction that the process may execute: in the kernel's [vdso], or else in a file
 * that is mapped executable. 0 when there is none, or the process cannot be read.
 */
uint64_t remote_syscall_address(pid_t pid);

#endif
