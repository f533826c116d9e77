#include "remote_visit.h"

#include <errno.h>

#include "remote_proc.h"
#include "remote_task.h"
#include "remote_tracer.h"

#define STOP_LIMIT_MS 100

struct visit {
	pid_t pid;
	uint64_t instruction;
	remote_work work;
	void *argument;
	struct remote_error *error;
	struct remote_task task;
	bool is_done;
};

/* All threads are stopped: a fork in one that runs would hand on what the work makes for a moment. */
static void stop_and_work(void *argument)
{
	struct visit *visit = argument;
	struct remote_task *task = &visit->task;
	struct remote_call call;
	if (!remote_stop(task, visit->pid, STOP_LIMIT_MS, visit->error)) return;
	if (remote_call_begin(&call, remote_stopped_thread(task), visit->instruction, REMOTE_STOP_OPTIONS, visit->error)) {
		visit->is_done = visit->work(&call, visit->argument, visit->error);
		if (!remote_call_end(&call)) visit->is_done = remote_fail(visit->error, REMOTE_GONE, ESRCH, "process %d", visit->pid);
	}
	remote_release(task);
}

/* What can be found out before the process is stopped is not done while it is. */
static bool prepare(struct visit *visit)
{
	struct remote_status status;
	if (!remote_status(visit->pid, &status) || status.state == 'X')
		return remote_fail(visit->error, REMOTE_GONE, ESRCH, "process %d", visit->pid);
	if (status.process != visit->pid)
		return remote_fail(visit->error, REMOTE_FAILED, EINVAL, "%d is a thread of process %d", visit->pid, status.process);
	if (status.tracer)
		return remote_fail(visit->error, REMOTE_REFUSED, 0, "process %d is traced by process %d", visit->pid, status.tracer);
	visit->instruction = remote_syscall_address(visit->pid);
	if (visit->instruction) return true;
	if (status.state == 'Z') return remote_fail(visit->error, REMOTE_GONE, ESRCH, "process %d", visit->pid);
	return remote_fail(visit->error, REMOTE_FAILED, 0, "process %d maps no system call instruction", visit->pid);
}

bool remote_visit(pid_t pid, remote_work work, void *argument, struct remote_error *error)
{
	struct visit visit = {.pid = pid, .work = work, .argument = argument, .error = error};
	if (!prepare(&visit)) return false;
	int reason = remote_run_as_tracer(stop_and_work, &visit);
	remote_forget(&visit.task);
	if (reason == ETIMEDOUT) return remote_fail(error, REMOTE_FAILED, reason, "process %d did not stop", pid);
	if (reason) return remote_fail(error, REMOTE_FAILED, reason, "a process that traces process %d", pid);
	return visit.is_done;
}
