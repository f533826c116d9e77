/*
 * copy_rate PID: reads the largest mapping of another process once, through a small buffer that is used again and again, and
 * prints the bytes and the nanoseconds it took: what reading memory costs when nothing is done with it.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#define BUFFER_BYTES (1ul << 20)

static char buffer[BUFFER_BYTES];

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int find_largest(const char *pid, uint64_t *start, uint64_t *end)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%s/maps", pid);
	FILE *maps = fopen(path, "r");
	if (!maps) return 0;
	while (fgets(line, sizeof line, maps)) {
		uint64_t from, to;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " r", &from, &to) != 2 || to - from <= *end - *start) continue;
		*start = from;
		*end = to;
	}
	fclose(maps);
	return *end > *start;
}

int main(int argc, char **argv)
{
	uint64_t start = 0, end = 0;
	if (argc != 2 || !find_largest(argv[1], &start, &end)) return 2;
	uint64_t began_ns = clock_ns();
	for (uint64_t at = start; at < end; at += BUFFER_BYTES) {
		size_t length = end - at < BUFFER_BYTES ? end - at : BUFFER_BYTES;
		struct iovec here = {.iov_base = buffer, .iov_len = length};
		struct iovec there = {.iov_base = (void *)at, .iov_len = length};
		if (process_vm_readv(atoi(argv[1]), &here, 1, &there, 1, 0) != (ssize_t)length) return 3;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", end - start, clock_ns() - began_ns);
	return 0;
}
