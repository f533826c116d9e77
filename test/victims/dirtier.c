/*
 * dirtier MIB CONTROL STATUS: the victim of the benchmarks. It holds MIB MiB that a compressor halves, rewrites pages of
 * them as it is told, and measures the longest time between two looks at the clock. Between two looks lies one page at
 * most, so the gap is time in which it was not let run.
 *
 * CONTROL holds one line "SEQUENCE MODE ARGUMENT"; a new sequence number begins a new window. Modes:
 *   idle         nothing is written
 *   rate N       N pages a second, whole pages, every page once before any comes twice
 *   burst N      N pages, whole pages, as fast as it goes; then as idle
 *   loop         one word of every page, round after round, as fast as it goes
 *   stream       the first half of the memory into the second one, with a multiplication, round after round
 *   read         every page once, in leaps, and compared with what it must be; then as idle
 *   exit         ends
 * STATUS is rewritten every few ms, in lines of name=value; it never changes its size, so a restart finds it as it was.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))
#define STATUS_BYTES 512
#define STATUS_EVERY_NS 2000000ull
#define PAUSE_NS 200000l
/* Coprime with every power of two: such a leap visits every page of a memory whose size is one. */
#define LEAP 2654435761ull
#define MAGIC 0x5bd1e99500000000ull

enum mode { IDLE, RATE, BURST, LOOP, STREAM, READ, EXIT };

struct window {
	uint64_t sequence, gap_ns, pages, began_ns, held_ns;
};

static uint64_t *memory;
static uint64_t page_count, cursor, random_state = 88172645463325252ull;
static struct window now_open, last_closed;
static enum mode mode;
static uint64_t argument, reads_done, bad_pages, beats;

static uint64_t clock_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t *page_at(uint64_t index)
{
	return memory + index * PAGE_WORDS;
}

/* Half of every word is constant. The first word tells which page it is. */
static void write_page(uint64_t index)
{
	uint64_t *words = page_at(index);
	words[0] = MAGIC + index;
	for (unsigned i = 1; i < PAGE_WORDS; i++) words[i] = next_random() & 0xffffffff;
}

/* One after another would be too easy for read-ahead and for scans. */
static uint64_t next_page(void)
{
	return cursor++ * LEAP % page_count;
}

static void begin_window(uint64_t sequence)
{
	last_closed = now_open;
	now_open = (struct window){.sequence = sequence, .began_ns = clock_ns()};
}

static enum mode mode_named(const char *name)
{
	static const char *const names[] = {"idle", "rate", "burst", "loop", "stream", "read", "exit"};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i])) return (enum mode)i;
	fprintf(stderr, "dirtier: no such mode: %s\n", name);
	exit(2);
}

/* True when there is a new command. */
static int obey(int control)
{
	char line[64] = "", name[16] = "idle";
	uint64_t sequence = 0, value = 0;
	if (pread(control, line, sizeof line - 1, 0) <= 0 || !strchr(line, '\n')) return 0;
	if (sscanf(line, "%" SCNu64 " %15s %" SCNu64, &sequence, name, &value) < 2) return 0;
	if (sequence == now_open.sequence) return 0;
	mode = mode_named(name);
	argument = value;
	begin_window(sequence);
	return 1;
}

static void tell(int status)
{
	char text[STATUS_BYTES + 1];
	int length = snprintf(
		text, sizeof text,
		"beats=%" PRIu64 "\nsequence=%" PRIu64 "\ngap_ns=%" PRIu64 "\npages=%" PRIu64 "\nlast_sequence=%" PRIu64
		"\nlast_gap_ns=%" PRIu64 "\nlast_pages=%" PRIu64 "\nlast_ns=%" PRIu64 "\nreads_done=%" PRIu64
		"\nbad_pages=%" PRIu64 "\nend=%" PRIu64 "\n",
		beats, now_open.sequence, now_open.gap_ns, now_open.pages, last_closed.sequence, last_closed.gap_ns,
		last_closed.pages, now_open.began_ns - last_closed.began_ns, reads_done, bad_pages, beats);
	memset(text + length, ' ', STATUS_BYTES - length);
	text[STATUS_BYTES - 1] = '\n';
	if (pwrite(status, text, STATUS_BYTES, 0) != STATUS_BYTES) exit(3);
	beats++;
}

static void pause_shortly(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};
	nanosleep(&pause, NULL);
}

/* The pages keep their first word. */
static void stream_page(uint64_t index)
{
	const uint64_t *from = page_at(index);
	uint64_t *to = page_at(page_count / 2 + index);
	for (unsigned i = 1; i < PAGE_WORDS; i++) to[i] = (from[i] * 2862933555777941757ull + to[i]) & 0xffffffff;
}

static void step(uint64_t now_ns)
{
	uint64_t index;
	switch (mode) {
	case RATE:
		if ((now_ns - now_open.began_ns - now_open.held_ns) * argument / 1000000000ull <= now_open.pages) {
			pause_shortly();
			return;
		}
		write_page(next_page());
		now_open.pages++;
		return;
	case BURST:
		if (now_open.pages >= argument) {
			pause_shortly();
			return;
		}
		write_page(next_page());
		now_open.pages++;
		return;
	case STREAM:
		stream_page(now_open.pages++ % (page_count / 2));
		return;
	case LOOP:
		page_at(now_open.pages++ % page_count)[8] = next_random() & 0xffffffff;
		return;
	case READ:
		if (now_open.pages == page_count) {
			pause_shortly();
			return;
		}
		index = now_open.pages++ * LEAP % page_count;
		if (page_at(index)[0] != MAGIC + index) bad_pages++;
		if (now_open.pages == page_count) reads_done++;
		return;
	default:
		pause_shortly();
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) return 2;
	page_count = (uint64_t)atol(argv[1]) * (1048576 / PAGE_BYTES);
	int control = open(argv[2], O_RDONLY), status = open(argv[3], O_RDWR | O_CREAT, 0644);
	memory = mmap(NULL, page_count * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (control < 0 || status < 0 || memory == MAP_FAILED || page_count == 0) return 2;
	/* Pages as small as the tracker's unit: with huge ones the kernel decides how much a write dirties. */
	madvise(memory, page_count * PAGE_BYTES, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < page_count; i++) write_page(i);

	uint64_t last_ns = clock_ns(), told_ns = 0;
	begin_window(0);
	while (mode != EXIT) {
		uint64_t now_ns = clock_ns(), gap_ns = now_ns - last_ns;
		last_ns = now_ns;
		if (gap_ns > now_open.gap_ns) now_open.gap_ns = gap_ns;
		/* A hold is not made up for: else there would be a burst of writes after each. */
		if (gap_ns > STATUS_EVERY_NS) now_open.held_ns += gap_ns;
		if (now_ns - told_ns >= STATUS_EVERY_NS) {
			obey(control);
			tell(status);
			told_ns = now_ns;
		}
		step(now_ns);
	}
	return 0;
}
