#define _GNU_SOURCE
/*
 * usage: family MIB STATUS-FILE STOP-FILE
 *
 * A parent and two children, each with threads that change their memory all the time, pipes and sockets between them, a
 * handler of SIGCHLD, and waits that must see the right children and no others. SIGUSR1 to the parent ends the first child:
 * the parent must then see the end of its pipe, its SIGCHLD and its exit status. The status file counts the parent's
 * rounds and says what has happened, and where the kernel writes the numbers of processors (the same in all three). When the stop file is there everybody ends, the parent with 42. What is wrong ends
 * it with a sentence and 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_STATUS 7

static volatile sig_atomic_t is_first_wanted, child_signals, term_signals;
static atomic_bool has_pipe_ended;
static size_t bytes;
static pid_t first, second;
static int from_first[2], with_second[2];

static void wrong(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	kill(first, SIGKILL);
	kill(second, SIGKILL);
	_exit(1);
}

static void pause_us(long us)
{
	struct timespec left = {.tv_nsec = us * 1000};
	while (nanosleep(&left, &left)) continue;
}

static _Noreturn void *mutate(void *memory)
{
	uint64_t *words = memory, state = (uint64_t)getpid();
	for (;;) {
		for (int i = 0; i < 20000; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			words[(state >> 20) % (bytes / 8)] ^= state;
		}
		pause_us(500);
	}
}

static void start(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, body, argument)) wrong("pthread_create");
}

static void start_mutators(void)
{
	for (int i = 0; i < 2; i++) {
		uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED) wrong("mmap");
		for (size_t word = 0; word < bytes / 8; word++) memory[word] = word * (uint64_t)getpid();
		start(mutate, memory);
	}
}

/* Without children of its own: every wait must say so. */
static void check_childless(void)
{
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) wrong("a child that is not ours");
}

static void end_first(int signal)
{
	(void)signal;
	_exit(FIRST_STATUS);
}

static _Noreturn void be_first(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR2, end_first);
	close(from_first[0]);
	close(with_second[0]);
	close(with_second[1]);
	start_mutators();
	for (;;) {
		check_childless();
		pause_us(1000);
	}
}

static _Noreturn void be_second(void)
{
	uint64_t token;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(from_first[0]);
	close(from_first[1]);
	close(with_second[0]);
	start_mutators();
	while (read(with_second[1], &token, sizeof token) == sizeof token) {
		check_childless();
		token++;
		if (write(with_second[1], &token, sizeof token) != sizeof token) wrong("write");
	}
	_exit(0);
}

/* Blocked until nobody has the other end any more. */
static void *watch_pipe(void *unused)
{
	char byte;
	ssize_t got;
	do got = read(from_first[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got != 0) wrong("the pipe of the first child");
	has_pipe_ended = true;
	return unused;
}

static void handle_child(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_code != CLD_EXITED && info->si_code != CLD_KILLED) return;
	if (info->si_pid != first && info->si_pid != second) _exit(3);
	child_signals++;
}

static void handle(int signal)
{
	if (signal == SIGUSR1) is_first_wanted = 1;
	else term_signals++;
}

static void set_handlers(void)
{
	struct sigaction child = {.sa_sigaction = handle_child, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction other = {.sa_handler = handle, .sa_flags = SA_RESTART};
	sigaction(SIGCHLD, &child, NULL);
	sigaction(SIGUSR1, &other, NULL);
	sigaction(SIGTERM, &other, NULL);
}

static int reap_first(void)
{
	int status;
	pid_t ended = waitpid(-1, &status, WNOHANG);
	if (ended < 0) wrong("waitpid");
	if (!ended) return 0;
	if (ended != first || !is_first_wanted || WEXITSTATUS(status) != FIRST_STATUS) wrong("a wait");
	return 1;
}

static void exchange(uint64_t round)
{
	uint64_t token = round;
	if (write(with_second[0], &token, sizeof token) != sizeof token) wrong("write");
	if (read(with_second[0], &token, sizeof token) != sizeof token || token != round + 1) wrong("the second child's answer");
}

static unsigned long rseq_address(void)
{
	return (unsigned long)__builtin_thread_pointer() + (unsigned long)__rseq_offset;
}

int main(int count, char **arguments)
{
	if (count != 4) return 2;
	bytes = (size_t)atoi(arguments[1]) << 20;
	if (pipe(from_first) || socketpair(AF_UNIX, SOCK_STREAM, 0, with_second)) wrong("pipe");
	set_handlers();
	if (!(first = fork())) be_first();
	if (!(second = fork())) be_second();
	close(from_first[1]);
	close(with_second[1]);
	start_mutators();
	start(watch_pipe, NULL);
	int status_file = open(arguments[2], O_WRONLY | O_CREAT, 0666), is_first_told = 0, is_first_reaped = 0, status;
	for (uint64_t round = 1; access(arguments[3], F_OK); round++) {
		char text[128];
		exchange(round);
		if (is_first_wanted && !is_first_told) is_first_told = kill(first, SIGUSR2) == 0;
		if (!is_first_reaped) is_first_reaped = reap_first();
		int length = snprintf(text, sizeof text, "%lu eof %d reaped %d sigchld %d sigterm %d rseq %lu%20s\n", round, has_pipe_ended,
				      is_first_reaped, child_signals, term_signals, rseq_address(), "");
		if (pwrite(status_file, text, (size_t)length, 0) != length) wrong("status");
		pause_us(1000);
	}
	close(with_second[0]);
	if (!is_first_reaped && (kill(first, SIGUSR2) || waitpid(first, &status, 0) != first)) wrong("the first child");
	if (waitpid(-1, &status, 0) != second || status) wrong("the second child");
	check_childless();
	return 42;
}
