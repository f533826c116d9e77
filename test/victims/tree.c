/*
 * A process tree that keeps a token going round through a pipe, a FIFO, a socket pair, a named UNIX socket and a TCP connection
 * on the loopback. Each process adds something from its own memory; the parent prints the token after every round. Also open: a
 * deleted file, a POSIX shared memory segment, an eventfd, a timer, a pending blocked signal and a zombie.
 *
 * usage: tree ROUNDS PAUSE_MS DIRECTORY      (DIRECTORY is node-local, for FIFO, socket and files)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pace.h"

static void fail(const char *what)
{
	perror(what);
	_exit(3);
}

static void all(ssize_t count, const char *what)
{
	if (count != sizeof(uint64_t))
		fail(what);
}

/* A child: takes the token from one descriptor, changes it, passes it on to another. */
static pid_t station(int in, int out, uint64_t seed, uint64_t *shared)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	uint64_t token;
	while (read(in, &token, sizeof token) == sizeof token) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		token = (token ^ seed) * 31;
		__atomic_add_fetch(shared, token, __ATOMIC_SEQ_CST);
		all(write(out, &token, sizeof token), "pass on");
	}
	_exit(0);
}

static void unix_pair(const char *directory, int pair[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
	unlink(address.sun_path);
	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1))
		fail("unix socket");
	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(pair[0], (void *)&address, sizeof address))
		fail("unix connect");
	pair[1] = accept(listener, NULL, NULL);
}

static void tcp_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &length))
		fail("tcp socket");
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(pair[0], (void *)&address, sizeof address))
		fail("tcp connect");
	pair[1] = accept(listener, NULL, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: tree ROUNDS PAUSE_MS DIRECTORY\n");
		return 2;
	}
	long rounds = atol(argv[1]), pause_ms = atol(argv[2]);
	const char *directory = argv[3];
	char path[256];
	int first[2], pair[2], named[2], tcp[2];

	mkdir(directory, 0700);
	snprintf(path, sizeof path, "%s/fifo", directory);
	unlink(path);
	if (pipe(first) || mkfifo(path, 0600) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		fail("set-up");
	int fifo = open(path, O_RDWR);
	unix_pair(directory, named);
	tcp_pair(tcp);

	/* A name in /dev/shm that lasts, and a file without a name. */
	snprintf(path, sizeof path, "/holdfast-tree-%d", (int)getpid());
	int segment = shm_open(path, O_CREAT | O_RDWR, 0600);
	if (segment < 0 || ftruncate(segment, 1 << 20))
		fail("shm");
	uint64_t *shared = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, segment, 0);
	snprintf(path, sizeof path, "%s/deleted", directory);
	int deleted = open(path, O_CREAT | O_RDWR, 0600);
	unlink(path);
	int counter = eventfd(0, 0);
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	kill(getpid(), SIGUSR1);

	pid_t stations[] = {
		station(first[0], fifo, 1, shared),
		station(fifo, pair[0], 2, shared),
		station(pair[1], named[0], 3, shared),
		station(named[1], tcp[0], 4, shared),
	};
	if (fork() == 0)
		_exit(0); /* stays a zombie */

	uint64_t token = 42;
	for (long round = 0; round < rounds; round++) {
		all(write(first[1], &token, sizeof token), "start of a round");
		all(read(tcp[1], &token, sizeof token), "end of a round");
		all(pwrite(deleted, &token, sizeof token, (round % 1000) * 8), "deleted file");
		uint64_t one = 1, kept = 0;
		all(write(counter, &one, sizeof one), "eventfd");
		all(pread(deleted, &kept, sizeof kept, (round % 1000) * 8), "deleted file");
		printf("%ld %016" PRIx64 " %016" PRIx64 "\n", round, token, *shared ^ kept);
		fflush(stdout);
		pace(pause_ms);
	}
	/* They would wait for ever: each of them holds the other ends too. */
	for (int i = 0; i < 4; i++)
		kill(stations[i], SIGKILL);
	uint64_t count = 0;
	all(read(counter, &count, sizeof count), "eventfd");
	sigset_t pending;
	sigpending(&pending);
	printf("end: %" PRIu64 " rounds, signal %s\n", count, sigismember(&pending, SIGUSR1) ? "pending" : "LOST");
	return 0;
}
