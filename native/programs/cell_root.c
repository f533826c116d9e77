#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell.h"
#include "complain.h"

/* Groups first, uid last: each step needs the right that the last one gives away. */
static void become_user(const struct cell_options *options)
{
	uid_t uid = options->uid;
	gid_t gid = options->gid;
	if (setgroups(options->group_count, options->groups) < 0) die_errno("cannot set the groups of the job");
	if (setresgid(gid, gid, gid) < 0) die_errno("cannot become gid %u", gid);
	if (setresuid(uid, uid, uid) < 0) die_errno("cannot become uid %u", uid);

	uid_t real_uid, effective_uid, saved_uid;
	gid_t real_gid, effective_gid, saved_gid;
	if (getresuid(&real_uid, &effective_uid, &saved_uid) < 0 || getresgid(&real_gid, &effective_gid, &saved_gid) < 0)
		die_errno("cannot verify the ids of the job");
	if (real_uid != uid || effective_uid != uid || saved_uid != uid || real_gid != gid || effective_gid != gid ||
	    saved_gid != gid || getgroups(0, NULL) != options->group_count)
		die("the job did not get uid %u, gid %u and its groups", uid, gid);
	if (uid != 0 && setuid(0) == 0) die("uid %u could become root again", uid);
}

/* The job must not inherit what the supervisor ignores or pid 1 blocks. */
static void reset_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP) sigaction(number, &standard, NULL);
	sigset_t none;
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) die_errno("cannot unblock the signals of the job");
}

/* CRIU cannot resolve a descriptor that was opened in another mount namespace, so all three are opened here. */
static void open_stdio(const char *output)
{
	complaint_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (complaint_fd < 0) _exit(1);
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (input < 0) die_errno("cannot open /dev/null");
	/* Not blocking, so that a FIFO that nobody reads is an error and not a wait for ever. */
	int file = open(output, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (file < 0 || fcntl(file, F_SETFL, O_APPEND) < 0) die_errno("cannot open the output %s", output);
	if (dup2(input, 0) < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0) die_errno("cannot connect 0, 1 and 2 of the job");
}

static char **root_arguments(const struct cell_options *options)
{
	size_t count = 0;
	while (options->command[count]) count++;
	char **arguments = calloc(count + 4, sizeof *arguments), **next = arguments;
	if (!arguments) die_errno("cannot keep the command of the job");
	*next++ = (char *)options->root_program;
	if (options->stay) *next++ = "--stay";
	*next++ = "--";
	memcpy(next, options->command, count * sizeof *next);
	return arguments;
}

void run_root(const struct cell_options *options)
{
	if (setsid() < 0) die_errno("cannot make a session for the job");
	if (unshare(CLONE_NEWIPC) < 0) die_errno("cannot make an IPC namespace for the job");
	if (options->like.pid) take_limits(options->limits);
	become_user(options);
	reset_signals();
	umask(022);
	if (chdir(options->cwd) < 0) die_errno("cannot change to the directory %s", options->cwd);
	if (access(options->root_program, X_OK) < 0) die_errno("cannot run %s", options->root_program);
	char **arguments = root_arguments(options);
	open_stdio(options->output);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) die_errno("cannot close inherited descriptors");
	execve(options->root_program, arguments, options->environment ? options->environment : environ);
	die_errno("cannot run %s", options->root_program);
}
