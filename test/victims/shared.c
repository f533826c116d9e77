/*
 * Two processes that share memory of all kinds that have no file, and change it in turns. Both look at all of it in every round;
 * the parent prints what they saw.
 *
 * usage: shared ROUNDS PAUSE_MS MIB      (MIB of each segment)
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pace.h"

#define PAGE 4096

static size_t bytes;
static uint64_t state = 88172645463325252ULL;

/* Everybody's: anonymous, of a memfd that does not end with a page, of System V, and one that nobody can write. */
static uint8_t *anonymous, *buffer, *system_v, *constant;
/* The child's only; and one of which each has a half. */
static uint8_t *childs, *halves;
static int buffer_fd, unmapped_fd;

static void fail(const char *what)
{
	perror(what);
	_exit(3);
}

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill(uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = next();
		memcpy(at + i, &word, 8);
	}
}

static uint8_t *map_shared(int fd, size_t length)
{
	uint8_t *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (at == MAP_FAILED) fail("mmap");
	return at;
}

static uint64_t sum(uint64_t sum, const uint8_t *at, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
	}
	return sum;
}

static uint64_t sum_of_all(int is_child)
{
	uint8_t page[PAGE];
	uint64_t all = sum(1, anonymous, bytes);
	all = sum(all, buffer, bytes + PAGE);
	all = sum(all, system_v, bytes);
	all = sum(all, constant, bytes);
	all = sum(all, halves + (is_child ? bytes / 2 : 0), bytes / 2);
	if (is_child) all = sum(all, childs, bytes);
	if (pread(unmapped_fd, page, PAGE, PAGE) != PAGE) fail("pread");
	return sum(all, page, PAGE);
}

static void change(uint8_t *at, size_t length)
{
	at[next() % length] = (uint8_t)next();
}

static void change_all(int is_child, uint64_t round)
{
	uint64_t word = next();
	change(anonymous, bytes);
	change(system_v, bytes);
	change(halves + (is_child ? bytes / 2 : 0), bytes / 2);
	if (!is_child) {
		change(buffer, bytes);
		return;
	}
	change(childs, bytes);
	/* Not seen in anybody's page tables; the second is in the last, partial page. */
	if (pwrite(buffer_fd, &word, 8, (off_t)(next() % (bytes / 8) * 8)) != 8) fail("pwrite");
	if (pwrite(buffer_fd, &word, 8, (off_t)(bytes + round % 100 * 8)) != 8) fail("pwrite");
	if (pwrite(unmapped_fd, &word, 8, (off_t)(PAGE + round % 500 * 8)) != 8) fail("pwrite");
	if (round % 20 == 19 && madvise(anonymous + next() % (bytes / PAGE) * PAGE, PAGE, MADV_REMOVE)) fail("madvise");
}

static void child(int in, int out)
{
	uint64_t round;
	munmap(halves, bytes / 2);
	fill(childs, bytes);
	while (read(in, &round, sizeof round) == sizeof round) {
		change_all(1, round);
		uint64_t seen = sum_of_all(1);
		if (write(out, &seen, sizeof seen) != sizeof seen) fail("write");
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: shared ROUNDS PAUSE_MS MIB\n");
		return 2;
	}
	uint64_t rounds = strtoull(argv[1], NULL, 10), seen;
	long pause_ms = atol(argv[2]);
	int down[2], up[2];
	bytes = (size_t)atol(argv[3]) << 20;

	anonymous = map_shared(-1, bytes);
	childs = map_shared(-1, bytes);
	halves = map_shared(-1, bytes);
	constant = map_shared(-1, bytes);
	buffer_fd = memfd_create("buffer", 0);
	unmapped_fd = memfd_create("unmapped", 0);
	if (buffer_fd < 0 || unmapped_fd < 0 || ftruncate(buffer_fd, (off_t)bytes + 1000) || ftruncate(unmapped_fd, 3 * PAGE))
		fail("memfd");
	buffer = map_shared(buffer_fd, bytes + PAGE);
	int id = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
	system_v = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
	if (system_v == (void *)-1) fail("shmat");
	fill(anonymous, bytes);
	fill(halves, bytes);
	fill(buffer, bytes);
	fill(system_v, bytes);
	fill(constant, bytes);
	if (mprotect(constant, bytes, PROT_READ)) fail("mprotect");

	if (pipe(down) || pipe(up)) fail("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(down[1]);
		child(down[0], up[1]);
	}
	munmap(childs, bytes);
	munmap(halves + bytes / 2, bytes / 2);
	for (uint64_t round = 0; round < rounds; round++) {
		change_all(0, round);
		if (write(down[1], &round, sizeof round) != sizeof round || read(up[0], &seen, sizeof seen) != sizeof seen)
			fail("the child");
		printf("%" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", round, seen, sum_of_all(0));
		fflush(stdout);
		pace(pause_ms);
	}
	close(down[1]);
	waitpid(pid, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	return 0;
}
