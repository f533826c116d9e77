#include "remote_proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void parse_line(const char *line, struct remote_status *status)
{
	const char *colon = strchr(line, ':');
	if (!colon) return;
	size_t length = (size_t)(colon - line);
	const char *value = colon + 1 + strspn(colon + 1, " \t");
#define IS(name) (length == sizeof name - 1 && !memcmp(line, name, length))
	if (IS("State")) status->state = *value;
	else if (IS("Tgid")) status->process = atoi(value);
	else if (IS("TracerPid")) status->tracer = atoi(value);
	else if (IS("Seccomp")) status->seccomp = atoi(value);
	else if (IS("SigPnd")) status->pending = strtoull(value, NULL, 16);
	else if (IS("ShdPnd")) status->shared_pending = strtoull(value, NULL, 16);
#undef IS
}

bool remote_status(pid_t tid, struct remote_status *status)
{
	char path[64], text[8192];
	*status = (struct remote_status){0};
	snprintf(path, sizeof path, "/proc/%d/status", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	if (length <= 0) return false;
	text[length] = 0;
	for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) parse_line(line, status);
	return true;
}

static uint64_t find_instruction(int memory, uint64_t start, uint64_t end)
{
	static const unsigned char instruction[] = {0x0f, 0x05};
	unsigned char block[16384];
	while (start + sizeof instruction <= end) {
		size_t wanted = end - start < sizeof block ? end - start : sizeof block;
		ssize_t got = pread(memory, block, wanted, (off_t)start);
		if (got < (ssize_t)sizeof instruction) return 0;
		const unsigned char *found = memmem(block, (size_t)got, instruction, sizeof instruction);
		if (found) return start + (uint64_t)(found - block);
		/* It may lie across two blocks. */
		start += (uint64_t)got - 1;
	}
	return 0;
}

/* One pass over the maps: the vdso's instruction at once, else the first one in a mapped file. */
static uint64_t search_maps(FILE *maps, int memory)
{
	char line[4400];
	uint64_t in_file = 0;
	while (fgets(line, sizeof line, maps)) {
		unsigned long long start, end, inode;
		char rights[5];
		if (sscanf(line, "%llx-%llx %4s %*s %*s %llu", &start, &end, rights, &inode) != 4) continue;
		if (rights[2] != 'x' || rights[0] != 'r') continue;
		if (strstr(line, " [vdso]")) {
			uint64_t found = find_instruction(memory, start, end);
			if (found) return found;
		} else if (inode && !in_file) {
			in_file = find_instruction(memory, start, end);
		}
	}
	return in_file;
}

uint64_t remote_syscall_address(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	if (memory < 0) return 0;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	uint64_t found = maps ? search_maps(maps, memory) : 0;
	if (maps) fclose(maps);
	close(memory);
	return found;
}
