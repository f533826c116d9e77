/*
 * Shared memory without a file (MAP_SHARED | MAP_ANONYMOUS, memfd): criu asks such a segment where its data is and stores that. A
 * segment whose data the engine can read and write back through writable maps of the tree's processes is told to have none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#include "preload.h"
#include "preload_segments.h"
#include "preload_tree.h"

/* Bytes of a segment, from start to before end. */
struct part {
	uint64_t start, end;
};

struct parts {
	struct part *list;
	size_t count, room;
};

struct answer {
	ino_t inode;
	bool hollow;
	struct answer *next;
};

static const char *record;
static pid_t root;
static struct answer *answers;

void prepare_segments(void)
{
	const char *tree = getenv("HOLDFAST_TREE");
	record = getenv("HOLDFAST_SEGMENTS");
	root = tree ? atoi(tree) : 0;
}

/* The kernel keeps memory without a file on a file system of its own, where a memfd is, too. */
static bool find_device(dev_t *device)
{
	static dev_t known;
	if (!known) {
		struct stat made;
		int fd = memfd_create("holdfast", MFD_CLOEXEC);
		if (fd < 0) return false;
		if (fstat(fd, &made) == 0) known = made.st_dev;
		close(fd);
	}
	*device = known;
	return known != 0;
}

/* Segments of System V have numbers of their own, which others may have, too: criu carries them. */
static bool is_system_v(const char *name)
{
	return !strncmp(name, "/SYSV", 5);
}

static bool add_part(struct parts *parts, uint64_t start, uint64_t end)
{
	if (parts->count == parts->room) {
		size_t room = parts->room ? parts->room * 2 : 64;
		struct part *larger = realloc(parts->list, room * sizeof *larger);
		if (!larger) return false;
		parts->list = larger;
		parts->room = room;
	}
	parts->list[parts->count++] = (struct part){start, end};
	return true;
}

/* One line of /proc/PID/maps: its part of the segment, when it can be read and written. */
static bool add_map(struct parts *parts, const char *line, const struct stat *segment)
{
	unsigned long start, end, offset, inode;
	unsigned int major_number, minor_number;
	char permissions[5];
	int name = 0;
	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &start, &end, permissions, &offset, &major_number, &minor_number,
		   &inode, &name) < 7)
		return true;
	if (strncmp(permissions, "rw", 2) || permissions[3] != 's' || inode != segment->st_ino ||
	    makedev(major_number, minor_number) != segment->st_dev || is_system_v(line + name))
		return true;
	return add_part(parts, offset, offset + (end - start));
}

static bool add_maps(struct parts *parts, pid_t pid, const struct stat *segment)
{
	char path[64], *line = NULL;
	size_t room = 0;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps) return false;
	bool good = true;
	while (good && getline(&line, &room, maps) > 0) good = add_map(parts, line, segment);
	good = good && !ferror(maps);
	free(line);
	fclose(maps);
	return good;
}

static int by_start(const void *left, const void *right)
{
	const struct part *a = left, *b = right;
	return (a->start > b->start) - (a->start < b->start);
}

/* Whether the parts, which ascend by their starts, have all of the range. */
static bool covers(const struct parts *parts, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < parts->count && start < end && parts->list[i].start <= start; i++) {
		if (parts->list[i].end > start) start = parts->list[i].end;
	}
	return start >= end;
}

/* Whether all data of the segment is in the parts. */
static bool covers_data(const struct parts *parts, int fd)
{
	off_t position = 0;
	for (;;) {
		off_t data = next_lseek(fd, position, SEEK_DATA);
		if (data < 0) return errno == ENXIO;
		off_t hole = next_lseek(fd, data, SEEK_HOLE);
		if (hole <= data || !covers(parts, (uint64_t)data, (uint64_t)hole)) return false;
		position = hole;
	}
}

static bool is_mapped_by_tree(int fd, const struct stat *segment)
{
	struct parts parts = {NULL, 0, 0};
	size_t count = 0;
	pid_t *pids = read_tree(root, &count);
	bool good = pids != NULL;
	for (size_t i = 0; good && i < count; i++) good = add_maps(&parts, pids[i], segment);
	if (good && parts.count) qsort(parts.list, parts.count, sizeof *parts.list, by_start);
	good = good && parts.count && covers_data(&parts, fd);
	free(pids);
	free(parts.list);
	return good;
}

/* What is not on record is criu's to carry. */
static bool put_on_record(const struct stat *segment)
{
	char line[64];
	int length = snprintf(line, sizeof line, "%u:%u %llu\n", major(segment->st_dev), minor(segment->st_dev),
			      (unsigned long long)segment->st_ino);
	int file = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0) return false;
	bool written = write(file, line, (size_t)length) == length;
	return close(file) == 0 && written;
}

/* By a file description of our own: the position of criu's may be one that the job shares. */
static bool decide(int fd, const struct stat *segment)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0) return false;
	bool good = is_mapped_by_tree(own, segment) && put_on_record(segment);
	close(own);
	return good;
}

bool is_hollow_segment(int fd)
{
	struct stat segment;
	dev_t device;
	char path[64], name[16];
	if (!record || root <= 0 || fstat(fd, &segment) < 0 || !S_ISREG(segment.st_mode)) return false;
	if (!find_device(&device) || segment.st_dev != device) return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(path, name, sizeof name - 1);
	if (length <= 0) return false;
	name[length] = 0;
	if (is_system_v(name)) return false;
	for (const struct answer *known = answers; known; known = known->next) {
		if (known->inode == segment.st_ino) return known->hollow;
	}
	struct answer *answer = malloc(sizeof *answer);
	if (!answer) return false;
	*answer = (struct answer){segment.st_ino, decide(fd, &segment), answers};
	answers = answer;
	return answer->hollow;
}
