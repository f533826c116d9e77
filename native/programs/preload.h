#ifndef HOLDFAST_PRELOAD_H
#define HOLDFAST_PRELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/types.h>

/*
 * The kernel's interface (Documentation/admin-guide/mm/pagemap.rst), written out because the build machine's
 * headers may be older than the kernel that the library meets.
 */
struct scan_argument {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_REQUEST _IOWR('f', 16, struct scan_argument)
#define SCAN_SOFT_DIRTY (1ULL << 7)

/* The library is built with hidden visibility: criu meets only the functions that it shall meet. */
#define SEEN_BY_CRIU __attribute__((visibility("default")))

typedef int (*ioctl_function)(int fd, unsigned long request, ...);
typedef long (*syscall_function)(long number, ...);

typedef off_t (*lseek_function)(int fd, off_t offset, int whence);

/* libc's syscall(3): ours is between it and criu. NULL before prepare_preload(). */
extern syscall_function next_syscall;
extern lseek_function next_lseek;

/* Finds libc's functions and reads the environment, once. */
void prepare_preload(void);

/* Answers a scan of another process's memory with "no pages"; returns what ioctl(2) would. */
int hollow_scan(int fd, struct scan_argument *scan, ioctl_function kernel_ioctl);

#endif
