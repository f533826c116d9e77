/*
 * Processes with the maps of others and without their memory, as a hollow restore leaves them. All of their own is below
 * 4 GiB (a static program at its fixed place), and nothing of a program that is loaded anywhere.
 *
 * usage: hollow LAYOUT [lazy]      lines of LAYOUT, numbers in hex:
 *   segment BYTES                                shared memory; numbered from 0
 *   process NAME                                 the maps that follow are its
 *   map START END PROTECTION KIND OFFSET PATH    KIND: anonymous, huge, file PATH, shared NUMBER (as PATH)
 * Says "NAME PID USERFAULTFD" for each process (-1: none), which then is stopped. With "lazy" its anonymous memory is served by the
 * userfaultfd; when it is continued it touches pages at random, and stops once more.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define OURS_END 0x100000000ul
#define ADDRESSES_END 0x7ffffffff000ul
#define MAX_MAPS 4096
#define MAX_PROCESSES 64
#define MAX_SEGMENTS 64
#define TOUCHES 200

struct map {
	uint64_t start, end, offset;
	int protection;
	char kind[16], path[256];
};

struct process {
	char name[16];
	size_t first, count;
};

static struct map maps[MAX_MAPS];
static struct process processes[MAX_PROCESSES];
static int segments[MAX_SEGMENTS];
static size_t map_count, process_count, segment_count;
static bool is_lazy;
static char stack[1 << 16] __attribute__((aligned(16)));

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

static void add_segment(uint64_t bytes)
{
	int made = memfd_create("hollow", 0);
	if (made < 0 || segment_count == MAX_SEGMENTS || ftruncate(made, (off_t)bytes)) fail("segment");
	segments[segment_count++] = made;
}

static void read_layout(const char *path)
{
	char line[512];
	FILE *layout = fopen(path, "r");
	if (!layout) fail(path);
	while (fgets(line, sizeof line, layout)) {
		struct map *map = &maps[map_count];
		uint64_t bytes;
		if (map_count == MAX_MAPS || process_count == MAX_PROCESSES) exit(2);
		map->path[0] = 0;
		if (sscanf(line, "segment %lx", &bytes) == 1) {
			add_segment(bytes);
		} else if (sscanf(line, "process %15s", processes[process_count].name) == 1) {
			processes[process_count++].first = map_count;
		} else if (sscanf(line, "map %lx %lx %x %15s %lx %255[^\n]", &map->start, &map->end, (unsigned *)&map->protection,
				  map->kind, &map->offset, map->path) >= 5 && process_count > 0) {
			map_count++;
			processes[process_count - 1].count++;
		} else {
			exit(2);
		}
	}
	fclose(layout);
}

static void make_map(const struct map *map)
{
	int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file = -1;
	bool is_file = strcmp(map->kind, "file") == 0, is_shared = strcmp(map->kind, "shared") == 0;
	if (is_file && (file = open(map->path, O_RDONLY)) < 0) fail(map->path);
	if (is_shared) {
		flags = MAP_SHARED | MAP_FIXED;
		file = segments[strtoul(map->path, NULL, 16)];
	}
	if (file < 0) flags |= MAP_ANONYMOUS;
	if (strcmp(map->kind, "huge") == 0) flags |= MAP_HUGETLB;
	if (mmap((void *)map->start, map->end - map->start, map->protection, flags, file, (off_t)map->offset) == MAP_FAILED)
		fail("mmap");
	if (is_file) close(file);
}

/* As CRIU's lazy restore has it: faults of the kernel, too, and word of what the process does to its maps. */
static int serve_lazily(const struct process *process)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_UNMAP |
					      UFFD_FEATURE_EVENT_REMOVE };
	int userfault = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (userfault < 0 || ioctl(userfault, UFFDIO_API, &api)) fail("userfaultfd");
	for (const struct map *map = maps + process->first; map < maps + process->first + process->count; map++) {
		struct uffdio_register area = { .range = { map->start, map->end - map->start }, .mode = UFFDIO_REGISTER_MODE_MISSING };
		if (strcmp(map->kind, "anonymous") == 0 && ioctl(userfault, UFFDIO_REGISTER, &area)) fail("UFFDIO_REGISTER");
	}
	return userfault;
}

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
	siglongjmp(after_fault, signal);
}

/* Maps may go on behind the end of their file. */
static void touch(uint64_t address)
{
	if (sigsetjmp(after_fault, 1) == 0) (void)*(volatile char *)address;
}

static void touch_pages(const struct process *process)
{
	uint64_t random = (uint64_t)getpid() | 1;
	signal(SIGBUS, on_fault);
	for (int i = 0; i < TOUCHES && process->count > 0; i++) {
		random = random * 6364136223846793005ul + 1442695040888963407ul;
		const struct map *map = &maps[process->first + (random >> 33) % process->count];
		uint64_t page = (random >> 20) % ((map->end - map->start) / PAGE);
		if (map->protection & PROT_READ) touch(map->start + page * PAGE);
	}
}

/* Runs on a stack of the program's own: the one that it came with is where the maps may have to be. */
static int be_hollow(void *argument)
{
	const struct process *process = argument;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (munmap((void *)OURS_END, ADDRESSES_END - OURS_END)) fail("munmap");
	for (size_t i = 0; i < process->count; i++) make_map(&maps[process->first + i]);
	dprintf(STDOUT_FILENO, "%s %d %d\n", process->name, getpid(), is_lazy ? serve_lazily(process) : -1);
	kill(getpid(), SIGSTOP);
	if (is_lazy) touch_pages(process);
	for (;;) kill(getpid(), SIGSTOP);
	return 0;
}

int main(int count, char **arguments)
{
	if (count < 2) return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	is_lazy = count > 2;
	read_layout(arguments[1]);
	for (size_t i = 0; i < process_count; i++)
		if (clone(be_hollow, stack + sizeof stack, SIGCHLD, &processes[i]) < 0) fail("clone");
	for (;;) pause();
}
