#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"
#include "complain.h"
#include "process.h"

/* How long a cell whose root has ended waits for criu, and how often it looks. */
#define GUEST_WAIT_MS 5000
#define GUEST_POLL_MS 5

static void make_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0) die_errno("cannot make a mount namespace");
	/* What the node mounts later (a home directory) comes in, and nothing of the cell goes out. */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) die_errno("cannot make the mounts of the cell private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) die_errno("cannot mount /proc of the cell");
}

static void set_last_pid(pid_t pid)
{
	const char *path = "/proc/sys/kernel/ns_last_pid";
	char text[16];
	int length = snprintf(text, sizeof text, "%d", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) die_errno("cannot open %s", path);
	if (write(fd, text, length) != length) die_errno("cannot write %s to %s", text, path);
	close(fd);
}

/* Returns the root's pid once its exec has succeeded. */
static pid_t start_root(const struct cell_options *options)
{
	int exec_pipe[2];
	if (pipe2(exec_pipe, O_CLOEXEC) < 0) die_errno("cannot make a pipe");
	set_last_pid(options->first_pid - 1);
	pid_t pid = fork();
	if (pid < 0) die_errno("cannot start the root");
	if (pid == 0) {
		failure_fd = exec_pipe[1];
		run_root(options);
	}
	if (pid != options->first_pid) die("the root got pid %d, not --first-pid %d", (int)pid, (int)options->first_pid);
	close(exec_pipe[1]);
	/* The root's copy of the pipe closes with its exec; before that, only a failed step writes to it. */
	char byte;
	ssize_t length;
	do length = read(exec_pipe[0], &byte, 1);
	while (length < 0 && errno == EINTR);
	if (length != 0) _exit(1);
	close(exec_pipe[0]);
	return pid;
}

/* Reaps everything until the root has ended; returns its wait status. */
static int reap_until_end(pid_t root)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		int status;
		pid_t pid;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == root) return status;
		sigwaitinfo(&child, NULL);
	}
}

/* A process that came in from outside, such as criu, has no parent in here, nor have its children an ancestor. */
static bool is_guest(pid_t pid)
{
	pid_t parent;
	while (pid > 1 && (parent = process_parent(pid)) > 0) pid = parent;
	return pid > 1;
}

static bool end_member(pid_t pid, void *context)
{
	bool *guests = context;
	/* A guest that has ended is only waited for by its parent outside. */
	if (pid == 1 || process_state(pid) == 'Z') return true;
	if (is_guest(pid)) *guests = true;
	else kill(pid, SIGKILL);
	return true;
}

/*
 * Ends what is left of the tree, and lets criu finish: a dump that kills the tree must not be killed itself
 * when the root, and with it the cell, ends. What is still here afterwards dies with pid 1.
 */
static void end_members(void)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	const struct timespec pause = {.tv_nsec = GUEST_POLL_MS * 1000000L};
	for (int waited_ms = 0; waited_ms < GUEST_WAIT_MS; waited_ms += GUEST_POLL_MS) {
		bool guests = false;
		each_process(end_member, &guests);
		while (waitpid(-1, NULL, WNOHANG) > 0) continue;
		if (!guests) return;
		sigtimedwait(&child, NULL, &pause);
	}
}

void run_init(const struct cell_options *options, int channel)
{
	/* A cell must not outlive the one who records its end. The first message proves that it still lives. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) die_errno("cannot tie pid 1 to the supervisor");
	struct cell_message message;
	if (!receive_message(channel, &message)) _exit(1);

	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	/* Blocked before there is a child, so that no end is missed between waitpid and sigwaitinfo. */
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0) die_errno("cannot block SIGCHLD");
	make_mounts();
	pid_t root = options->root_pid;
	if (options->adopt) set_last_pid(options->first_pid);
	else root = start_root(options);

	message.kind = CELL_READY;
	if (!send_message(channel, &message) || !receive_message(channel, &message)) _exit(1);
	drop_stdio();
	if (chdir("/") < 0) _exit(1);

	message.kind = CELL_ROOT_ENDED;
	message.status = reap_until_end(root);
	end_members();
	send_message(channel, &message);
	_exit(0);
}
