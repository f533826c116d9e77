#include "preload_snapshot.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../remote/remote_clone.h"
#include "../remote/remote_proc.h"

struct tracee {
	pid_t tid;
	unsigned long options;
	bool has_line; /* a process that the list has already */
};

static const char *file;
static struct tracee *tracees;
static size_t count, capacity;

void prepare_snapshot(void)
{
	file = getenv("HOLDFAST_SNAPSHOT");
}

static struct tracee *find(pid_t tid)
{
	for (size_t i = 0; i < count; i++)
		if (tracees[i].tid == tid) return &tracees[i];
	return NULL;
}

static void add(pid_t tid, unsigned long options)
{
	if (count == capacity) {
		size_t larger = capacity ? 2 * capacity : 64;
		struct tracee *grown = realloc(tracees, larger * sizeof *grown);
		/* Without it there is no snapshot of the process; the caller finds no line for it. */
		if (!grown) return;
		tracees = grown;
		capacity = larger;
	}
	tracees[count++] = (struct tracee){tid, options, false};
}

void note_trace(long request, pid_t tid, unsigned long data)
{
	if (!file) return;
	struct tracee *known = find(tid);
	if (request == PTRACE_SEIZE && !known) add(tid, data);
	else if (request == PTRACE_SETOPTIONS && known) known->options = data;
	else if (request == PTRACE_DETACH && known) *known = tracees[--count];
}

/* Processes that share their memory (vfork's, CLONE_VM's) get one clone together. */
static pid_t sharer_of(pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (tracees[i].has_line && syscall(SYS_kcmp, pid, tracees[i].tid, KCMP_VM, 0, 0) == 0) return tracees[i].tid;
	return 0;
}

static pid_t clone_one(const struct tracee *leader, struct remote_error *error)
{
	struct remote_call call;
	uint64_t instruction = remote_syscall_address(leader->tid);
	if (!instruction) {
		remote_fail(error, REMOTE_FAILED, 0, "process %d maps no system call instruction", leader->tid);
		return 0;
	}
	if (!remote_call_begin(&call, leader->tid, instruction, leader->options, error)) return 0;
	pid_t clone = remote_clone(&call, error);
	remote_call_end(&call);
	return clone;
}

static void write_line(FILE *list, struct tracee *tracee)
{
	struct remote_status status;
	struct remote_error error = {0};
	if (!remote_status(tracee->tid, &status) || status.process != tracee->tid) return;
	pid_t sharer = sharer_of(tracee->tid), clone = 0;
	tracee->has_line = true;
	if (sharer) remote_fail(&error, REMOTE_REFUSED, 0, "shares the memory of process %d", sharer);
	else clone = clone_one(tracee, &error);
	if (clone) fprintf(list, "%d %d\n", tracee->tid, clone);
	else fprintf(list, "%d 0 %s%s%s\n", tracee->tid, error.text, error.number ? ": " : "", error.number ? strerror(error.number) : "");
}

static void write_list(void)
{
	char made[4096];
	if (snprintf(made, sizeof made, "%s.new", file) >= (int)sizeof made) return;
	FILE *list = fopen(made, "we");
	if (!list) return;
	for (size_t i = 0; i < count; i++) write_line(list, &tracees[i]);
	bool is_written = !ferror(list);
	if (fclose(list) == 0 && is_written && rename(made, file) == 0) return;
	unlink(made);
}

/* The stops of the tracees are no concern of criu's handler of SIGCHLD. */
void note_script(const char *name)
{
	if (!file || strcmp(name, "post-dump") != 0) return;
	int reason = errno;
	sigset_t child, before, pending;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	sigpending(&pending);
	write_list();
	if (!sigismember(&pending, SIGCHLD)) sigtimedwait(&child, NULL, &(struct timespec){0});
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = reason;
}
