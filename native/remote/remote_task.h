/*
 * All threads of a process stopped by ptrace, and let go again. The stops belong to the calling thread; those that
 * are not released end with it. Nothing of it can be seen by the process, except that a system call which signal(7)
 * calls not restartable may return EINTR.
 */
#ifndef HOLDFAST_REMOTE_TASK_H
#define HOLDFAST_REMOTE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "remote_error.h"

/* PTRACE_SETOPTIONS of the stopped threads. */
#define REMOTE_STOP_OPTIONS 1 /* PTRACE_O_TRACESYSGOOD */

enum remote_thread_state {
	REMOTE_THREAD_RUNNING, /* asked to stop */
	REMOTE_THREAD_STOPPED,
	REMOTE_THREAD_ENDED,
};

struct remote_thread {
	pid_t tid;
	enum remote_thread_state state;
};

struct remote_task {
	pid_t pid;
	struct remote_thread *threads;
	size_t count, capacity;
	uint64_t first_stop_ns; /* CLOCK_MONOTONIC */
};

/*
 * A process that somebody else traces is refused. One that cannot be stopped within limit_ms (a thread in an
 * uninterruptible wait, such as vfork's) is a failure; it then runs on. If the kernel itself makes the caller wait for longer, SIGALRM
 * ends the caller's process: it is one of remote_tracer.h, and *task belongs to whoever waits for that (remote_forget).
 */
bool remote_stop(struct remote_task *task, pid_t pid, unsigned limit_ms, struct remote_error *error);

/* A stopped thread, the leader if possible; 0 when none is left. */
pid_t remote_stopped_thread(const struct remote_task *task);

/* Threads that did not stop in time are let go only by the end of the calling thread. */
void remote_release(struct remote_task *task);

/* Of a task whose tracer has ended, or that was released. */
void remote_forget(struct remote_task *task);

#endif
