/* The processes of a tree that is held: none of them comes or goes meanwhile. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "preload_tree.h"

struct pids {
	pid_t *list;
	size_t count, room;
};

static bool add(struct pids *pids, pid_t pid)
{
	if (pids->count == pids->room) {
		size_t room = pids->room ? pids->room * 2 : 64;
		pid_t *larger = realloc(pids->list, room * sizeof *larger);
		if (!larger) return false;
		pids->list = larger;
		pids->room = room;
	}
	pids->list[pids->count++] = pid;
	return true;
}

static bool add_children_of_thread(struct pids *pids, pid_t pid, const char *thread)
{
	char path[320];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, thread);
	FILE *children = fopen(path, "re");
	if (!children) return false;
	bool good = true;
	while (good && fscanf(children, "%d", &child) == 1) good = add(pids, child);
	good = good && !ferror(children);
	fclose(children);
	return good;
}

static bool add_children(struct pids *pids, pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *threads = opendir(path);
	if (!threads) return false;
	bool good = true;
	for (struct dirent *entry; good && (entry = readdir(threads));) {
		if (isdigit((unsigned char)entry->d_name[0])) good = add_children_of_thread(pids, pid, entry->d_name);
	}
	closedir(threads);
	return good;
}

pid_t *read_tree(pid_t root, size_t *count)
{
	struct pids pids = {NULL, 0, 0};
	bool good = add(&pids, root);
	for (size_t next = 0; good && next < pids.count; next++) good = add_children(&pids, pids.list[next]);
	if (!good) {
		free(pids.list);
		return NULL;
	}
	*count = pids.count;
	return pids.list;
}
