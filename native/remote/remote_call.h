/*
 * System calls executed by a stopped thread of another process. Between begin and end the thread has all signals
 * blocked; afterwards it is stopped as before, and goes on as if it had only been stopped: registers, signal mask and
 * an interrupted system call included. No text is changed: an existing system call instruction is used.
 */
#ifndef HOLDFAST_REMOTE_CALL_H
#define HOLDFAST_REMOTE_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "remote_error.h"

#define REMOTE_RSEQ_SIZE 32

struct remote_call {
	pid_t tid;
	uint64_t instruction;
	/* PTRACE_SETOPTIONS of the thread outside of calls: they cannot be asked for. */
	unsigned long options;
	struct user_regs_struct registers;
	uint64_t signal_mask;
	uint64_t rseq; /* address of the thread's restartable sequence area, or 0 */
	unsigned char rseq_bytes[REMOTE_RSEQ_SIZE];
	pid_t child; /* what the last call made, if the thread's options ask for such children: the caller's tracee now */
	bool lost;   /* the thread ended, or is not ours any more */
};

/*
 * The thread is in a ptrace stop of the caller's. Refused: a 32-bit process, a seccomp filter, system calls that are
 * dispatched to the process itself.
 */
bool remote_call_begin(struct remote_call *call, pid_t tid, uint64_t instruction, unsigned long options,
		       struct remote_error *error);

/* The kernel's result: -errno for failures; -ESRCH when the thread was lost. */
long remote_call(struct remote_call *call, long number, const unsigned long arguments[6]);

/* More of PTRACE_SETOPTIONS for the calls to come, until the end. */
bool remote_call_options(struct remote_call *call, unsigned long options);

/* Enters the system call and leaves the thread stopped there, before the call is made. */
bool remote_call_enter(struct remote_call *call, long number, const unsigned long arguments[6]);

/* The restartable sequence area of a copy of the thread as it was at the begin of the original's calls. */
void remote_restore_rseq(struct remote_call *copy, const struct remote_call *original);

/* False when the thread was lost. */
bool remote_call_end(struct remote_call *call);

#define REMOTE_CALL(call, number, ...) remote_call(call, number, (const unsigned long[6]){__VA_ARGS__})

#endif
