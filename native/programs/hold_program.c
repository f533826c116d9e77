#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "complain.h"
#include "hold.h"

/* Opened before the mount namespace changes: it belongs to the directory of the hold. */
static int open_output(void)
{
	int fd = open("criu.out", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) die_errno("cannot open criu.out");
	return fd;
}

static void set_environment(const struct hold_options *options)
{
	char gate[4096];
	if (snprintf(gate, sizeof gate, "%s/%s", options->dir, GATE_SOCKET) >= (int)sizeof gate) die("--dir is too long");
	if (setenv("HOLDFAST_GATE", gate, 1) < 0 || setenv("HOLDFAST_GATED_ACTION", options->gated_action, 1) < 0 ||
	    setenv("HOLDFAST_RUN_ID", options->lock_name + strlen(LOCK_PREFIX), 1) < 0)
		die_errno("cannot set the environment of %s", *options->program);
	/* See preload.c: behind the gate of a restore nothing may run unless it passed. */
	if (is_restore_gate(options->gated_action) && setenv("HOLDFAST_RESTORE", "1", 1) < 0)
		die_errno("cannot set the environment of %s", *options->program);
}

static void enter_cgroup(const char *cgroup)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/cgroup.procs", cgroup) >= (int)sizeof path) die("--cgroup is too long");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	/* 0 is the writer itself, whatever its pid is. */
	if (fd < 0 || write(fd, "0", 1) != 1) die_errno("cannot enter the control group %s", cgroup);
	close(fd);
}

static _Noreturn void run_program(const struct hold_options *options, int entered)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) die_errno("cannot unblock signals");
	/* A signal to the agent's or our process group is not meant for criu: a dump must not die half-way. */
	if (setsid() < 0) die_errno("cannot make a session for %s", *options->program);
	if (options->like.pid) join_like(&options->like);
	if (options->cgroup) enter_cgroup(options->cgroup);
	set_environment(options);
	int output = open_output();
	if (entered >= 0 && setns(entered, CLONE_NEWNS) < 0)
		die_errno("cannot enter the mount namespace of process %d", (int)options->enter);
	if (chdir(options->dir) < 0) die_errno("cannot change to --dir %s", options->dir);
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (input < 0) die_errno("cannot open /dev/null");
	complaint_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) die_errno("cannot connect 0, 1 and 2");
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) die_errno("cannot close inherited descriptors");
	open_inherited(options);
	execv(*options->program, options->program);
	die_errno("cannot run %s", *options->program);
}

/* Moves what we start next into the pid namespace; returns our own one to return to, -1 on failure. */
static int enter_pid_namespace(const struct hold_options *options, int entered)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (own < 0) {
		complain_errno("cannot open /proc/self/ns/pid");
		return -1;
	}
	if (setns(entered, CLONE_NEWPID) == 0) return own;
	complain_errno("cannot enter the pid namespace of process %d", (int)options->enter);
	close(own);
	return -1;
}

/* True when the program runs; false when its process has complained and ended before. */
static bool has_started(int started)
{
	char byte;
	ssize_t length;
	do length = read(started, &byte, 1);
	while (length < 0 && errno == EINTR);
	return length == 0;
}

static pid_t fork_program(const struct hold_options *options, int entered)
{
	int started[2];
	if (pipe2(started, O_CLOEXEC) < 0) {
		complain_errno("cannot make a pipe");
		return -1;
	}
	pid_t pid = fork();
	if (pid == 0) {
		failure_fd = started[1];
		run_program(options, entered);
	}
	if (pid < 0) complain_errno("cannot start %s", *options->program);
	close(started[1]);
	if (pid > 0 && !has_started(started[0])) pid = -1;
	close(started[0]);
	return pid;
}

pid_t start_program(const struct hold_options *options)
{
	if (!options->enter) return fork_program(options, -1);
	int entered = pidfd_open(options->enter, 0);
	if (entered < 0) {
		complain_errno("cannot find the process %d", (int)options->enter);
		return -1;
	}
	pid_t pid = -1;
	int own = enter_pid_namespace(options, entered);
	if (own >= 0) {
		pid = fork_program(options, entered);
		/* What we start later (nft) belongs to our own pid namespace again. */
		if (setns(own, CLONE_NEWPID) < 0) complain_errno("cannot return to the own pid namespace");
		close(own);
	}
	close(entered);
	return pid;
}
