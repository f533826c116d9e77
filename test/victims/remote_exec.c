/*
 * remote_exec between|after: takes a userfaultfd of a process one of whose threads executes another program at the worst moment for the
 * tracer, which is chosen from within the tracer's own system calls:
 *
 * - between: some threads are seized, this one is not yet. The exec waits until the seized ones are waited for, the next PTRACE_SEIZE for
 *   the exec;
 * - after: all are seized, and the leader is seen to have ended before the thread takes its number over.
 *
 * Says what became of the attempt (FAILED or REFUSED with its reason), then "goes on" when the new program has run, then "taken" for the next
 * attempt. What hangs is told, and the whole process group is killed: the caller starts this program in one of its own.
 * Linked with native/remote; syscall, waitpid and remote_has_ended are wrapped.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remote_proc.h"
#include "remote_userfaultfd.h"
#include "remote_wait.h"

#define LIMIT_S 10
#define LIMIT_MS (1000 * LIMIT_S)

long __real_syscall(long number, ...);
pid_t __real_waitpid(pid_t pid, int *status, int options);
bool __real_remote_has_ended(pid_t tid);

/* Shared with the victim. */
static struct threads {
	pid_t leader, other, executor;
} *threads;
static int go[2], ran[2];
static bool is_between, is_armed, holds_back, leader_was_asked;

static void *sleep_for_ever(void *unused)
{
	threads->other = gettid();
	for (;;) pause();
	return unused;
}

static void *execute(void *unused)
{
	char byte, fd[16];
	snprintf(fd, sizeof fd, "%d", ran[1]);
	threads->executor = gettid();
	if (read(go[0], &byte, 1) == 1) execl("/proc/self/exe", "remote_exec", "new", fd, NULL);
	_exit(2);
	return unused;
}

/* The threads are listed in the order in which they were made. */
static void be_victim(void)
{
	pthread_t thread;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	threads->leader = getpid();
	if (pthread_create(&thread, NULL, sleep_for_ever, NULL) || pthread_create(&thread, NULL, execute, NULL)) _exit(2);
	for (;;) pause();
}

/* Lets the thread execute the program; it then waits for the end of the others. */
static void begin_exec(void)
{
	struct remote_status status = {0};
	is_armed = false;
	if (write(go[1], "", 1) != 1) _exit(2);
	for (int i = 0; i < LIMIT_MS && status.state != 'Z'; i++) {
		usleep(1000);
		if (!remote_status(threads->leader, &status)) break;
	}
}

long __wrap_syscall(long number, ...)
{
	va_list arguments;
	va_start(arguments, number);
	long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
	long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
	va_end(arguments);
	if (is_armed && number == SYS_ptrace && b == threads->executor && a == (is_between ? PTRACE_SEIZE : PTRACE_INTERRUPT)) {
		begin_exec();
		holds_back = !is_between;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

/* The other thread's end, and with it the exec's, is held back as long as the leader is looked at, too. */
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	if (holds_back && pid == threads->other) {
		if (leader_was_asked) {
			leader_was_asked = false;
			return 0;
		}
		holds_back = false;
	}
	if (pid == threads->leader) leader_was_asked = true;
	return __real_waitpid(pid, status, options);
}

bool __wrap_remote_has_ended(pid_t tid)
{
	return !(holds_back && tid == threads->other) && __real_remote_has_ended(tid);
}

static void *watch(void *unused)
{
	sleep(LIMIT_S);
	printf("hangs\n");
	fflush(stdout);
	kill(0, SIGKILL);
	return unused;
}

static void tell(const char *what, int fd, const struct remote_error *error)
{
	if (fd >= 0) printf("%s: taken\n", what);
	else printf("%s: %s: %s%s%s\n", what, error->outcome == REMOTE_REFUSED ? "REFUSED" : "FAILED", error->text,
		    error->number ? ": " : "", error->number ? strerror(error->number) : "");
	fflush(stdout);
	if (fd >= 0) close(fd);
}

int main(int count, char **arguments)
{
	struct remote_error error = {0};
	pthread_t watcher;
	if (count == 3) {
		if (write(atoi(arguments[2]), "", 1) != 1) return 2;
		for (;;) pause();
	}
	if (count != 2) return 2;
	is_between = !strcmp(arguments[1], "between");
	threads = mmap(NULL, sizeof *threads, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (threads == MAP_FAILED || pipe(go) || pipe(ran)) return 2;
	pid_t victim = fork();
	if (victim == 0) be_victim();
	if (victim < 0 || pthread_create(&watcher, NULL, watch, NULL)) return 2;
	while (!*(volatile pid_t *)&threads->executor || !*(volatile pid_t *)&threads->other) usleep(1000);
	is_armed = true;
	uint64_t start = remote_now_ns();
	tell("attempt", remote_userfaultfd(victim, &error), &error);
	bool is_quick = remote_now_ns() - start < UINT64_C(2000000000);
	struct pollfd end = {.fd = ran[0], .events = POLLIN};
	if (is_quick && poll(&end, 1, LIMIT_MS) == 1) printf("goes on\n");
	tell("next", remote_userfaultfd(victim, &error), &error);
	kill(victim, SIGKILL);
	return __real_waitpid(victim, NULL, 0) == victim ? 0 : 2;
}
