#define _GNU_SOURCE
/*
 * A program that notices when somebody disturbs it: blocking calls of several kinds with their times, signals with
 * their numbers, registers, restarted reads, descriptors of its children. It says "ready PID" and, when its input
 * says how many signals of both kinds were sent, "signals N M loops L" after the last one. The first thing that is wrong ends it with a
 * sentence and exit code 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_FD 64

static atomic_bool is_over;
static atomic_ulong loops;
static volatile int handled, suspended;
static int feed[2], quiet[2];
static bool is_open_at_start[LAST_FD];

static void wrong(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(" (%s)\n", strerror(errno));
	fflush(stdout);
	_exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* A wait that ended before its time was cut short by somebody. */
static void took(const char *what, int64_t start_us, int64_t least_us)
{
	int64_t elapsed = now_us() - start_us;
	if (elapsed < least_us) wrong("%s took %ld instead of %ld us", what, (long)elapsed, (long)least_us);
	loops++;
}

static void *sleeper(void *unused)
{
	while (!is_over) {
		int64_t start = now_us();
		if (nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL)) wrong("nanosleep");
		took("nanosleep", start, 3000);
	}
	return unused;
}

static void *poller(void *unused)
{
	sigset_t mask;
	sigfillset(&mask);
	struct pollfd wanted = {.fd = quiet[0], .events = POLLIN};
	while (!is_over) {
		int64_t start = now_us();
		if (poll(&wanted, 1, 4)) wrong("poll");
		took("poll", start, 4000);
		start = now_us();
		if (ppoll(&wanted, 1, &(struct timespec){.tv_nsec = 2000000}, &mask)) wrong("ppoll");
		took("ppoll", start, 2000);
	}
	return unused;
}

static void *futex_waiter(void *unused)
{
	uint32_t word = 1;
	while (!is_over) {
		int64_t start = now_us();
		struct timespec limit = {.tv_nsec = 4000000};
		if (syscall(SYS_futex, &word, FUTEX_WAIT, 1, &limit, NULL, 0) != -1 || errno != ETIMEDOUT) wrong("futex");
		took("futex", start, 4000);
	}
	return unused;
}

static void *writer(void *unused)
{
	for (uint32_t number = 0; !is_over; number++) {
		if (write(feed[1], &number, sizeof number) != sizeof number) wrong("write");
		nanosleep(&(struct timespec){.tv_nsec = 1500000}, NULL);
	}
	close(feed[1]);
	return unused;
}

static void handle(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_value.sival_int != handled) wrong("signal %d came as number %d", info->si_value.sival_int, handled);
	handled++;
}

/* Interrupted all the time by a handler with SA_RESTART. */
static void *reader(void *wanted)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN);
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	uint32_t number;
	ssize_t got;
	for (uint32_t expected = 0; (got = read(feed[0], &number, sizeof number)) > 0; expected++, loops++)
		if (got != sizeof number || number != expected) wrong("read %u for %u", number, expected);
	if (got < 0) wrong("read");
	while (handled < *(volatile int *)wanted) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return wanted;
}

static void handle_suspended(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_value.sival_int != suspended) wrong("signal %d came as number %d", info->si_value.sival_int, suspended);
	suspended++;
}

/* Receives its signals only within sigsuspend, one by one. */
static void *suspender(void *wanted)
{
	sigset_t mask, blocked;
	sigfillset(&mask);
	sigdelset(&mask, SIGRTMIN + 1);
	while (suspended < *(volatile int *)wanted) {
		int before = suspended;
		if (sigsuspend(&mask) != -1 || errno != EINTR) wrong("sigsuspend");
		if (suspended != before + 1) wrong("sigsuspend returned after %d signals", suspended - before);
		pthread_sigmask(SIG_BLOCK, NULL, &blocked);
		if (!sigismember(&blocked, SIGRTMIN + 1)) wrong("a signal mask is lost");
		loops++;
	}
	return wanted;
}

/* In a child: 0, or a descriptor that was not there at the start. */
static int alien_descriptor(void)
{
	for (int fd = 0; fd < LAST_FD; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && !is_open_at_start[fd]) return fd;
	return 0;
}

static void *forker(void *unused)
{
	while (!is_over) {
		pid_t pid = fork();
		if (pid < 0) wrong("fork");
		if (!pid) _exit(alien_descriptor());
		int status;
		if (waitpid(pid, &status, 0) != pid) wrong("waitpid");
		if (status) wrong("a child ended with %#x: a descriptor that is not ours", status);
		if (waitpid(-1, &status, 0) != -1 || errno != ECHILD) wrong("a child that is not ours");
		loops++;
	}
	return unused;
}

static void *calculator(void *unused)
{
	double expected = 0;
	while (!is_over) {
		double sum = 0;
		uint64_t state = 1;
		for (int i = 0; i < 20000; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			sum += (double)(state >> 40) * 0.25;
		}
		if (expected != 0 && sum != expected) wrong("a calculation gave %f for %f", sum, expected);
		expected = sum;
		loops++;
	}
	return unused;
}

static void *nothing(void *unused)
{
	return unused;
}

static void *spawner(void *unused)
{
	while (!is_over) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, nothing, NULL)) wrong("pthread_create");
		pthread_join(thread, NULL);
		loops++;
	}
	return unused;
}

static void catch_signal(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigfillset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

static pthread_t start(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, body, argument)) wrong("pthread_create");
	return thread;
}

int main(void)
{
	void *(*const bodies[])(void *) = {sleeper, poller, futex_waiter, writer, forker, calculator, spawner};
	enum { COUNT = sizeof bodies / sizeof *bodies };
	pthread_t threads[COUNT];
	static int wanted_handled, wanted_suspended = INT32_MAX;
	sigset_t mask;
	sigfillset(&mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	catch_signal(SIGRTMIN, handle);
	catch_signal(SIGRTMIN + 1, handle_suspended);
	if (pipe2(feed, O_CLOEXEC) || pipe2(quiet, O_CLOEXEC)) wrong("pipe2");
	for (int fd = 0; fd < LAST_FD; fd++) is_open_at_start[fd] = fcntl(fd, F_GETFD) >= 0;
	pthread_t reading = start(reader, &wanted_handled), suspending = start(suspender, &wanted_suspended);
	for (int i = 0; i < COUNT; i++) threads[i] = start(bodies[i], NULL);
	printf("ready %d\n", getpid());
	fflush(stdout);
	int sent;
	if (scanf("%d %d", &wanted_handled, &sent) != 2) wrong("no input");
	/* One more, because the thread looks only after a signal whether it was the last one. */
	wanted_suspended = sent + 1;
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = sent});
	pthread_join(suspending, NULL);
	is_over = true;
	for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
	pthread_join(reading, NULL);
	printf("signals %d %d loops %lu\n", handled, suspended, loops);
	return 0;
}
