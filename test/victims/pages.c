/*
 * One large map, of which only what is asked for exists. Obeys lines on stdin, each with the first page and the number of pages:
 *   fill P N     write every page anew              drop P N     MADV_DONTNEED
 *   read P N     look at every page                 free P N     MADV_FREE
 *   huge P N     as huge pages, written             out P N      MADV_PAGEOUT
 *   guard P N    MADV_GUARD_INSTALL                 unguard P N  MADV_GUARD_REMOVE
 *   renew P N    a new map in its place             limit P N    take the right to write away
 *   move P N     to the second half of the map      lift P N     the same, and an empty map stays
 * Each is answered with "done", or with "done not" where the kernel does not do it. Says "ready" when it begins.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define PAGE 4096ul
#define AREA 0x100000000000ul
#define AREA_BYTES (512ul << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static uint64_t turn;

static void fill(char *at, size_t bytes)
{
	turn++;
	for (size_t i = 0; i < bytes; i += 8) *(uint64_t *)(at + i) = (turn << 48) ^ ((uint64_t)at + i) * 0x9e3779b97f4a7c15ul;
}

static int look(const volatile char *at, size_t bytes)
{
	int sum = 0;
	for (size_t i = 0; i < bytes; i += PAGE) sum += at[i];
	return sum == 1 << 30;
}

static int map(char *at, size_t bytes)
{
	void *mapped = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	return mapped == MAP_FAILED || madvise(at, bytes, MADV_NOHUGEPAGE);
}

static int make_huge(char *at, size_t bytes)
{
	if (madvise(at, bytes, MADV_HUGEPAGE)) return 1;
	fill(at, bytes);
	return madvise(at, bytes, MADV_COLLAPSE);
}

static int move(char *at, size_t bytes, int flags)
{
	char *to = at + AREA_BYTES / 2;
	return mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) != to;
}

static int obey(const char *what, char *at, size_t bytes)
{
	if (!strcmp(what, "fill")) return fill(at, bytes), 0;
	if (!strcmp(what, "read")) return look(at, bytes);
	if (!strcmp(what, "huge")) return make_huge(at, bytes);
	if (!strcmp(what, "drop")) return madvise(at, bytes, MADV_DONTNEED);
	if (!strcmp(what, "free")) return madvise(at, bytes, MADV_FREE);
	if (!strcmp(what, "out")) return madvise(at, bytes, MADV_PAGEOUT);
	if (!strcmp(what, "guard")) return madvise(at, bytes, MADV_GUARD_INSTALL);
	if (!strcmp(what, "unguard")) return madvise(at, bytes, MADV_GUARD_REMOVE);
	if (!strcmp(what, "renew")) return map(at, bytes);
	if (!strcmp(what, "limit")) return mprotect(at, bytes, PROT_READ);
	if (!strcmp(what, "move")) return move(at, bytes, 0);
	if (!strcmp(what, "lift")) return move(at, bytes, MREMAP_DONTUNMAP);
	return 1;
}

int main(void)
{
	char line[64], what[16];
	uint64_t first, pages;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (map((char *)AREA, AREA_BYTES)) return 1;
	puts("ready");
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%15s %lu %lu", what, &first, &pages) != 3) return 2;
		puts(obey(what, (char *)AREA + first * PAGE, pages * PAGE) ? "done not" : "done");
	}
	return 0;
}
