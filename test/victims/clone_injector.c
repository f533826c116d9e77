/*
 * clone_injector PID...: a clone of each of the stopped processes, as the preload makes them in CRIU's hands. Says their
 * pids, a line each. Linked with native/remote.
 */
#include <stdio.h>
#include <stdlib.h>

#include "remote_call.h"
#include "remote_clone.h"
#include "remote_proc.h"
#include "remote_task.h"

static bool make_clone(pid_t pid)
{
	struct remote_error error;
	struct remote_task task;
	struct remote_call call;
	uint64_t instruction = remote_syscall_address(pid);
	if (!instruction || !remote_stop(&task, pid, 1000, &error)) return false;
	if (!remote_call_begin(&call, remote_stopped_thread(&task), instruction, REMOTE_STOP_OPTIONS, &error)) return false;
	pid_t clone = remote_clone(&call, &error);
	if (!remote_call_end(&call) || !clone) return false;
	remote_release(&task);
	printf("%d\n", clone);
	return true;
}

int main(int count, char **arguments)
{
	for (int i = 1; i < count; i++)
		if (!make_clone(atoi(arguments[i]))) return 1;
	return 0;
}
