#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "preload.h"
#include "preload_job.h"
#include "preload_user.h"

/* The kernel's interface, written out because the build machine's headers may be older (as in preload.h). */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#define NO_SYMLINKS 4
struct how {
	uint64_t flags, mode, resolve;
};

/* openat ignores what else is set in flags, openat2 refuses it. 0100000 is the kernel's O_LARGEFILE. */
#define TEMPORARY_FILE (O_TMPFILE & ~O_DIRECTORY)
#define PATH_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define KNOWN_FLAGS \
	(PATH_FLAGS | O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | \
	 O_ASYNC | O_DIRECT | 0100000 | O_NOATIME | TEMPORARY_FILE)

static bool restores, guards;
/* Where criu's own files are. */
static struct stat image_directory;

/* criu, as opposed to the processes that it makes. */
static pid_t criu;

void prepare_job(bool restore)
{
	restores = restore;
	criu = getpid();
	if (restore) prepare_user(getenv("HOLDFAST_USER"));
}

void notice_image(int base, const char *path)
{
	const char *end = strrchr(path, '.');
	if (guards || !restores || !end || strcmp(end, ".img")) return;
	if (fstat(base, &image_directory) < 0) _exit(1);
	guards = true;
}

bool is_criu_itself(void)
{
	return getpid() == criu;
}

bool is_guarding(void)
{
	if (!next_syscall) prepare_preload();
	return guards;
}

bool as_user(void)
{
	bool attempt = is_guarding();
	if (attempt) take_user();
	return attempt;
}

void end_as_user(bool attempt)
{
	if (attempt) leave_user();
}

bool refused_user(bool *attempt, int result)
{
	if (!*attempt) return false;
	*attempt = false;
	leave_user();
	return result < 0 && has_user() && (errno == EACCES || errno == EPERM);
}

static int open_strictly(int base, const char *path, uint64_t flags, mode_t mode)
{
	struct how how = {.flags = flags, .mode = mode, .resolve = NO_SYMLINKS};
	return (int)next_syscall(SYS_openat2, base, path, &how, sizeof how);
}

/* An owner can make writable what is not. */
static bool user_changes(int directory)
{
	struct stat status;
	if (fstat(directory, &status) < 0 || is_user(status.st_uid)) return true;
	take_user();
	long writable = next_syscall(SYS_faccessat2, directory, "", W_OK, AT_EACCESS | AT_EMPTY_PATH);
	leave_user();
	return writable == 0 || (errno != EACCES && errno != EROFS);
}

/* The next directory of the way: `*path` moves on. Closes the one before; -1 at the end, or when there is none. */
static int step(int directory, const char **path, bool *at_end)
{
	char name[NAME_MAX + 1];
	size_t length = strcspn(*path, "/");
	const char *rest = *path + length + strspn(*path + length, "/");
	*at_end = !*rest;
	int next = -1;
	if (!*at_end && length < sizeof name) {
		memcpy(name, *path, length);
		name[length] = 0;
		next = open_strictly(directory, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	}
	close(directory);
	*path = rest;
	return next;
}

static bool is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/*
 * Where criu works itself, and the root by a descriptor, are safe to start from. Any other place criu may have got to
 * by a path that the user has arranged.
 */
static bool is_known_start(int base, int directory)
{
	struct stat start, root;
	if (fstat(directory, &start) < 0 || stat("/", &root) < 0) return false;
	return is_same(&start, &image_directory) || (base != AT_FDCWD && is_same(&start, &root));
}

static bool is_out_of_reach(int base, const char *path)
{
	const char *start = *path == '/' ? "/" : ".";
	int directory = open_strictly(base, start, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	path += strspn(path, "/");
	bool at_end = false;
	if (directory >= 0 && *start == '.' && !is_known_start(base, directory)) {
		close(directory);
		return false;
	}
	while (directory >= 0) {
		if (user_changes(directory)) {
			close(directory);
			return false;
		}
		directory = step(directory, &path, &at_end);
	}
	return at_end;
}

bool user_cannot_change(int base, const char *path)
{
	int reason = errno;
	bool answer = is_out_of_reach(base, path);
	errno = reason;
	return answer;
}

/* What the user owns the user can open, after a chmod: a file may be open for writing and be read-only by now. */
static int open_own(int base, const char *path, int flags, int reason)
{
	int fd = open_strictly(base, path, O_PATH | O_CLOEXEC, 0);
	struct stat status;
	int opened = -1;
	if (fd >= 0 && fstat(fd, &status) == 0 && is_user(status.st_uid)) {
		char link[32];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		opened = (int)next_syscall(SYS_openat, AT_FDCWD, link, flags & ~O_NOFOLLOW, 0);
		if (opened < 0) reason = errno;
	}
	/* criu counts on getting the lowest free number. */
	int result = opened < 0 ? -1 : dup3(opened, fd, flags & O_CLOEXEC);
	if (opened >= 0) close(opened);
	if (result < 0 && fd >= 0) close(fd);
	errno = reason;
	return result;
}

/* These links are the kernel's own, and criu could not live without them. */
static bool is_in_proc(int base, const char *path)
{
	struct statfs filesystem;
	if (*path == '/') return !strncmp(path, "/proc/", 6);
	return base != AT_FDCWD && fstatfs(base, &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC;
}

int open_for_job(int base, const char *path, int flags, mode_t mode)
{
	if (is_in_proc(base, path)) return (int)next_syscall(SYS_openat, base, path, flags, mode);
	bool makes = flags & (O_CREAT | TEMPORARY_FILE);
	flags &= flags & O_PATH ? PATH_FLAGS : KNOWN_FLAGS;
	mode = makes ? mode & 07777 : 0;
	int fd;
	bool attempt = as_user();
	do fd = open_strictly(base, path, (uint64_t)flags, mode);
	while (refused_user(&attempt, fd) && user_cannot_change(base, path));
	bool refused = fd < 0 && has_user() && (errno == EACCES || errno == EPERM);
	return refused && !makes ? open_own(base, path, flags, errno) : fd;
}

int open_parent(int base, const char *path, const char **name)
{
	static char parent[PATH_MAX];
	const char *last = strrchr(path, '/');
	*name = last ? last + 1 : path;
	size_t length = (size_t)(*name - path);
	if (length >= sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, length ? path : ".", length ? length : 1);
	parent[length ? length : 1] = 0;
	return open_strictly(base, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}
