/*
 * scan: asks the kernel the questions of criu's dump about its own memory and that of a child, and prints one
 * line "NAME FOUND END" per question: number of page ranges, and whether the walk came to the end of the range.
 * The last two lines are "limit CURRENT MAXIMUM" of the process given as the argument, if any.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan)
#define PRESENT_OR_SWAPPED ((1 << 3) | (1 << 4))
#define SOFT_DIRTY (1 << 7)
#define PAGES 8

static void ask(const char *name, int pagemap, uint64_t start, uint64_t end, uint64_t return_mask)
{
	uint64_t ranges[3 * 64];
	struct scan scan = {
		.size = sizeof scan,
		.start = start,
		.end = end,
		.vec = (uintptr_t)ranges,
		.vec_len = 64,
		.category_anyof_mask = PRESENT_OR_SWAPPED,
		.return_mask = return_mask,
	};
	int found = ioctl(pagemap, SCAN, &scan);
	printf("%s %d %d\n", name, found, scan.walk_end == end && scan.start == start && scan.end == end);
}

static int open_pagemap(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0) exit(2);
	return fd;
}

/* Every child of this program has the same. */
static void find_vdso(uint64_t *start, uint64_t *end)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, "[vdso]")) sscanf(line, "%lx-%lx", start, end);
	if (maps) fclose(maps);
}

static void show_limit(pid_t pid)
{
	struct rlimit limit;
	long result = syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &limit);
	if (result < 0) printf("limit %s\n", strerror(errno));
	else printf("limit %llu %llu\n", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	result = syscall(SYS_prlimit64, pid, RLIMIT_CORE, NULL, &limit);
	if (result < 0) printf("core %s\n", strerror(errno));
	else printf("core %llu %s\n", (unsigned long long)limit.rlim_cur, limit.rlim_max == RLIM_INFINITY ? "unlimited" : "limited");
}

int main(int argc, char **argv)
{
	size_t size = PAGES * 4096;
	uint64_t vdso_start = 0, vdso_end = 0;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) return 2;
	find_vdso(&vdso_start, &vdso_end);
	pid_t child = fork();
	memset(memory, 1, size);
	if (child == 0) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		for (;;) pause();
	}
	/* The child has written its pages when it sleeps. */
	char state = 0, path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
	while (state != 'S') {
		FILE *stat = fopen(path, "r");
		if (!stat || fscanf(stat, "%*d %*s %c", &state) != 1) return 2;
		fclose(stat);
		usleep(1000);
	}

	uint64_t start = (uintptr_t)memory, end = start + size;
	int own = open_pagemap(getpid()), other = open_pagemap(child);
	ask("own", own, start, end, PRESENT_OR_SWAPPED | SOFT_DIRTY);
	ask("child", other, start, end, PRESENT_OR_SWAPPED | SOFT_DIRTY);
	ask("child-other-question", other, start, end, PRESENT_OR_SWAPPED);
	ask("child-vdso", other, vdso_start, vdso_end, PRESENT_OR_SWAPPED | SOFT_DIRTY);
	ask("child-around-vdso", other, vdso_start - 4096, vdso_end + 4096, PRESENT_OR_SWAPPED | SOFT_DIRTY);
	ask("child-everything", other, 4096, vdso_end, PRESENT_OR_SWAPPED | SOFT_DIRTY);
	if (argc > 1) show_limit(atoi(argv[1]));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
