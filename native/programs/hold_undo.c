#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "complain.h"
#include "hold.h"
#include "process.h"

/* Off without a window probe: at the gate the network is still locked. The kernel's -1 (linux/tcp.h). */
#define REPAIR_OFF_NO_PROBE -1

static void end_repair_of_socket(int fd)
{
	int protocol = 0, repair = 0;
	socklen_t length = sizeof protocol;
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) < 0 || protocol != IPPROTO_TCP) return;
	length = sizeof repair;
	if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &repair, &length) < 0 || !repair) return;
	int off = REPAIR_OFF_NO_PROBE, reuse = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off) < 0) complain_errno("cannot end TCP repair");
	/* Repair mode forgot this option. Set, it cannot keep the program from listening on its port again. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
}

static void end_repair_of_process(pid_t pid)
{
	char path[64], target[64];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *descriptors = opendir(path);
	if (!descriptors) return;
	int process = pidfd_open(pid, 0);
	struct dirent *entry;
	while (process >= 0 && (entry = readdir(descriptors))) {
		if (!isdigit((unsigned char)*entry->d_name)) continue;
		ssize_t length = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target);
		if (length < 8 || strncmp(target, "socket:[", 8)) continue;
		int copy = pidfd_getfd(process, atoi(entry->d_name), 0);
		if (copy < 0) continue;
		end_repair_of_socket(copy);
		close(copy);
	}
	if (process >= 0) close(process);
	closedir(descriptors);
}

struct scope {
	/* Root of the tree, or 0 for the whole pid namespace. */
	pid_t root;
	struct stat pid_namespace;
};

static bool descends_from(pid_t pid, pid_t root)
{
	while (pid > 1 && pid != root) pid = process_parent(pid);
	return pid == root;
}

static bool visit(pid_t pid, void *context)
{
	struct scope *scope = context;
	char path[64];
	struct stat own;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
	if (scope->root ? !descends_from(pid, scope->root)
			: stat(path, &own) < 0 || own.st_dev != scope->pid_namespace.st_dev ||
				  own.st_ino != scope->pid_namespace.st_ino)
		return true;
	end_repair_of_process(pid);
	return true;
}

void end_tcp_repair(pid_t tree_root, pid_t namespace_of)
{
	char path[64];
	struct scope scope = {.root = tree_root};
	snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)namespace_of);
	if (!tree_root && (!namespace_of || stat(path, &scope.pid_namespace) < 0)) return;
	each_process(visit, &scope);
}

static const char *find_nft(void)
{
	static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (access(places[i], X_OK) == 0) return places[i];
	return NULL;
}

/* Returns nft's exit code, -1 when it did not run. Its own messages are not wanted. */
static int run_nft(const char *nft, const char *verb, const char *table)
{
	pid_t pid = fork();
	if (pid == 0) {
		char *const environment[] = {NULL};
		int null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(127);
		execle(nft, nft, verb, "table", "inet", table, (char *)NULL, environment);
		_exit(127);
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
	return WEXITSTATUS(status);
}

void remove_network_lock(const char *lock_name)
{
	char cut[CUT_LOCK_NAME_LENGTH + 1];
	snprintf(cut, sizeof cut, "%s", lock_name);
	const char *nft = find_nft();
	if (!nft) {
		complain("cannot remove the network lock %s: there is no nft", lock_name);
		return;
	}
	/* Deleting first, as the tree's packets are dropped meanwhile; absent is fine, but failed is not. */
	bool deleted = run_nft(nft, "delete", cut) == 0 || run_nft(nft, "delete", lock_name) == 0;
	if (!deleted && run_nft(nft, "list", cut) == 0) complain("cannot delete the nftables table inet %s", cut);
}
