/*
 * Changes its address space at random, for ever: the more a tracker of writes could get wrong, the better. What it does
 * follows from the seed; when, from the machine.
 *
 * usage: mutator SEED FILE [DEPTH]     FILE: at least 256 pages, mapped privately.
 * Most happens in one arena, at random ranges that overlap: so maps are split, cut, covered and merged. A second thread
 * writes wherever something is writable; faults are part of it. Other processes of the tree see and change the same shared
 * memory. A huge page is used where the machine has one left. Says "ready" when it begins.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define ARENA 0x100000000000ul
#define ARENA_PAGES 1024ul
#define SPARSE 0x200000000000ul
#define SPARSE_PAGES 65536ul
#define FILE_PAGES 256ul
#define SHARED 0x300000000000ul
#define SHARED_PAGES 48ul
#define HUGE_AREA 0x400000000000ul
#define HUGE_PAGES 512ul
#define MAX_DEPTH 2
#define MAX_CHILDREN 2
#define ADVICE_COLLAPSE 25
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE 103

static const char *program_seed, *file_path;
static int file, depth;
static __thread sigjmp_buf after_fault;
static __thread volatile sig_atomic_t may_fault;
static uint64_t data[4096] = { 1, 2, 3 }; /* of the program's file, privately */

struct range {
	char *at;
	uint64_t pages;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

static uint64_t below(uint64_t *state, uint64_t limit)
{
	return next_random(state) % limit;
}

static void on_fault(int signal)
{
	if (!may_fault) _exit(100 + signal);
	siglongjmp(after_fault, 1);
}

/* Mostly short, sometimes many pages. */
static struct range any_range(uint64_t *random)
{
	static const uint64_t limits[] = { 3, 8, 8, 40, 300 };
	uint64_t pages = 1 + below(random, limits[below(random, 5)]);
	return (struct range){ (char *)(ARENA + below(random, ARENA_PAGES - pages) * PAGE), pages };
}

/* All that one page table shows, or one huge page. */
static struct range huge_range(uint64_t *random)
{
	return (struct range){ (char *)(ARENA + below(random, ARENA_PAGES / 512) * 512 * PAGE), 512 };
}

static void fill_page(uint64_t *random, char *page)
{
	for (uint64_t *word = (uint64_t *)page; word < (uint64_t *)(page + PAGE); word++)
		*word = next_random(random);
}

/* What a page may become: a word or a byte of it changes, all of it, zeros, what other pages are, too. */
static void change_page(uint64_t *random, char *page)
{
	switch (below(random, 8)) {
	case 0:
		memset(page, 0, PAGE);
		break;
	case 1:
		memset(page, 0x55, PAGE);
		break;
	case 2:
		fill_page(random, page);
		break;
	case 3:
		memcpy(page, any_range(random).at, PAGE);
		break;
	case 4:
		page[below(random, PAGE)] = 0;
		break;
	default:
		*(uint64_t *)(page + below(random, PAGE / 8) * 8) = next_random(random);
	}
}

/* With nothing there, or no right to, it ends early: that is one of the things that happen. */
static void write_pages(uint64_t *random, struct range range)
{
	if (sigsetjmp(after_fault, 1) == 0) {
		may_fault = 1;
		for (uint64_t i = 0; i < range.pages; i++) change_page(random, range.at + i * PAGE);
	}
	may_fault = 0;
}

static void read_pages(struct range range)
{
	volatile char sum = 0;
	if (sigsetjmp(after_fault, 1) == 0) {
		may_fault = 1;
		for (uint64_t i = 0; i < range.pages; i++) sum += range.at[i * PAGE];
	}
	may_fault = 0;
}

static void map_anonymous(uint64_t *random, struct range range)
{
	mmap(range.at, range.pages * PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (below(random, 4) == 0 ? MAP_POPULATE : 0), -1, 0);
}

static void map_file(uint64_t *random, struct range range)
{
	uint64_t pages = range.pages < FILE_PAGES ? range.pages : FILE_PAGES;
	mmap(range.at, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file,
	     (off_t)(below(random, FILE_PAGES - pages + 1) * PAGE));
}

static void advise(uint64_t *random, struct range range)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_PAGEOUT,
		MADV_PAGEOUT, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_COLD, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTFORK, MADV_DOFORK,
		ADVICE_GUARD_INSTALL, ADVICE_GUARD_REMOVE, MADV_NOHUGEPAGE,
	};
	madvise(range.at, range.pages * PAGE, advice[below(random, sizeof advice / sizeof *advice)]);
}

static void collapse(uint64_t *random)
{
	struct range range = huge_range(random);
	if (below(random, 3) == 0) map_anonymous(random, range);
	madvise(range.at, range.pages * PAGE, MADV_HUGEPAGE);
	write_pages(random, (struct range){ range.at, 1 + below(random, range.pages) });
	madvise(range.at, range.pages * PAGE, ADVICE_COLLAPSE);
	if (below(random, 2)) madvise(range.at, range.pages * PAGE, MADV_NOHUGEPAGE);
}

static void move(uint64_t *random)
{
	struct range from = any_range(random), to = any_range(random);
	if (below(random, 6) == 0) {
		from = huge_range(random);
		to = huge_range(random);
	}
	uint64_t size = (below(random, 2) ? from.pages : to.pages) * PAGE;
	switch (below(random, 5)) {
	case 0: /* shrinks */
		mremap(from.at, from.pages * PAGE, (1 + below(random, from.pages)) * PAGE, 0);
		break;
	case 1: /* grows where it is, if there is room */
		mremap(from.at, from.pages * PAGE, size + from.pages * PAGE, 0);
		break;
	case 2:
		mremap(from.at, from.pages * PAGE, from.pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to.at);
		break;
	default: /* onto whatever is there */
		mremap(from.at, from.pages * PAGE, size, MREMAP_MAYMOVE | MREMAP_FIXED, to.at);
	}
}

static void protect(uint64_t *random, struct range range)
{
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE };
	mprotect(range.at, range.pages * PAGE, protections[below(random, 4)]);
}

/* The kernel writes, not the program. */
static void write_by_kernel(uint64_t *random)
{
	struct range to = any_range(random), from = any_range(random);
	uint64_t size = (to.pages < from.pages ? to.pages : from.pages) * PAGE;
	if (below(random, 2)) {
		struct iovec local = { from.at, size }, remote = { to.at, size };
		if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) < 0) return;
	} else if (pread(file, to.at + below(random, PAGE), size / 2, (off_t)below(random, FILE_PAGES * PAGE)) < 0) {
		return;
	}
}

/*
 * Shared memory: a memfd, which outlives exec as this descriptor, in the first slot; memory without any file in the second;
 * parts of the memfd once more in the others.
 */
#define SEGMENT 100
#define SLOTS 4

static char *slot(uint64_t number)
{
	return (char *)(SHARED + number * SHARED_PAGES * PAGE);
}

static void map_slot(uint64_t number, uint64_t pages, int protection, int descriptor, uint64_t first_page)
{
	mmap(slot(number), pages * PAGE, protection, MAP_SHARED | MAP_FIXED | (descriptor < 0 ? MAP_ANONYMOUS : 0), descriptor,
	     (off_t)(first_page * PAGE));
}

static void map_shared(void)
{
	map_slot(0, SHARED_PAGES, PROT_READ | PROT_WRITE, SEGMENT, 0);
	map_slot(1, SHARED_PAGES, PROT_READ | PROT_WRITE, -1, 0);
}

static void make_segment(void)
{
	int made = memfd_create("mutator", 0);
	if (made < 0 || ftruncate(made, SHARED_PAGES * PAGE) || dup2(made, SEGMENT) < 0) _exit(5);
	close(made);
}

static struct range shared_range(uint64_t *random)
{
	uint64_t pages = 1 + below(random, 8);
	return (struct range){ slot(below(random, SLOTS)) + below(random, SHARED_PAGES - pages) * PAGE, pages };
}

static void change_shared(uint64_t *random)
{
	struct range range = shared_range(random);
	uint64_t pages = 1 + below(random, SHARED_PAGES), number = 2 + below(random, SLOTS - 2), word = next_random(random);
	switch (below(random, 12)) {
	case 0:
		map_slot(number, pages, below(random, 2) ? PROT_READ : PROT_READ | PROT_WRITE, SEGMENT,
			 below(random, SHARED_PAGES - pages + 1));
		break;
	case 1:
		munmap(slot(number), SHARED_PAGES * PAGE);
		break;
	case 2:
		madvise(range.at, range.pages * PAGE, MADV_REMOVE);
		break;
	case 3:
		madvise(range.at, range.pages * PAGE, below(random, 2) ? MADV_DONTNEED : MADV_PAGEOUT);
		break;
	case 4: /* not seen in anybody's page tables */
		if (pwrite(SEGMENT, &word, sizeof word, (off_t)below(random, SHARED_PAGES * PAGE - sizeof word)) < 0) _exit(6);
		break;
	case 5: /* others keep what they had */
		if (below(random, 8) == 0) map_shared();
		break;
	case 6: /* nobody shows these pages for writing, then */
		if (below(random, 8) == 0) mprotect(slot(0), pages * PAGE, PROT_READ);
		break;
	default:
		write_pages(random, range);
	}
}

static void change_huge_page(uint64_t *random)
{
	struct range huge = { (char *)HUGE_AREA, HUGE_PAGES };
	switch (below(random, 12)) {
	case 0:
		madvise(huge.at, huge.pages * PAGE, MADV_DONTNEED);
		break;
	case 1:
		munmap(huge.at, huge.pages * PAGE);
		break;
	case 2:
	case 3:
		mmap(huge.at, huge.pages * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0);
		break;
	default:
		write_pages(random, (struct range){ huge.at + below(random, HUGE_PAGES - 8) * PAGE, 1 + below(random, 8) });
	}
}

static uint64_t heap_pages; /* ours, at its end */

static void resize_heap(uint64_t *random)
{
	uint64_t more = below(random, 32), less = heap_pages > 0 ? below(random, heap_pages + 1) : 0;
	if (sbrk((intptr_t)(more * PAGE)) == (void *)-1) return;
	heap_pages += more;
	write_pages(random, (struct range){ (char *)sbrk(0) - heap_pages * PAGE, heap_pages });
	if (sbrk(-(intptr_t)(less * PAGE)) != (void *)-1) heap_pages -= less;
}

static void deepen(uint64_t *random, int levels)
{
	volatile char frame[PAGE * 2];
	fill_page(random, (char *)frame);
	if (levels > 0) deepen(random, levels - 1);
	frame[0] = 1;
}

static void *write_for_ever(void *seed)
{
	uint64_t random = (uint64_t)(uintptr_t)seed;
	for (unsigned turn = 0;; turn++) {
		write_pages(&random, turn % 8 == 0 ? shared_range(&random) : any_range(&random));
		data[below(&random, 4096)] = next_random(&random);
		usleep(1000);
	}
	return NULL;
}

static void start_thread(uint64_t *random)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, write_for_ever, (void *)(uintptr_t)(next_random(random) | 1))) _exit(3);
}

static void run_anew(uint64_t *random)
{
	char seed[32], level[8];
	snprintf(seed, sizeof seed, "%lu", (unsigned long)(next_random(random) | 1));
	snprintf(level, sizeof level, "%d", depth);
	execl("/proc/self/exe", "mutator", seed, file_path, level, NULL);
	_exit(4);
}

static int children;

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0) children--;
}

/* Others may have made us a child: a snapshot. It counts for nothing. */
static void start_child(uint64_t *random)
{
	reap();
	if (children < 0) children = 0;
	if (depth >= MAX_DEPTH || children >= MAX_CHILDREN) return;
	pid_t parent = getpid();
	pid_t child = fork();
	if (child > 0) children++;
	if (child != 0) return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) _exit(0);
	depth++;
	children = 0;
	*random ^= (uint64_t)getpid() << 20;
	if (below(random, 4)) munmap((void *)HUGE_AREA, HUGE_PAGES * PAGE);
	if (below(random, 2)) start_thread(random);
}

static void do_something(uint64_t *random)
{
	struct range range = any_range(random);
	switch (below(random, 48)) {
	case 0 ... 3:
		map_anonymous(random, range);
		break;
	case 4:
	case 5:
		map_file(random, range);
		break;
	case 6:
		munmap(range.at, range.pages * PAGE);
		break;
	case 7 ... 10:
		move(random);
		break;
	case 11:
	case 12:
		protect(random, range);
		break;
	case 13 ... 17:
		advise(random, range);
		break;
	case 18:
		if (below(random, 8) == 0) collapse(random);
		break;
	case 19:
		read_pages(range);
		break;
	case 20:
		write_by_kernel(random);
		break;
	case 21:
		*(uint64_t *)(SPARSE + below(random, SPARSE_PAGES) * PAGE) = next_random(random);
		break;
	case 22:
		if (below(random, 64) == 0) madvise((void *)SPARSE, SPARSE_PAGES * PAGE, MADV_DONTNEED);
		break;
	case 23:
		if (below(random, 8) == 0) resize_heap(random);
		break;
	case 24:
		if (below(random, 16) == 0) deepen(random, (int)below(random, 16));
		break;
	case 25:
		if (below(random, 40) == 0) start_child(random);
		break;
	case 26:
		if (depth > 0 && below(random, 100) == 0) _exit(0);
		break;
	case 27:
		if (below(random, 800) == 0) run_anew(random);
		break;
	case 28:
		reap();
		break;
	case 29 ... 33:
		change_shared(random);
		break;
	case 34:
		if (below(random, 8) == 0) madvise(huge_range(random).at, 512 * PAGE, MADV_DONTNEED);
		break;
	case 35:
		if (depth == 0) change_huge_page(random);
		break;
	default:
		write_pages(random, range);
	}
}

int main(int count, char **arguments)
{
	if (count < 3) return 2;
	program_seed = arguments[1];
	file_path = arguments[2];
	depth = count > 3 ? atoi(arguments[3]) : 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	file = open(file_path, O_RDONLY);
	if (file < 0) return 1;
	uint64_t random = strtoull(program_seed, NULL, 10) | 1;
	mmap((void *)SPARSE, SPARSE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
	     -1, 0);
	map_anonymous(&random, (struct range){ (char *)ARENA, ARENA_PAGES });
	if (count == 3) make_segment();
	map_shared();
	start_thread(&random);
	if (count == 3) puts("ready");
	fflush(stdout);
	for (unsigned turn = 0;; turn++) {
		do_something(&random);
		/* Pages outlive some of the looks at them. */
		if (turn % 2 == 0) usleep(500);
	}
}
