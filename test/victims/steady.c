/*
 * steady MIB STATUS_FILE STOP_FILE: a victim that notices whatever a checkpoint might do to it.
 *
 * It holds MIB MiB of known words, as many of them again in shared memory as fit a MiB, a guard page, a TCP connection to itself and three threads. Every beat
 * verifies a slice of the memory, sends a number through the connection and writes the count of beats to
 * STATUS_FILE (always 32 bytes, so that the file never outgrows a checkpoint). When STOP_FILE appears it
 * verifies all: exit code 42 when everything is right, 90 bad memory, 91 bad connection, 92 lost guard page,
 * 93 bad shared memory.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static uint64_t *words;
static size_t word_count;
static volatile uint64_t idle_rounds;
static sigjmp_buf guard_hit;

static uint64_t word_at(size_t i)
{
	return i * 0x9E3779B97F4A7C15ull + 1;
}

static void on_guard(int signal)
{
	(void)signal;
	siglongjmp(guard_hit, 1);
}

/* True when reading the guarded page faults, or the kernel (before 6.13) has no guard pages at all. */
static int guard_holds(volatile char *page, int installed)
{
	if (!installed) return 1;
	struct sigaction action = {.sa_handler = on_guard}, before;
	sigaction(SIGSEGV, &action, &before);
	int held = sigsetjmp(guard_hit, 1);
	if (!held) (void)*page;
	sigaction(SIGSEGV, &before, NULL);
	return held;
}

/* A receive with a time limit is not restarted after a stop (signal(7)), neither by SIGCONT nor by CRIU. */
static int receive_number(int connection, uint64_t *number)
{
	ssize_t length;
	do length = recv(connection, number, sizeof *number, MSG_WAITALL);
	while (length < 0 && errno == EINTR);
	return length == sizeof *number;
}

static void *echo(void *argument)
{
	int connection = *(int *)argument;
	uint64_t number;
	while (receive_number(connection, &number))
		if (send(connection, &number, sizeof number, MSG_NOSIGNAL) != sizeof number) break;
	return NULL;
}

static void *idle(void *argument)
{
	for (;;) {
		idle_rounds++;
		usleep(1000);
	}
	return argument;
}

static void connect_to_self(int *client, int *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &length) || connect(*client, (void *)&address, sizeof address) ||
	    (*server = accept(listener, NULL, NULL)) < 0) {
		perror("steady: connection to self");
		exit(2);
	}
	close(listener);
	/* A connection that a checkpoint broke must be an error here, not a wait for ever. */
	struct timeval limit = {.tv_sec = 20};
	setsockopt(*client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

#define SHARED_WORDS ((size_t)131072)

static uint64_t *shared_words(void)
{
	uint64_t *shared = mmap(NULL, SHARED_WORDS * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) exit(2);
	for (size_t i = 0; i < SHARED_WORDS; i++) shared[i] = word_at(i) * 3;
	return shared;
}

static void verify_shared(const uint64_t *shared)
{
	for (size_t i = 0; i < SHARED_WORDS; i++)
		if (shared[i] != word_at(i) * 3) exit(93);
}

static void verify_slice(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (words[i] != word_at(i)) {
			fprintf(stderr, "steady: word %zu is %llx\n", i, (unsigned long long)words[i]);
			exit(90);
		}
}

int main(int argc, char **argv)
{
	if (argc != 4) return 2;
	word_count = ((size_t)atol(argv[1]) << 20) / sizeof *words;
	words = mmap(NULL, word_count * sizeof *words, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *guard = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED || guard == MAP_FAILED) return 2;
	for (size_t i = 0; i < word_count; i++) words[i] = word_at(i);
	memset(guard, 7, 3 * 4096);
	int guarded = madvise(guard + 4096, 4096, MADV_GUARD_INSTALL) == 0;

	uint64_t *shared = shared_words();
	int client, server, status = open(argv[2], O_RDWR | O_CREAT, 0644);
	if (status < 0) return 2;
	connect_to_self(&client, &server);
	pthread_t echo_thread, idle_thread;
	if (pthread_create(&echo_thread, NULL, echo, &server) || pthread_create(&idle_thread, NULL, idle, NULL)) return 2;

	size_t slice = word_count / 64;
	for (uint64_t beat = 1; access(argv[3], F_OK) < 0; beat++) {
		uint64_t answer = 0;
		if (send(client, &beat, sizeof beat, MSG_NOSIGNAL) != sizeof beat ||
		    !receive_number(client, &answer) || answer != beat) {
			perror("steady: connection");
			exit(91);
		}
		verify_slice(beat % 64 * slice, (beat % 64 + 1) * slice);
		char text[33];
		snprintf(text, sizeof text, "%-31llu\n", (unsigned long long)beat);
		if (pwrite(status, text, 32, 0) != 32) exit(2);
		usleep(2000);
	}
	verify_slice(0, word_count);
	if (!guard_holds(guard + 4096, guarded) || guard[0] != 7 || guard[8192] != 7) exit(92);
	verify_shared(shared);
	exit(42);
}
