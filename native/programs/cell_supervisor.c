#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cell.h"
#include "complain.h"
#include "process.h"
#include "state_file.h"

/* How long the record of a cell's end is tried again when its file system has no room. */
#define RECORD_TRIES 60

/*
 * The supervisor must outlive the agent that started it, and the terminal or service manager's polite
 * signals: it ends when the cell ends. Whoever wants the cell to end kills it or pid 1.
 */
static void detach(void)
{
	if (setsid() < 0 && getsid(0) != getpid() && getpgrp() != getpid())
		die_errno("cannot make a session for the supervisor");
	const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP};
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		if (signal(ignored[i], SIG_IGN) == SIG_ERR) die_errno("cannot ignore signal %d", ignored[i]);
	/* An inherited SIG_IGN would let the kernel reap pid 1 before its status is read. */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR) die_errno("cannot reset SIGCHLD");
	sigset_t none;
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) die_errno("cannot unblock signals");
}

static pid_t start_init(const struct cell_options *options, int *channel)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) die_errno("cannot make a socket pair");
	if (unshare(CLONE_NEWPID) < 0) die_errno("cannot make a pid namespace");
	pid_t pid = fork();
	if (pid < 0) die_errno("cannot start pid 1 of the cell");
	if (pid == 0) {
		close(ends[0]);
		run_init(options, ends[1]);
	}
	close(ends[1]);
	*channel = ends[0];
	return pid;
}

/* Pid 1 has exactly one child at this time, and does not reap it before it is told to go on. */
static pid_t only_child(pid_t parent)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *children = fopen(path, "re");
	if (!children) return -1;
	int pid;
	if (fscanf(children, "%d", &pid) != 1) pid = -1;
	fclose(children);
	return pid;
}

static bool record_cell(int dir_fd, const struct cell_options *options, pid_t init)
{
	char root[16] = "null", text[256];
	if (!options->adopt) {
		pid_t pid = only_child(init);
		if (pid < 0) {
			complain_errno("cannot find the root among the children of pid 1 (%d)", (int)init);
			return false;
		}
		snprintf(root, sizeof root, "%d", (int)pid);
	}
	snprintf(text, sizeof text,
		 "{\"supervisor_pid\":%d,\"supervisor_start\":%llu,\"init_pid\":%d,\"init_start\":%llu,\"root_pid\":%s}\n",
		 (int)getpid(), process_start(getpid()), (int)init, process_start(init), root);
	if (write_state_file(dir_fd, "cell.json", text)) return true;
	complain_errno("cannot write cell.json in %s", options->dir);
	return false;
}

static void record_end(int dir_fd, int status)
{
	char text[64];
	if (WIFSIGNALED(status)) snprintf(text, sizeof text, "{\"signal\":%d}\n", WTERMSIG(status));
	else snprintf(text, sizeof text, "{\"code\":%d}\n", WEXITSTATUS(status));
	for (int i = 0; i < RECORD_TRIES && !write_state_file(dir_fd, "exit.json", text); i++) {
		/* The agent has removed the run directory: nobody asks for this cell any more. */
		if (errno == ENOENT) return;
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
}

static int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) break;
	return status;
}

/* Every process of the cell is gone when pid 1 has been waited for. */
static int give_up(pid_t init)
{
	kill(init, SIGKILL);
	wait_for(init);
	return 1;
}

int supervise(struct cell_options *options)
{
	detach();
	int dir_fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) die_errno("cannot open --dir %s", options->dir);

	/* Before there is anything that would not be in the groups, and while /proc shows the other process. */
	if (options->like.pid) {
		join_like(&options->like);
		read_limits_like(&options->like, options->limits);
	}
	int channel;
	pid_t init = start_init(options, &channel);
	struct cell_message message = {.kind = CELL_GO};
	if (!send_message(channel, &message)) return give_up(init);
	/* Pid 1 or the root have complained themselves when nothing comes. */
	if (!receive_message(channel, &message) || message.kind != CELL_READY) return give_up(init);
	if (!record_cell(dir_fd, options, init)) return give_up(init);
	message.kind = CELL_GO;
	if (!send_message(channel, &message)) {
		complain("pid 1 of the cell (%d) ended before the cell was ready", (int)init);
		unlinkat(dir_fd, "cell.json", 0);
		return give_up(init);
	}
	/* An agent that died meanwhile finds the cell in its directory. */
	if (write(STDOUT_FILENO, "ready\n", 6) < 0 && errno != EPIPE) complain_errno("cannot say that the cell is ready");
	drop_stdio();
	if (chdir("/") < 0) return give_up(init);

	bool root_ended = receive_message(channel, &message) && message.kind == CELL_ROOT_ENDED;
	int init_status = wait_for(init);
	record_end(dir_fd, root_ended ? message.status : init_status);
	return 0;
}
