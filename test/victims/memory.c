/*
 * Private memory of every kind, at fixed addresses, in a process without address randomization: two of these
 * have the same layout, so the memory of one can be written into the other, as a restore does.
 *
 * usage: memory FILE     FILE: at least 64 pages, mapped privately.
 * Prints "hugepages yes|no", "guards yes|no" and "ready", then obeys lines on stdin:
 *   fill       write the pattern everywhere            -> "filled"
 *   sum        checksum of every region                -> "NAME HEX" each, then "done"
 *   big N      map N MiB of half-random words           -> "big"
 *   drop       unmap what `big` mapped                 -> "dropped"
 *   drop huge  give the huge page back                 -> "dropped"
 *   guard file make the map of the file a guard region -> "guarded"
 *   page out   ask for the anonymous pages to be swapped -> "paged out"
 *   move away  mremap the second half of `big`         -> "moved"; back: move back
 *   same N     map N MiB, every page alike             -> "same"
 *   touch N    write every sixteenth page of `big`, from the Nth on -> "touched"
 *   edge N     write a page of each 128 KiB of `big` but every eighth -> "touched"
 *   fork       start a child with a copy of our memory -> "child PID"
 *   exec       run this program anew                   -> what it says at its start
 *   confine    take a seccomp filter that allows all   -> "confined"
 *   zombie     leave a child unreaped                  -> "child PID"
 *   share      start a child that shares our memory    -> "child PID"
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096ul
#define MIB (1ul << 20)
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct region {
	const char *name;
	uint64_t address, pages;
	int protection; /* of the finished region */
	int flags;
	int mapped;
};

enum { ANONYMOUS, FILE_PRIVATE, NO_ACCESS, READ_ONLY, GUARDED, SPARSE, HUGE_PAGES, REGIONS };

static struct region regions[REGIONS] = {
	[ANONYMOUS] = { "anonymous", 0x100000000000, 2000, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, 0 },
	[FILE_PRIVATE] = { "file-private", 0x110000000000, 64, PROT_READ | PROT_WRITE, 0, 0 },
	[NO_ACCESS] = { "no-access", 0x120000000000, 300, PROT_NONE, MAP_ANONYMOUS, 0 },
	[READ_ONLY] = { "read-only", 0x130000000000, 10, PROT_READ, MAP_ANONYMOUS, 0 },
	[GUARDED] = { "guarded", 0x140000000000, 16, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, 0 },
	[SPARSE] = { "sparse", 0x200000000000, 16 * 1024 * 1024, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE, 0 },
	[HUGE_PAGES] = { "huge", 0x150000000000, 512, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_HUGETLB, 0 },
};

static int guards;
static char *big;
static uint64_t big_bytes;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Words that compress a little: half of each is constant. */
static void fill_page(char *page, uint64_t seed)
{
	uint64_t *words = (uint64_t *)page;
	for (unsigned i = 0; i < PAGE / 8; i++)
		words[i] = next_random(&seed) & 0xffffffff;
}

static char *page_of(const struct region *r, uint64_t index)
{
	return (char *)(r->address + index * PAGE);
}

static int is_guard(const struct region *r, uint64_t index)
{
	return guards && r == &regions[GUARDED] && index >= 4 && index < 8;
}

/* The pages of a region that get a pattern; the others stay untouched. */
static int has_pattern(const struct region *r, uint64_t index)
{
	if (r == &regions[SPARSE])
		return index % 1048573 == 7;
	if (r == &regions[FILE_PRIVATE])
		return index % 4 == 1;
	if (r == &regions[ANONYMOUS])
		return index % 5 != 2;
	return !is_guard(r, index);
}

static void map_all(const char *path)
{
	int file = open(path, O_RDONLY);
	if (file < 0) {
		perror(path);
		exit(1);
	}
	for (struct region *r = regions; r < regions + REGIONS; r++) {
		int fd = r->flags & MAP_ANONYMOUS ? -1 : file;
		void *at = mmap((void *)r->address, r->pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_FIXED_NOREPLACE | r->flags, fd, 0);
		r->mapped = at == (void *)r->address;
		if (!r->mapped && r != &regions[HUGE_PAGES]) {
			perror(r->name);
			exit(1);
		}
	}
	close(file);
	guards = madvise(page_of(&regions[GUARDED], 4), 4 * PAGE, MADV_GUARD_INSTALL) == 0;
	mprotect((void *)regions[NO_ACCESS].address, regions[NO_ACCESS].pages * PAGE, PROT_NONE);
	mprotect((void *)regions[READ_ONLY].address, regions[READ_ONLY].pages * PAGE, PROT_READ);
}

static void fill_all(void)
{
	for (struct region *r = regions; r < regions + REGIONS; r++) {
		if (!r->mapped)
			continue;
		mprotect((void *)r->address, r->pages * PAGE, PROT_READ | PROT_WRITE);
		for (uint64_t i = 0; i < r->pages; i++)
			if (has_pattern(r, i))
				fill_page(page_of(r, i), r->address + i + 1);
		mprotect((void *)r->address, r->pages * PAGE, r->protection);
	}
	/* Zeros that were written: nothing to store where the map is anonymous, but a page of its own over a file. */
	memset(page_of(&regions[ANONYMOUS], 2), 0, PAGE);
	memset(page_of(&regions[FILE_PRIVATE], 2), 0, PAGE);
	/* A page that was only read is the kernel's zero page. */
	(void)*(volatile char *)page_of(&regions[ANONYMOUS], 7);
}

static void print_sums(void)
{
	for (struct region *r = regions; r < regions + REGIONS; r++) {
		if (!r->mapped)
			continue;
		if (r->protection == PROT_NONE)
			mprotect((void *)r->address, r->pages * PAGE, PROT_READ);
		uint64_t hash = 0xcbf29ce484222325;
		for (uint64_t i = 0; i < r->pages; i++) {
			if (is_guard(r, i) || (r == &regions[SPARSE] && !has_pattern(r, i)))
				continue;
			const uint64_t *words = (const uint64_t *)page_of(r, i);
			for (unsigned w = 0; w < PAGE / 8; w++)
				hash = (hash ^ words[w]) * 0x100000001b3;
		}
		mprotect((void *)r->address, r->pages * PAGE, r->protection);
		printf("%s %016lx\n", r->name, hash);
	}
	puts("done");
}

static void map_big(uint64_t mib)
{
	big_bytes = mib * MIB;
	big = mmap((void *)0x300000000000, big_bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (big == MAP_FAILED) {
		perror("big");
		exit(1);
	}
	for (uint64_t at = 0; at < big_bytes; at += PAGE)
		fill_page(big + at, at + 1);
	puts("big");
}

static void move_half(char *from, char *to)
{
	mremap(from, big_bytes / 2, big_bytes / 2, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	puts("moved");
}

static void map_same(uint64_t mib)
{
	char *same = mmap((void *)0x310000000000, mib * MIB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (same == MAP_FAILED) {
		perror("same");
		exit(1);
	}
	memset(same, 0x5a, mib * MIB);
	puts("same");
}

static void touch(uint64_t turn)
{
	for (uint64_t at = (turn * 7 % 16) * PAGE; at < big_bytes; at += 16 * PAGE)
		fill_page(big + at, at + turn * 0x9e3779b97f4a7c15ul + 1);
	puts("touched");
}

static void touch_edges(uint64_t turn)
{
	for (uint64_t at = 0; at < big_bytes; at += 32 * PAGE)
		if (at / (32 * PAGE) % 8)
			fill_page(big + at, at + turn * 0x9e3779b97f4a7c15ul + 1);
	puts("touched");
}

static void start_child(void)
{
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	printf("child %d\n", child);
}

static void confine(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { 1, &allow };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(1);
	puts("confined");
}

static int sharing_child(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

static void start_sharing_child(void)
{
	static char stack[65536];
	printf("child %d\n", clone(sharing_child, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
}

static void leave_zombie(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	printf("child %d\n", child);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	map_all(argv[1]);
	printf("hugepages %s\nguards %s\nready\n", regions[HUGE_PAGES].mapped ? "yes" : "no", guards ? "yes" : "no");
	char line[64];
	while (fgets(line, sizeof line, stdin)) {
		if (!strcmp(line, "fill\n")) {
			fill_all();
			puts("filled");
		} else if (!strcmp(line, "sum\n")) {
			print_sums();
		} else if (!strncmp(line, "big ", 4)) {
			map_big(strtoul(line + 4, NULL, 10));
		} else if (!strcmp(line, "drop\n")) {
			munmap(big, big_bytes);
			puts("dropped");
		} else if (!strcmp(line, "drop huge\n")) {
			madvise((void *)regions[HUGE_PAGES].address, regions[HUGE_PAGES].pages * PAGE, MADV_DONTNEED);
			puts("dropped");
		} else if (!strcmp(line, "guard file\n")) {
			madvise((void *)regions[FILE_PRIVATE].address, regions[FILE_PRIVATE].pages * PAGE, MADV_GUARD_INSTALL);
			puts("guarded");
		} else if (!strcmp(line, "page out\n")) {
			madvise((void *)regions[ANONYMOUS].address, regions[ANONYMOUS].pages * PAGE, MADV_PAGEOUT);
			puts("paged out");
		} else if (!strcmp(line, "move away\n")) {
			move_half(big + big_bytes / 2, (char *)0x320000000000);
		} else if (!strcmp(line, "move back\n")) {
			move_half((char *)0x320000000000, big + big_bytes / 2);
		} else if (!strncmp(line, "same ", 5)) {
			map_same(strtoul(line + 5, NULL, 10));
		} else if (!strncmp(line, "touch ", 6)) {
			touch(strtoul(line + 6, NULL, 10));
		} else if (!strncmp(line, "edge ", 5)) {
			touch_edges(strtoul(line + 5, NULL, 10));
		} else if (!strcmp(line, "fork\n")) {
			start_child();
		} else if (!strcmp(line, "exec\n")) {
			execv("/proc/self/exe", argv);
		} else if (!strcmp(line, "confine\n")) {
			confine();
		} else if (!strcmp(line, "share\n")) {
			start_sharing_child();
		} else if (!strcmp(line, "zombie\n")) {
			leave_zombie();
		}
	}
	return 0;
}
