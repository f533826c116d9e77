/*
 * Reads pids of stopped processes, a line each, and answers with the pid of a clone, as the preload makes them in CRIU's
 * hands; ends, and lets go, when one cannot be made. It is one program for many, since to start one costs more than a clone. Linked with native/remote.
 */
#include <stdio.h>
#include <stdlib.h>

#include "remote_call.h"
#include "remote_clone.h"
#include "remote_proc.h"
#include "remote_task.h"

static pid_t make_clone(pid_t pid)
{
	struct remote_error error;
	struct remote_task task;
	struct remote_call call;
	uint64_t instruction = remote_syscall_address(pid);
	if (!instruction || !remote_stop(&task, pid, 1000, &error)) return 0;
	if (!remote_call_begin(&call, remote_stopped_thread(&task), instruction, REMOTE_STOP_OPTIONS, &error)) return 0;
	pid_t clone = remote_clone(&call, &error);
	if (!remote_call_end(&call) || !clone) return 0;
	remote_release(&task);
	return clone;
}

int main(void)
{
	char line[32];
	while (fgets(line, sizeof line, stdin)) {
		pid_t clone = make_clone(atoi(line));
		if (!clone) return 1;
		printf("%d\n", clone);
		fflush(stdout);
	}
	return 0;
}
