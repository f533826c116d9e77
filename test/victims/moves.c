/*
 * moves MIB GO_FILE: a victim that moves, drops, protects and shares memory that may not be there yet.
 *
 * It fills MIB MiB with known words, prints a line for every beat, and when GO_FILE appears it forks, remaps, drops,
 * protects and unmaps parts of the memory and looks at every word of it. Exit code 42 when all are right.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static uint64_t word_at(size_t i)
{
	uint64_t x = i * 0x9E3779B97F4A7C15ull + 1;
	x ^= x >> 29;
	return x * 0xBF58476D1CE4E5B9ull;
}

/* Whether the words from `first` on are those at `place`; NULL words are zeros. */
static int holds(const uint64_t *place, size_t first, size_t words, int zero)
{
	for (size_t i = 0; i < words; i++)
		if (place[i] != (zero ? 0 : word_at(first + i))) return 0;
	return 1;
}

static void need(int right, const char *what)
{
	if (right) return;
	printf("wrong: %s\n", what);
	exit(90);
}

static void child_holds(uint64_t *memory, size_t part, const char *what)
{
	pid_t child = fork();
	if (child == 0) {
		/* Its own drops are no business of the parent. */
		madvise(memory, PAGE, MADV_DONTNEED);
		int right = holds(memory, 0, PAGE / 8, 1) && holds(memory + PAGE / 8, PAGE / 8, part / 8 - PAGE / 8, 0);
		_exit(right ? 0 : 1);
	}
	int status = 1;
	need(child > 0 && waitpid(child, &status, 0) == child && status == 0, what);
}

int main(int argc, char **argv)
{
	if (argc != 3) return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	size_t size = strtoul(argv[1], NULL, 10) << 20, part = size / 8, words = part / 8;
	uint64_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) return 3;
	for (size_t i = 0; i < size / 8; i++) memory[i] = word_at(i);
	for (long beat = 0; access(argv[2], F_OK) != 0; beat++) {
		printf("beat %ld\n", beat);
		usleep(20000);
	}
	uint64_t *parts[8];
	for (int i = 0; i < 8; i++) parts[i] = memory + words * i;

	child_holds(parts[0], part, "a child's memory");
	need(madvise(parts[7], part / 2, MADV_DONTNEED) == 0 && holds(parts[7], 0, words / 2, 1), "dropped pages");
	uint64_t *moved = mremap(parts[5], part, 2 * part, MREMAP_MAYMOVE);
	need(moved != MAP_FAILED && holds(moved, 5 * words, words, 0), "moved pages");
	need(holds(moved + words, 0, words, 1), "the growth of a moved range");
	need(mprotect(parts[3] + words / 2, PAGE, PROT_READ) == 0, "mprotect");
	need(holds(parts[3], 3 * words, words, 0), "pages around a protected one");
	need(munmap(parts[6], part) == 0, "munmap");
	uint64_t *fresh = mmap(parts[6], part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	need(fresh == parts[6] && holds(fresh, 0, words, 1), "a new map where one was");
	/* Written before they were read. */
	for (size_t i = 0; i < words; i += PAGE / 8) parts[2][i] = 7;
	for (size_t i = 0; i < words; i++) need(parts[2][i] == (i % (PAGE / 8) ? word_at(2 * words + i) : 7), "written pages");
	need(holds(parts[0], 0, words, 0) && holds(parts[1], words, words, 0) && holds(parts[4], 4 * words, words, 0), "the rest");
	need(holds(parts[7] + words / 2, 7 * words + words / 2, words / 2, 0), "the rest of a dropped part");
	printf("all right\n");
	return 42;
}
