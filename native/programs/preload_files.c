/* The functions by which criu changes, makes or opens what a path names (see preload_job.h). */

/* With it, the headers would call open64 what is written open here; both names are needed. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload.h"
#include "preload_files.h"
#include "preload_job.h"
#include "preload_smaps.h"

int open64(const char *path, int flags, ...) SEEN_BY_CRIU;
int openat64(int base, const char *path, int flags, ...) SEEN_BY_CRIU;
int open(const char *path, int flags, ...) SEEN_BY_CRIU;
int openat(int base, const char *path, int flags, ...) SEEN_BY_CRIU;
int unlink(const char *path) SEEN_BY_CRIU;
int unlinkat(int base, const char *path, int flags) SEEN_BY_CRIU;
int linkat(int from_base, const char *from, int to_base, const char *to, int flags) SEEN_BY_CRIU;
int rename(const char *from, const char *to) SEEN_BY_CRIU;
int mkdirat(int base, const char *path, mode_t mode) SEEN_BY_CRIU;
int mknod(const char *path, mode_t mode, dev_t device) SEEN_BY_CRIU;
int fchownat(int base, const char *path, uid_t owner, gid_t group, int flags) SEEN_BY_CRIU;
int fchmodat(int base, const char *path, mode_t mode, int flags) SEEN_BY_CRIU;
int chdir(const char *path) SEEN_BY_CRIU;
int bind(int fd, const struct sockaddr *address, socklen_t length) SEEN_BY_CRIU;
int connect(int fd, const struct sockaddr *address, socklen_t length) SEEN_BY_CRIU;

static __typeof__(fchmodat) *next_fchmodat;

void prepare_files(void)
{
	next_fchmodat = (__typeof__(fchmodat) *)dlsym(RTLD_NEXT, "fchmodat");
	if (!next_fchmodat) _exit(1);
}

static int open_at(int base, const char *path, int flags, mode_t mode)
{
	int smaps = open_smaps(base, path, flags);
	if (smaps >= 0) return smaps;
	if (base != AT_FDCWD) notice_image(base, path);
	if (is_guarding()) return open_for_job(base, path, flags, mode);
	return (int)next_syscall(SYS_openat, base, path, flags, mode);
}

static mode_t mode_of(int flags, va_list *arguments)
{
	return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(*arguments, mode_t) : 0;
}

#define OPENS(name, base, ...)                         \
	int name(__VA_ARGS__, int flags, ...)              \
	{                                                  \
		va_list arguments;                             \
		va_start(arguments, flags);                    \
		mode_t mode = mode_of(flags, &arguments);      \
		va_end(arguments);                             \
		return open_at(base, path, flags, mode);       \
	}
OPENS(open, AT_FDCWD, const char *path)
OPENS(open64, AT_FDCWD, const char *path)
OPENS(openat, base, int base, const char *path)
OPENS(openat64, base, int base, const char *path)

/*
 * The name of a UNIX socket is what its program gave, not what the kernel found: it may lead through links, and say
 * anything. What criu does by such a name (chdir, unlinkat without a base, rename, bind, connect) the user may do, or
 * it is not done.
 */
static int remove_socket(const char *path, int flags)
{
	bool attempt = as_user();
	int result = (int)next_syscall(SYS_unlinkat, AT_FDCWD, path, flags);
	end_as_user(attempt);
	return result;
}

static int remove_name(int base, const char *path, int flags)
{
	int result;
	bool attempt = as_user();
	do result = (int)next_syscall(SYS_unlinkat, base, path, flags);
	while (refused_user(&attempt, result) && user_cannot_change(base, path));
	return result;
}

int unlinkat(int base, const char *path, int flags)
{
	return base == AT_FDCWD ? remove_socket(path, flags) : remove_name(base, path, flags);
}

int unlink(const char *path)
{
	return remove_name(AT_FDCWD, path, 0);
}

/* In a dump: the name that criu gives a file it has found without one, in the directory where it was. */
static int link_outside_restore(int from_base, const char *from, int to_base, const char *to, int flags)
{
	const char *name;
	int parent = open_parent(to_base, to, &name);
	if (parent < 0) return -1;
	int result = (int)next_syscall(SYS_linkat, from_base, from, parent, name, flags);
	int reason = errno;
	close(parent);
	errno = reason;
	return result;
}

int linkat(int from_base, const char *from, int to_base, const char *to, int flags)
{
	if (!is_guarding()) return link_outside_restore(from_base, from, to_base, to, flags);
	int result;
	bool attempt = as_user();
	do result = (int)next_syscall(SYS_linkat, from_base, from, to_base, to, flags);
	while (refused_user(&attempt, result) && user_cannot_change(from_base, from) && user_cannot_change(to_base, to));
	return result;
}

int rename(const char *from, const char *to)
{
	bool attempt = as_user();
	int result = (int)next_syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	end_as_user(attempt);
	return result;
}

int mkdirat(int base, const char *path, mode_t mode)
{
	int result;
	bool attempt = as_user();
	do result = (int)next_syscall(SYS_mkdirat, base, path, mode);
	while (refused_user(&attempt, result) && user_cannot_change(base, path));
	return result;
}

int mknod(const char *path, mode_t mode, dev_t device)
{
	int result;
	bool attempt = as_user();
	do result = (int)next_syscall(SYS_mknodat, AT_FDCWD, path, mode, device);
	while (refused_user(&attempt, result) && user_cannot_change(AT_FDCWD, path));
	return result;
}

/* Without a path it is about a descriptor, of something that has none (a memfd): criu has made that itself. */
int fchownat(int base, const char *path, uid_t owner, gid_t group, int flags)
{
	int result;
	bool attempt = *path && as_user();
	do result = (int)next_syscall(SYS_fchownat, base, path, owner, group, flags);
	while (refused_user(&attempt, result) && user_cannot_change(base, path));
	return result;
}

/* libc's, because the system call has no flags. */
int fchmodat(int base, const char *path, mode_t mode, int flags)
{
	int result;
	bool attempt = as_user();
	do result = next_fchmodat(base, path, mode, flags);
	while (refused_user(&attempt, result) && user_cannot_change(base, path));
	return result;
}

int chdir(const char *path)
{
	bool attempt = as_user();
	int result = (int)next_syscall(SYS_chdir, path);
	end_as_user(attempt);
	return result;
}

static int meet(long number, int fd, const struct sockaddr *address, socklen_t length)
{
	bool attempt = address->sa_family == AF_UNIX && as_user();
	int result = (int)next_syscall(number, fd, address, length);
	end_as_user(attempt);
	return result;
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return meet(SYS_bind, fd, address, length);
}

/* Where criu meets who serves the missing pages. It does so itself, before it has any process of the job. */
static bool is_page_server(const struct sockaddr *address, socklen_t length)
{
	static const char name[] = "lazy-pages.socket";
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	return is_criu_itself() && address->sa_family == AF_UNIX && length == offset + sizeof name - 1 &&
	       !memcmp(((const struct sockaddr_un *)address)->sun_path, name, sizeof name - 1);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	if (is_page_server(address, length)) return (int)next_syscall(SYS_connect, fd, address, length);
	return meet(SYS_connect, fd, address, length);
}
