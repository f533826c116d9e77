#include "remote_clone.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remote_proc.h"
#include "remote_trace.h"
#include "remote_wait.h"

#define KEEP_LIMIT_MS 2000
#define UNSHARE_FIRST (1u << 1) /* CLOSE_RANGE_UNSHARE */

static bool wait_for_stop(pid_t child, struct remote_error *error)
{
	return remote_wait_for_stop(child) || remote_fail(error, REMOTE_FAILED, 0, "clone %d has ended", child);
}

static bool must(struct remote_call *clone, const char *what, long result, struct remote_error *error)
{
	return result >= 0 || remote_fail(error, REMOTE_FAILED, (int)-result, "%s in clone %d", what, clone->tid);
}

/*
 * The descriptors are shared with the parent until here, so that dropping them closes nothing: no flush of a file, no end of a
 * lock.
 */
static bool drop_descriptors(struct remote_call *clone, struct remote_error *error)
{
	return must(clone, "close_range", REMOTE_CALL(clone, SYS_close_range, 0, ~0u, UNSHARE_FIRST), error);
}

static bool end_with_parent(struct remote_call *clone, struct remote_error *error)
{
	return must(clone, "prctl", REMOTE_CALL(clone, SYS_prctl, PR_SET_PDEATHSIG, SIGKILL), error);
}

/* Where memory runs out the clone goes before the job does. It is no matter if this fails. */
static void offer_to_oom_killer(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) return;
	if (write(fd, "1000", 4) < 0) errno = 0;
	close(fd);
}

/*
 * In pause(2) for ever. On its way there the kernel wrote the number of the processor into the restartable sequence
 * area; what was there before is put back, as the memory at the hold.
 */
static bool fall_asleep(struct remote_call *clone, const struct remote_call *parent, struct remote_error *error)
{
	if (!remote_call_enter(clone, SYS_pause, (const unsigned long[6]){0}))
		return remote_fail(error, REMOTE_FAILED, 0, "clone %d was lost", clone->tid);
	remote_restore_rseq(clone, parent);
	offer_to_oom_killer(clone->tid);
	if (remote_trace(PTRACE_DETACH, clone->tid, 0, 0) >= 0) return true;
	return remote_fail(error, REMOTE_FAILED, errno, "clone %d cannot be let go", clone->tid);
}

static bool put_to_sleep(const struct remote_call *parent, pid_t pid, struct remote_error *error)
{
	struct remote_call clone;
	/* It has inherited the parent's options and, with all signals blocked, its mask. */
	return wait_for_stop(pid, error) && remote_call_begin(&clone, pid, parent->instruction, 0, error) &&
	       drop_descriptors(&clone, error) && end_with_parent(&clone, error) && fall_asleep(&clone, parent, error);
}

/* `number` is the clone's pid in the parent's pid namespace. */
static void remove_clone(struct remote_call *parent, pid_t pid, long number)
{
	int status;
	pid_t changed;
	kill(pid, SIGKILL);
	do changed = waitpid(pid, &status, __WALL);
	while (changed < 0 ? errno == EINTR : WIFSTOPPED(status));
	REMOTE_CALL(parent, SYS_wait4, (unsigned long)number, 0, __WALL | WNOHANG, 0);
}

pid_t remote_clone(struct remote_call *parent, struct remote_error *error)
{
	if (!remote_call_options(parent, PTRACE_O_TRACECLONE)) {
		remote_fail(error, REMOTE_GONE, ESRCH, "thread %d", parent->tid);
		return 0;
	}
	/* No exit signal: the parent's own waits do not see it, and no SIGCHLD comes. */
	long number = REMOTE_CALL(parent, SYS_clone, CLONE_FILES);
	pid_t pid = parent->child;
	remote_call_options(parent, 0);
	if (number < 0 || !pid) {
		remote_fail(error, REMOTE_FAILED, number < 0 ? (int)-number : 0, "clone in thread %d", parent->tid);
		return 0;
	}
	if (put_to_sleep(parent, pid, error)) return pid;
	remove_clone(parent, pid, number);
	return 0;
}

static bool forget_parent(pid_t pid, struct remote_error *error)
{
	struct remote_call clone;
	if (!remote_call_begin(&clone, pid, remote_syscall_address(pid), PTRACE_O_EXITKILL, error)) return false;
	bool is_done = must(&clone, "prctl", REMOTE_CALL(&clone, SYS_prctl, PR_SET_PDEATHSIG, 0), error);
	if (!remote_call_end(&clone)) return remote_fail(error, REMOTE_GONE, ESRCH, "clone %d", pid);
	remote_restore_rseq(&clone, &clone);
	return is_done;
}

bool remote_clone_keep(pid_t clone, struct remote_error *error)
{
	if (remote_trace(PTRACE_SEIZE, clone, 0, PTRACE_O_EXITKILL) < 0 || remote_trace(PTRACE_INTERRUPT, clone, 0, 0) < 0)
		return remote_fail(error, errno == ESRCH ? REMOTE_GONE : REMOTE_FAILED, errno, "clone %d cannot be kept", clone);
	if (remote_wait_for_stop_within(clone, KEEP_LIMIT_MS)) return forget_parent(clone, error);
	return remote_fail(error, REMOTE_FAILED, remote_has_ended(clone) ? ESRCH : ETIMEDOUT, "clone %d did not stop", clone);
}
