#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

struct range {
	uint64_t start, end;
};

/* Name of an open /proc/PID/pagemap as criu's /proc shows it. */
static bool pagemap_name(int fd, char *name, size_t size)
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, name, size - 1);
	if (length <= 0) return false;
	name[length] = 0;
	char *last = strrchr(name, '/');
	return last && !strcmp(last, "/pagemap");
}

/* criu scans its own pagemap to find the pages of shared memory, which it carries itself. */
static bool is_own_pagemap(int fd)
{
	struct stat scanned, own;
	if (fstat(fd, &scanned) < 0 || stat("/proc/self/pagemap", &own) < 0) return true;
	return scanned.st_dev == own.st_dev && scanned.st_ino == own.st_ino;
}

/*
 * The code of the kernel's [vdso] differs from kernel to kernel. criu needs the pages of the old one to
 * redirect calls into it, so these it gets. An empty range when the process has none; false when the maps
 * cannot be read.
 */
static bool find_vdso(const char *pagemap, struct range *vdso)
{
	char path[512], line[512];
	snprintf(path, sizeof path, "%.*s/maps", (int)(strrchr(pagemap, '/') - pagemap), pagemap);
	FILE *maps = fopen(path, "re");
	if (!maps) return false;
	vdso->start = vdso->end = 0;
	while (fgets(line, sizeof line, maps)) {
		if (!strstr(line, " [vdso]")) continue;
		char *next;
		vdso->start = strtoull(line, &next, 16);
		vdso->end = *next == '-' ? strtoull(next + 1, NULL, 16) : vdso->start;
	}
	fclose(maps);
	return true;
}

/* Scans only the part of the range that is in the vdso; where nothing is found, the walk has got to the end. */
static int scan_vdso(int fd, struct scan_argument *scan, struct range vdso, ioctl_function kernel_ioctl)
{
	uint64_t start = scan->start, end = scan->end;
	if (vdso.start > start) scan->start = vdso.start;
	if (vdso.end < end) scan->end = vdso.end;
	int found = kernel_ioctl(fd, SCAN_REQUEST, scan);
	if (found >= 0 && scan->walk_end == scan->end) scan->walk_end = end;
	scan->start = start;
	scan->end = end;
	return found;
}

int hollow_scan(int fd, struct scan_argument *scan, ioctl_function kernel_ioctl)
{
	char name[512];
	struct range vdso;
	/* Only the question for pages to dump asks for soft-dirty; the one for guard pages must be answered. */
	bool asks_for_pages = scan && (scan->return_mask & SCAN_SOFT_DIRTY);
	/* In doubt the honest answer: then the images are larger, and nothing is lost. */
	if (!asks_for_pages || is_own_pagemap(fd) || !pagemap_name(fd, name, sizeof name) || !find_vdso(name, &vdso))
		return kernel_ioctl(fd, SCAN_REQUEST, scan);
	if (vdso.start < scan->end && scan->start < vdso.end) return scan_vdso(fd, scan, vdso, kernel_ioctl);
	scan->walk_end = scan->end;
	return 0;
}
