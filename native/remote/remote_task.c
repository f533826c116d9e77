#include "remote_task.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "remote_proc.h"
#include "remote_trace.h"
#include "remote_wait.h"

static bool is_known(const struct remote_task *task, pid_t tid)
{
	/* New threads have the highest numbers, so they are found missing late; old ones are found early in /proc's order. */
	for (size_t i = 0; i < task->count; i++)
		if (task->threads[i].tid == tid && task->threads[i].state != REMOTE_THREAD_ENDED) return true;
	return false;
}

/* Of a thread that is not seized yet: behind the others. */
static bool note_tid(struct remote_task *task, size_t index, pid_t tid)
{
	if (index == task->capacity) {
		size_t capacity = task->capacity ? 2 * task->capacity : 64;
		struct remote_thread *threads = realloc(task->threads, capacity * sizeof *threads);
		if (!threads) return false;
		task->threads = threads;
		task->capacity = capacity;
	}
	task->threads[index] = (struct remote_thread){tid, REMOTE_THREAD_RUNNING};
	return true;
}

/* The kernel refuses threads that have ended, that are traced, and those of others with the same number. */
static bool explain_refusal(pid_t tid, int reason, struct remote_error *error)
{
	struct remote_status status;
	if (reason == ESRCH || !remote_status(tid, &status)) return true;
	if (status.state == 'Z' || status.state == 'X') return true;
	/* Only who traces a thread can interrupt it: it has taken over the leader's number, by executing another program. */
	if (remote_trace(PTRACE_INTERRUPT, tid, 0, 0) >= 0)
		return remote_fail(error, REMOTE_FAILED, 0, "process %d executes another program", tid);
	if (status.tracer) return remote_fail(error, REMOTE_REFUSED, 0, "thread %d is traced by process %d", tid, status.tracer);
	return remote_fail(error, REMOTE_FAILED, reason, "thread %d cannot be traced", tid);
}

/*
 * The kernel makes us wait while the process executes another program, and that waits for the end of its other threads: for ever
 * if some of them are seized already, since those are gone only when we wait for them, or end. So this is where the alarm may end us.
 */
static long seize(pid_t tid)
{
	sigset_t alarm, before;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm, &before);
	long result = remote_trace(PTRACE_SEIZE, tid, 0, REMOTE_STOP_OPTIONS);
	int reason = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = reason;
	return result;
}

static void set_alarm(unsigned ms)
{
	struct itimerval timer = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Seizes the thread and asks it to stop. A thread that has ended is no error. */
static bool stop_thread(struct remote_task *task, pid_t tid, struct remote_error *error)
{
	if (seize(tid) < 0) return explain_refusal(tid, errno, error);
	if (!task->first_stop_ns) task->first_stop_ns = remote_now_ns();
	task->threads[task->count++].tid = tid;
	remote_trace(PTRACE_INTERRUPT, tid, 0, 0);
	return true;
}

/* Their tids come behind the threads that are seized. Nothing is open or locked any more when they are seized: that may end us. */
static bool list_new_threads(struct remote_task *task, size_t *listed, struct remote_error *error)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", task->pid);
	DIR *directory = opendir(path);
	if (!directory) return remote_fail(error, errno == ENOENT ? REMOTE_GONE : REMOTE_FAILED, errno, "process %d", task->pid);
	bool ok = true;
	*listed = task->count;
	for (struct dirent *entry; ok && (entry = readdir(directory));) {
		pid_t tid = atoi(entry->d_name);
		if (tid <= 0 || is_known(task, tid)) continue;
		ok = note_tid(task, *listed, tid);
		*listed += ok;
	}
	closedir(directory);
	return ok || remote_fail(error, REMOTE_FAILED, ENOMEM, "the threads of process %d", task->pid);
}

/* *found is the number of threads that were not known yet. */
static bool stop_new_threads(struct remote_task *task, size_t *found, struct remote_error *error)
{
	size_t before = task->count, listed = before;
	bool ok = list_new_threads(task, &listed, error);
	for (size_t i = before; ok && i < listed; i++) ok = stop_thread(task, task->threads[i].tid, error);
	*found = task->count - before;
	return ok;
}

static void look_at(struct remote_thread *thread, bool look_closely)
{
	int status;
	pid_t changed = waitpid(thread->tid, &status, __WALL | WNOHANG);
	if (changed == 0) {
		if (look_closely && remote_has_ended(thread->tid)) thread->state = REMOTE_THREAD_ENDED;
	} else if (changed < 0 || !WIFSTOPPED(status)) {
		thread->state = REMOTE_THREAD_ENDED;
	} else if (status >> 16 == PTRACE_EVENT_STOP) {
		thread->state = REMOTE_THREAD_STOPPED;
	} else {
		/* It was about to receive a signal. It gets it; the stop that was asked for comes before its next instruction. */
		remote_trace(PTRACE_CONT, thread->tid, 0, (unsigned long)WSTOPSIG(status));
	}
}

static size_t look_at_all(struct remote_task *task, bool look_closely)
{
	size_t running = 0;
	for (size_t i = 0; i < task->count; i++) {
		struct remote_thread *thread = &task->threads[i];
		if (thread->state == REMOTE_THREAD_RUNNING) look_at(thread, look_closely);
		running += thread->state == REMOTE_THREAD_RUNNING;
	}
	return running;
}

static bool wait_for_all(struct remote_task *task, uint64_t deadline_ns, struct remote_error *error)
{
	uint64_t start = remote_now_ns();
	for (size_t running = look_at_all(task, false); running > 0;) {
		if (remote_now_ns() > deadline_ns)
			return remote_fail(error, REMOTE_FAILED, ETIMEDOUT, "%zu of %zu threads of process %d did not stop", running, task->count,
					   task->pid);
		running = look_at_all(task, remote_pause(start));
	}
	return true;
}

static bool stop_all(struct remote_task *task, uint64_t deadline_ns, struct remote_error *error)
{
	size_t found = 0;
	do {
		if (!stop_new_threads(task, &found, error) || !wait_for_all(task, deadline_ns, error)) return false;
	} while (found > 0);
	return true;
}

pid_t remote_stopped_thread(const struct remote_task *task)
{
	pid_t tid = 0;
	for (size_t i = 0; i < task->count; i++) {
		if (task->threads[i].state != REMOTE_THREAD_STOPPED) continue;
		if (task->threads[i].tid == task->pid) return task->pid;
		if (!tid) tid = task->threads[i].tid;
	}
	return tid;
}

bool remote_stop(struct remote_task *task, pid_t pid, unsigned limit_ms, struct remote_error *error)
{
	*task = (struct remote_task){.pid = pid};
	uint64_t deadline = remote_now_ns() + limit_ms * UINT64_C(1000000);
	set_alarm(limit_ms);
	bool is_stopped = stop_all(task, deadline, error);
	set_alarm(0);
	if (is_stopped) {
		if (remote_stopped_thread(task)) return true;
		remote_fail(error, REMOTE_GONE, ESRCH, "process %d", pid);
	}
	remote_release(task);
	return false;
}

void remote_release(struct remote_task *task)
{
	for (size_t i = 0; i < task->count; i++)
		if (task->threads[i].state == REMOTE_THREAD_STOPPED) remote_trace(PTRACE_DETACH, task->threads[i].tid, 0, 0);
	remote_forget(task);
}

void remote_forget(struct remote_task *task)
{
	free(task->threads);
	*task = (struct remote_task){0};
}
