#include "groups.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"

#define LONGEST_LINE 8192

/* Whether a list "a,b,c" has the item. */
static bool has_item(const char *list, const char *item)
{
	size_t length = strlen(item);
	for (const char *at = list; (at = strstr(at, item)); at += length)
		if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ',' || at[length] == '\n')) return true;
	return false;
}

/* The rest of a path below a mounted root; NULL when it is not below. */
static const char *below(const char *path, const char *root)
{
	if (!strcmp(root, "/")) return path;
	size_t length = strlen(root);
	if (strncmp(path, root, length) || (path[length] && path[length] != '/')) return NULL;
	return path + length;
}

/*
 * The directory of a group, from the mount table (proc_pid_mountinfo(5)).
 * controllers: a list whose first item is looked for; empty for version 2.
 */
static bool find_group(const char *controllers, const char *path, char *group, size_t size)
{
	char line[LONGEST_LINE], root[LONGEST_LINE], mount[LONGEST_LINE], type[32], options[LONGEST_LINE], first[128];
	bool is_v2 = !*controllers, found = false;
	snprintf(first, sizeof first, "%.*s", (int)strcspn(controllers, ","), controllers);
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts) die_errno("cannot read /proc/self/mountinfo");
	while (!found && fgets(line, sizeof line, mounts)) {
		char *kind = strstr(line, " - ");
		if (!kind || sscanf(line, "%*s %*s %*s %8191s %8191s", root, mount) != 2) continue;
		if (sscanf(kind + 3, "%31s %*s %8191s", type, options) != 2) continue;
		if (strcmp(type, is_v2 ? "cgroup2" : "cgroup") || (!is_v2 && !has_item(options, first))) continue;
		const char *rest = below(path, root);
		found = rest && snprintf(group, size, "%s%s", mount, rest) < (int)size;
	}
	fclose(mounts);
	return found;
}

static void join_group(const char *group)
{
	char path[2 * LONGEST_LINE];
	snprintf(path, sizeof path, "%s/cgroup.procs", group);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	/* 0 is the writer itself, whatever its pid is. */
	if (fd < 0 || write(fd, "0", 1) != 1) die_errno("cannot enter the control group %s", group);
	close(fd);
}

void join_groups(pid_t pid)
{
	char name[64], line[LONGEST_LINE], group[2 * LONGEST_LINE - 16];
	snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
	FILE *memberships = fopen(name, "re");
	if (!memberships) die_errno("cannot read %s", name);
	while (fgets(line, sizeof line, memberships)) {
		line[strcspn(line, "\n")] = 0;
		char *rest = line;
		strsep(&rest, ":");
		char *controllers = strsep(&rest, ":");
		/* "/../" is outside of what this process's control group namespace shows. */
		if (!controllers || !rest || strstr(rest, "/../")) continue;
		if (find_group(controllers, rest, group, sizeof group)) join_group(group);
	}
	fclose(memberships);
}
