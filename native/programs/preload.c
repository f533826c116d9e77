/*
 * Loaded into criu, a separate program, with ld.so --preload. It stands between criu and libc in a few places:
 *
 * - HOLDFAST_HOLLOW=1: criu's question "which pages must be dumped?" is answered "none", because the memory
 *   engine carries the memory of the tree (see preload_hollow.c), and smaps is told without a walk over
 *   all pages (see preload_smaps.c);
 * - HOLDFAST_SNAPSHOT=FILE: clones of the held processes keep their memory as it is (see preload_snapshot.h);
 * - HOLDFAST_SEGMENTS=FILE, HOLDFAST_TREE=PID, with HOLDFAST_HOLLOW: the same for shared memory without a file, and the file
 *   says for which (see preload_segments.c);
 * - limits of another user's process, which the kernel refuses to root without CAP_SYS_RESOURCE, are read from
 *   /proc;
 * - HOLDFAST_HOLLOW=1: the job does not wait for the kernel's tidying up after the network lock (see
 *   preload_netlink.c);
 * - HOLDFAST_RESTORE=1: a half-restored process must never run. criu 4.2 resumes the tree even when its
 *   pre-resume script failed; here that ends criu, and what criu traces dies with it, whatever ends criu;
 * - HOLDFAST_RESTORE=1, HOLDFAST_USER=UID:GID:GROUP,...: what criu opens, makes or removes by the paths of a job it
 *   does with the rights of the job's user, and it opens through no symbolic link (see preload_job.h);
 * - HOLDFAST_RUN_ID=UUID: the id of the run, by which criu names its network lock, is chosen outside, so that
 *   the lock can be removed when criu is killed.
 *
 * It must load into a newer libc than it was built with, so it uses few and old functions only.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "limits.h"
#include "preload.h"
#include "preload_files.h"
#include "preload_job.h"
#include "preload_netlink.h"
#include "preload_segments.h"
#include "preload_smaps.h"
#include "preload_snapshot.h"

typedef long (*ptrace_function)(int request, ...);
typedef pid_t (*waitpid_function)(pid_t pid, int *status, int options);
typedef int (*setenv_function)(const char *name, const char *value, int overwrite);
typedef void (*uuid_unparse_function)(const unsigned char *uuid, char *text);

syscall_function next_syscall;
lseek_function next_lseek;
static ioctl_function next_ioctl;
static ptrace_function next_ptrace;
static waitpid_function next_waitpid;
static setenv_function next_setenv;
static uuid_unparse_function next_uuid_unparse;
static bool hollow, restore;
static const char *run_id;

#define UUID_LENGTH 36

int ioctl(int fd, unsigned long request, ...) SEEN_BY_CRIU;
long syscall(long number, ...) SEEN_BY_CRIU;
int close(int fd) SEEN_BY_CRIU;
off_t lseek64(int fd, off_t offset, int whence) SEEN_BY_CRIU;
int prlimit64(pid_t, __rlimit_resource_t, const struct rlimit64 *, struct rlimit64 *) SEEN_BY_CRIU;
long ptrace(enum __ptrace_request request, ...) SEEN_BY_CRIU;
pid_t waitpid(pid_t pid, int *status, int options) SEEN_BY_CRIU;
int setenv(const char *name, const char *value, int overwrite) SEEN_BY_CRIU;
void uuid_unparse(const unsigned char *uuid, char *text) SEEN_BY_CRIU;

static bool is_set(const char *name)
{
	const char *value = getenv(name);
	return value && !strcmp(value, "1");
}

/*
 * dlsym takes locks, and criu calls some of these between fork and exec: find all before it starts. A library that is
 * made ready before this one may call us earlier.
 */
__attribute__((constructor)) void prepare_preload(void)
{
	if (next_syscall) return;
	next_ioctl = (ioctl_function)dlsym(RTLD_NEXT, "ioctl");
	next_syscall = (syscall_function)dlsym(RTLD_NEXT, "syscall");
	next_ptrace = (ptrace_function)dlsym(RTLD_NEXT, "ptrace");
	next_lseek = (lseek_function)dlsym(RTLD_NEXT, "lseek64");
	next_waitpid = (waitpid_function)dlsym(RTLD_NEXT, "waitpid");
	next_setenv = (setenv_function)dlsym(RTLD_NEXT, "setenv");
	/* Absent in the programs that criu starts, should the library get into one. */
	next_uuid_unparse = (uuid_unparse_function)dlsym(RTLD_NEXT, "uuid_unparse");
	if (!next_ioctl || !next_syscall || !next_lseek || !next_ptrace || !next_waitpid || !next_setenv) _exit(1);
	hollow = is_set("HOLDFAST_HOLLOW");
	restore = is_set("HOLDFAST_RESTORE");
	prepare_files();
	prepare_job(restore);
	/* Only for criu itself, not for what it starts during the hold. */
	if (hollow && next_uuid_unparse) {
		prepare_smaps();
		prepare_segments();
	}
	prepare_snapshot();
	const char *id = getenv("HOLDFAST_RUN_ID");
	if (id && strlen(id) == UUID_LENGTH && strspn(id, "0123456789abcdef-") == UUID_LENGTH) run_id = id;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (hollow && request == SCAN_REQUEST) return hollow_scan(fd, argument, next_ioctl);
	return next_ioctl(fd, request, argument);
}

int close(int fd)
{
	if (!next_syscall) prepare_preload();
	if (hollow) keep_nftables_socket(fd);
	return (int)next_syscall(SYS_close, fd);
}

/* For the data of shared memory criu asks by its file. */
off_t lseek64(int fd, off_t offset, int whence)
{
	if (!next_lseek) prepare_preload();
	if (whence == SEEK_DATA && hollow && is_hollow_segment(fd)) {
		errno = ENXIO;
		return -1;
	}
	return next_lseek(fd, offset, whence);
}

/* True when the refused question could be answered from /proc. */
static bool answer_limit(long pid, int resource, const void *new_limit, struct rlimit64 *old_limit)
{
	int refused = errno;
	bool answered = refused == EPERM && !new_limit && old_limit && read_limit(pid, resource, old_limit);
	errno = refused;
	return answered;
}

int prlimit64(pid_t pid, __rlimit_resource_t resource, const struct rlimit64 *new_limit, struct rlimit64 *old_limit)
{
	long result = next_syscall(SYS_prlimit64, pid, resource, new_limit, old_limit);
	if (result < 0 && answer_limit(pid, resource, new_limit, old_limit)) return 0;
	return result;
}

long syscall(long number, ...)
{
	va_list arguments;
	va_start(arguments, number);
	long a = va_arg(arguments, long), b = va_arg(arguments, long), c = va_arg(arguments, long);
	long d = va_arg(arguments, long), e = va_arg(arguments, long), f = va_arg(arguments, long);
	va_end(arguments);
	long result = next_syscall(number, a, b, c, d, e, f);
	if (number == SYS_prlimit64 && result < 0 && answer_limit(a, b, (void *)c, (void *)d)) return 0;
	return result;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	int pid = va_arg(arguments, int);
	void *address = va_arg(arguments, void *);
	unsigned long data = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (restore && (request == PTRACE_SEIZE || request == PTRACE_SETOPTIONS)) data |= PTRACE_O_EXITKILL;
	long result = next_ptrace(request, pid, address, data);
	if (result >= 0) note_trace(request, pid, data);
	return result;
}

/* criu sets the action's name in its own environment for as long as it waits for the script. */
int setenv(const char *name, const char *value, int overwrite)
{
	if (!strcmp(name, "CRTOOLS_SCRIPT_ACTION")) note_script(value);
	return next_setenv(name, value, overwrite);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	int ignored;
	pid_t ended = next_waitpid(pid, status ? status : &ignored, options);
	if (!restore || ended <= 0 || (status ? *status : ignored) == 0) return ended;
	const char *action = getenv("CRTOOLS_SCRIPT_ACTION");
	if (action && !strcmp(action, "pre-resume")) _exit(1);
	return ended;
}

void uuid_unparse(const unsigned char *uuid, char *text)
{
	if (run_id) memcpy(text, run_id, UUID_LENGTH + 1);
	else if (next_uuid_unparse) next_uuid_unparse(uuid, text);
}
