/*
 * A deterministic series of checksums over MIB megabytes of memory, computed by THREADS threads in lockstep. A lost or doubled
 * byte changes every line that follows. Output goes to stdout, one line for each iteration.
 *
 * usage: series MIB ITERATIONS PAUSE_MS [THREADS] [EXIT_CODE]
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pace.h"

#define MAX_THREADS 64

static uint64_t *memory;
static size_t words;
static long iterations, pause_ms;
static int threads = 1;
static uint64_t sums[MAX_THREADS];
static pthread_barrier_t barrier;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 29;
	return x;
}

static void *work(void *argument)
{
	int self = (int)(intptr_t)argument;
	size_t part = words / threads, start = part * self;

	for (long iteration = 0; iteration < iterations; iteration++) {
		/* One word of every eighth page changes, all words count. */
		for (size_t i = start + (iteration % 8) * 512; i < start + part; i += 8 * 512)
			memory[i] = mix(memory[i] + iteration);
		for (size_t i = start; i < start + part; i++)
			sums[self] = sums[self] * 31 + memory[i];
		pthread_barrier_wait(&barrier);
		if (self == 0) {
			uint64_t total = 0;

			for (int i = 0; i < threads; i++)
				total ^= mix(sums[i] + i);
			printf("%ld %016" PRIx64 "\n", iteration, total);
			fflush(stdout);
			pace(pause_ms);
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t ids[MAX_THREADS];

	if (argc < 4) {
		fprintf(stderr, "usage: series MIB ITERATIONS PAUSE_MS [THREADS] [EXIT_CODE]\n");
		return 2;
	}
	words = (size_t)atol(argv[1]) << 17;
	iterations = atol(argv[2]);
	pause_ms = atol(argv[3]);
	if (argc > 4)
		threads = atoi(argv[4]);
	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	memory = malloc(words * sizeof *memory);
	if (!memory)
		return 3;
	for (size_t i = 0; i < words; i++)
		memory[i] = (i / 512) % 2 ? i : mix(i);
	pthread_barrier_init(&barrier, NULL, threads);
	for (int i = 1; i < threads; i++)
		pthread_create(&ids[i], NULL, work, (void *)(intptr_t)i);
	work(0);
	for (int i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("end\n");
	return argc > 5 ? atoi(argv[5]) : 0;
}
