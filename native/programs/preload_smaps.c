/*
 * criu reads /proc/PID/smaps of a held process for the flags of its memory areas. For the sums in the same file, which criu
 * does not use, the kernel walks over every page: 30 ms for each GiB, and the whole job stands still. Areas with their flags
 * can be had without the pages, by a BPF iterator. Whoever asks for less gets it at once.
 *
 * The numbers of the flags are the kernel's own affair. So they are believed only after the flags of criu itself, told
 * in this way, were compared with the kernel's smaps of criu; and a flag that is not known here means the kernel's file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"
#include "preload_areas.h"
#include "preload_smaps.h"

/* By number, as the kernel abbreviates them (show_smap_vma_flags). Some exist only where they are configured. */
static const char names[64][3] = {
	"rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "gd", "um", "pf", "", "uw", "lo", "io", "sr",
	"rr", "dc", "de", "lf", "ac", "nr", "ht", "sf", "ar", "wf", "dd", "sd", "mm", "hg", "nh", "mg",
	[40] = "dp",
};
#define FLAGS (sizeof names / sizeof *names)
/* The page of old system calls is no area: its line is in all such files, the last one. */
#define GATE "[vsyscall]"
#define GATE_FLAGS (1 << 2)

static bool usable;

static bool has_unknown(uint64_t flags)
{
	for (unsigned i = 0; i < FLAGS; i++)
		if ((flags >> i & 1) && !*names[i]) return true;
	return false;
}

static void print_flags(FILE *out, uint64_t flags)
{
	fputs("VmFlags: ", out);
	for (unsigned i = 0; i < FLAGS; i++)
		if (flags >> i & 1) fprintf(out, "%s ", names[i]);
	fputc('\n', out);
}

static FILE *open_text(int base, const char *path)
{
	int fd = (int)next_syscall(SYS_openat, base, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) return NULL;
	FILE *file = fdopen(fd, "r");
	if (!file) close(fd);
	return file;
}

/* Every line of maps with the flags of its area; false when the two do not belong together. */
static bool merge(FILE *maps, const struct area *areas, size_t count, FILE *out)
{
	char *line = NULL;
	size_t size = 0, next = 0;
	bool fits = true;
	while (fits && getline(&line, &size, maps) > 0) {
		unsigned long long start, end;
		uint64_t flags = GATE_FLAGS;
		if (sscanf(line, "%llx-%llx ", &start, &end) != 2) fits = false;
		else if (next < count && areas[next].start == start && areas[next].end == end) flags = areas[next++].flags;
		else if (!strstr(line, GATE)) fits = false;
		fits = fits && !has_unknown(flags);
		fputs(line, out);
		print_flags(out, flags);
	}
	free(line);
	return fits && next == count && !ferror(maps);
}

static bool write_smaps(int base, int pid, FILE *out)
{
	size_t count;
	struct area *areas = read_areas(pid, &count);
	FILE *maps = areas ? open_text(base, "maps") : NULL;
	bool whole = maps && merge(maps, areas, count, out);
	if (maps) fclose(maps);
	free(areas);
	return whole && fflush(out) == 0 && !ferror(out);
}

/* The number in the name of a process's directory in /proc; 0 when it is none. */
static int pid_of_directory(int base)
{
	char link[64], name[512];
	snprintf(link, sizeof link, "/proc/self/fd/%d", base);
	ssize_t length = readlink(link, name, sizeof name - 1);
	if (length <= 0) return 0;
	name[length] = 0;
	const char *last = strrchr(name, '/');
	return last ? atoi(last + 1) : 0;
}

int open_smaps(int base, const char *path, int flags)
{
	if (!usable || base < 0 || strcmp(path, "smaps") || (flags & O_ACCMODE) != O_RDONLY) return -1;
	int reason = errno, pid = pid_of_directory(base);
	int fd = pid > 0 ? (int)next_syscall(SYS_memfd_create, "smaps", flags & O_CLOEXEC ? MFD_CLOEXEC : 0) : -1;
	int other = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *out = other < 0 ? NULL : fdopen(other, "w");
	bool whole = out && write_smaps(base, pid, out);
	if (out) fclose(out);
	else if (other >= 0) close(other);
	if (fd >= 0 && (!whole || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	errno = reason;
	return fd;
}

/* The lines of a smaps that criu takes something from, one after the other. False at the end. */
static bool next_used_line(FILE *smaps, char **line, size_t *size)
{
	while (getline(line, size, smaps) > 0) {
		bool is_area = strchr("0123456789abcdef", **line) != NULL;
		if (is_area || !strncmp(*line, "VmFlags:", 8)) return true;
	}
	return false;
}

/* Whether what is told about this very process is what the kernel tells. */
static bool agree(FILE *told, FILE *kernel)
{
	char *mine = NULL, *theirs = NULL;
	size_t my_size = 0, their_size = 0, lines = 0;
	bool same = true, more = true;
	while (same && more) {
		more = next_used_line(told, &mine, &my_size);
		same = next_used_line(kernel, &theirs, &their_size) == more && (!more || !strcmp(mine, theirs));
		lines += more;
	}
	free(mine);
	free(theirs);
	return same && lines > 0;
}

void prepare_smaps(void)
{
	if (!prepare_areas()) return;
	int base = (int)next_syscall(SYS_openat, AT_FDCWD, "/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	char *text = NULL;
	size_t size = 0;
	FILE *told = open_memstream(&text, &size), *kernel = base < 0 ? NULL : open_text(base, "smaps");
	/* What is compared must not change meanwhile: the buffers are there before. */
	bool written = told && kernel && write_smaps(base, getpid(), told);
	if (told) fclose(told);
	FILE *again = written ? fmemopen(text, size, "r") : NULL;
	usable = again && agree(again, kernel);
	if (again) fclose(again);
	if (kernel) fclose(kernel);
	if (base >= 0) close(base);
	free(text);
}
