/*
 * holdfast-root [--stay] -- COMMAND ARGUMENTS...
 *
 * The root process of a tree: it adopts and reaps every orphan of the tree, so that the tree stays one tree
 * for CRIU, and ends the way its command ended. While the command runs its name is `hf-root`, afterwards
 * `hf-root=CODE`. It runs as the user, holds nothing open but 0, 1 and 2, and blocks signals instead of
 * handling them, so there is nothing in it that a checkpoint could not carry.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"

/* What a process gets for its own faults is not meant for the command; a stop is undone by a forwarded CONT. */
static const int not_forwarded[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,  SIGTRAP,
				    SIGSYS,  SIGABRT, SIGPIPE, SIGTTIN, SIGTTOU};

static void run_command(char **command, const sigset_t *inherited_mask)
{
	/* The command leads a process group of its own: its `kill 0` must not come back through us. */
	if (setpgid(0, 0) < 0) complain_errno("cannot make a process group for %s", command[0]);
	if (sigprocmask(SIG_SETMASK, inherited_mask, NULL) < 0) die_errno("cannot restore the signal mask");
	execvp(command[0], command);
	int code = errno == ENOENT ? 127 : 126;
	complain_errno("cannot run %s", command[0]);
	_exit(code);
}

/* Once the command has ended, a signal is for the orphans that keep us here. */
static void forward_to_children(int signal)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	FILE *children = fopen(path, "re");
	if (!children) return;
	int pid;
	while (fscanf(children, "%d", &pid) == 1) kill(pid, signal);
	fclose(children);
}

static void forward(const siginfo_t *received, pid_t command)
{
	/* A terminal signals the whole foreground group itself. */
	if (received->si_code == SI_KERNEL) return;
	if (command > 0) kill(command, received->si_signo);
	else forward_to_children(received->si_signo);
}

static void announce_end(int status)
{
	char name[16];
	int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	snprintf(name, sizeof name, "hf-root=%d", code);
	prctl(PR_SET_NAME, name);
}

static _Noreturn void end_like(int status)
{
	if (!WIFSIGNALED(status)) _exit(WEXITSTATUS(status));
	int number = WTERMSIG(status);
	const struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(number, SIG_DFL);
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, number);
	kill(getpid(), number);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	_exit(128 + number);
}

/* Reaps until the command has ended and, with stay, nobody is left. Returns the command's wait status. */
static int look_after(pid_t command, bool stay, const sigset_t *waited_for)
{
	int command_status = 0;
	for (;;) {
		int status;
		pid_t pid;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid != command) continue;
			command = 0;
			command_status = status;
			announce_end(status);
			if (!stay) return command_status;
		}
		if (pid < 0 && errno == ECHILD && !command) return command_status;
		siginfo_t received;
		int number = sigwaitinfo(waited_for, &received);
		if (number > 0 && number != SIGCHLD) forward(&received, command);
	}
}

int main(int argc, char **argv)
{
	complaint_program = "holdfast-root";
	int next = 1;
	bool stay = next < argc && !strcmp(argv[next], "--stay");
	if (stay) next++;
	if (next + 1 >= argc || strcmp(argv[next], "--")) die("usage: holdfast-root [--stay] -- COMMAND ARGUMENTS...");
	char **command = argv + next + 1;

	secure_descriptors();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) die_errno("cannot become the reaper of the tree");
	if (prctl(PR_SET_NAME, "hf-root") < 0) die_errno("cannot set the process name");

	sigset_t blocked, inherited_mask;
	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof not_forwarded / sizeof *not_forwarded; i++) sigdelset(&blocked, not_forwarded[i]);
	if (sigprocmask(SIG_BLOCK, &blocked, &inherited_mask) < 0) die_errno("cannot block signals");
	/* With SIGCHLD ignored by whoever started us, the kernel would reap the command and lose its status. */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR) die_errno("cannot reset SIGCHLD");

	pid_t pid = fork();
	if (pid < 0) die_errno("cannot start a process for %s", command[0]);
	if (pid == 0) run_command(command, &inherited_mask);
	end_like(look_after(pid, stay, &blocked));
}
