/*
 * An MPI job whose ranks talk to new partners in its second phase: MPI libraries connect on first use, so with a
 * restart in the first phase these connections are opened by the restarted job, to addresses it knew before.
 *
 * usage: mpi_late NEAR FAR PAUSE_MS        (an even number of ranks; iterations of the two phases)
 * First each rank exchanges with its neighbour (0-1, 2-3, …), then with every other one in turn. Rank 0 prints.
 */
#include <inttypes.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pace.h"

#define WORDS 8192

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 29;
	return x;
}

static void exchange(uint64_t *values, int partner)
{
	static uint64_t received[WORDS];

	MPI_Sendrecv(values, WORDS, MPI_UINT64_T, partner, 0, received, WORDS, MPI_UINT64_T, partner, 0,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	for (int i = 0; i < WORDS; i++)
		values[i] = mix(values[i] + 3 * received[i]);
}

static uint64_t checksum(const uint64_t *values)
{
	uint64_t sum = 0;

	for (int i = 0; i < WORDS; i++)
		sum = sum * 31 + values[i];
	return sum;
}

int main(int argc, char **argv)
{
	static uint64_t values[WORDS];
	int rank, ranks;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	if (argc < 4 || ranks % 2)
		MPI_Abort(MPI_COMM_WORLD, 2);
	long near = atol(argv[1]), far = atol(argv[2]), pause_ms = atol(argv[3]);

	for (int i = 0; i < WORDS; i++)
		values[i] = mix(i + 1000003ULL * rank);
	for (long iteration = 0; iteration < near; iteration++) {
		exchange(values, rank ^ 1);
		if (rank == 0) {
			printf("near %ld %016" PRIx64 "\n", iteration, checksum(values));
			fflush(stdout);
		}
		pace(pause_ms);
	}
	for (long iteration = 0; iteration < far; iteration++) {
		/* Every pair once before any pair again; a rank without a partner in this round waits for the next. */
		for (int distance = 1; distance < ranks; distance++)
			if ((rank ^ distance) < ranks)
				exchange(values, rank ^ distance);
		if (rank == 0) {
			printf("far %ld %016" PRIx64 "\n", iteration, checksum(values));
			fflush(stdout);
		}
		pace(pause_ms);
	}
	uint64_t own = checksum(values), total = 0;
	MPI_Reduce(&own, &total, 1, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
	if (rank == 0)
		printf("end %016" PRIx64 "\n", total);
	MPI_Finalize();
	return 0;
}
