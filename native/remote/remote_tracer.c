#include "remote_tracer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define STACK_BYTES (256 * 1024)

struct errand {
	void (*work)(void *argument);
	void *argument;
};

static int run(void *argument)
{
	const struct errand *errand = argument;
	signal(SIGALRM, SIG_DFL);
	errand->work(errand->argument);
	return 0;
}

static bool wait_for_end(pid_t pid, int *status)
{
	pid_t ended;
	do ended = waitpid(pid, status, __WALL);
	while (ended < 0 && errno == EINTR);
	return ended == pid;
}

/*
 * CLONE_VFORK: the caller sleeps meanwhile, so that the process may use the caller's thread-local storage. It has the
 * caller's signal handlers and must never enter one, so all signals are blocked around it. Without an exit signal
 * it is seen by no wait call but ours.
 */
static int run_and_wait(struct errand *errand, char *stack)
{
	int status = 0, reason = 0;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = clone(run, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS, errand);
	if (pid < 0) reason = errno;
	else if (wait_for_end(pid, &status) && WIFSIGNALED(status)) reason = WTERMSIG(status) == SIGALRM ? ETIMEDOUT : ECANCELED;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return reason;
}

int remote_run_as_tracer(void (*work)(void *argument), void *argument)
{
	struct errand errand = {work, argument};
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED) return errno;
	int reason = run_and_wait(&errand, stack);
	munmap(stack, STACK_BYTES);
	return reason;
}
