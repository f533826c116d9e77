#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The fields of /proc/PID/stat from the third on: the second, the name, may hold blanks and brackets. */
static char *stat_fields(pid_t pid, char *text, size_t size)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return NULL;
	ssize_t length = read(fd, text, size - 1);
	close(fd);
	if (length <= 0) return NULL;
	text[length] = 0;
	char *name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' ? name_end + 2 : NULL;
}

unsigned long long process_start(pid_t pid)
{
	char text[1024];
	char *field = stat_fields(pid, text, sizeof text);
	for (int number = 3; field && number < 22; number++) {
		field = strchr(field, ' ');
		if (field) field++;
	}
	return field ? strtoull(field, NULL, 10) : 0;
}

pid_t process_parent(pid_t pid)
{
	char text[1024];
	char *field = stat_fields(pid, text, sizeof text);
	int parent;
	return field && sscanf(field, "%*c %d", &parent) == 1 ? parent : -1;
}

char process_state(pid_t pid)
{
	char text[1024];
	char *field = stat_fields(pid, text, sizeof text);
	return field ? *field : 0;
}

void each_process(bool (*visit)(pid_t pid, void *context), void *context)
{
	DIR *processes = opendir("/proc");
	if (!processes) return;
	struct dirent *entry;
	while ((entry = readdir(processes))) {
		if (!isdigit((unsigned char)*entry->d_name)) continue;
		if (!visit(atoi(entry->d_name), context)) break;
	}
	closedir(processes);
}
