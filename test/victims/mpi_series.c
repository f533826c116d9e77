/*
 * An MPI job whose output is a deterministic series of checksums: every rank fills MIB megabytes, then in each
 * iteration exchanges a slice with its neighbours, changes it, and all ranks sum up. Any lost or doubled byte of memory or
 * of a message changes every line that follows. Holes in time that a rank sees itself go to GAPS.RANK.
 *
 * usage: mpi_series MIB ITERATIONS PAUSE_MS [GAPS]
 */
#include <inttypes.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"

#define SLICE_WORDS 65536
#define GAP_MS 30.0

static double milliseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1e3 + now.tv_nsec * 1e-6;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 29;
	return x;
}

static void note_gap(const char *prefix, int rank, double gap_ms)
{
	char path[4096];

	snprintf(path, sizeof path, "%s.%d", prefix, rank);
	FILE *file = fopen(path, "a");
	if (!file)
		return;
	fprintf(file, "%.0f %.1f\n", milliseconds(CLOCK_REALTIME), gap_ms);
	fclose(file);
}

int main(int argc, char **argv)
{
	int rank, ranks;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (argc < 4) {
		if (rank == 0)
			fprintf(stderr, "usage: mpi_series MIB ITERATIONS PAUSE_MS [GAPS]\n");
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	size_t words = (size_t)atol(argv[1]) << 17;
	long iterations = atol(argv[2]);
	long pause_ms = atol(argv[3]);
	const char *gaps = argc > 4 ? argv[4] : NULL;
	uint64_t *memory = malloc(words * sizeof *memory);
	uint64_t *received = malloc(SLICE_WORDS * sizeof *received);

	if (!memory || !received)
		MPI_Abort(MPI_COMM_WORLD, 3);
	/* Half of it compressible, as real data is. */
	for (size_t i = 0; i < words; i++)
		memory[i] = (i / 512) % 2 ? i : mix(i * 0x9e3779b97f4a7c15ULL + rank);

	double last = milliseconds(CLOCK_MONOTONIC);
	for (long iteration = 0; iteration < iterations; iteration++) {
		size_t offset = ((size_t)iteration * 7919 * 512) % (words - SLICE_WORDS);
		uint64_t sum = 0, total = 0;

		MPI_Sendrecv(memory + offset, SLICE_WORDS, MPI_UINT64_T, (rank + 1) % ranks, 0, received, SLICE_WORDS,
			     MPI_UINT64_T, (rank + ranks - 1) % ranks, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		for (size_t i = 0; i < SLICE_WORDS; i++)
			memory[offset + i] = mix(memory[offset + i] + 3 * received[i] + iteration);
		/* Every word counts, a sixteenth of the memory in each iteration. */
		size_t part = words / 16, start = (iteration % 16) * part;
		for (size_t i = start; i < start + part; i++)
			sum = sum * 31 + memory[i];
		MPI_Allreduce(&sum, &total, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
		if (rank == 0) {
			printf("%ld %016" PRIx64 "\n", iteration, total);
			fflush(stdout);
		}
		double now = milliseconds(CLOCK_MONOTONIC);
		if (gaps && now - last > GAP_MS + pause_ms)
			note_gap(gaps, rank, now - last - pause_ms);
		last = now;
		pace(pause_ms);
	}
	if (rank == 0)
		printf("end of %ld iterations on %d ranks\n", iterations, ranks);
	MPI_Finalize();
	return 0;
}
