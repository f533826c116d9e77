#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "complain.h"
#include "hold.h"
#include "process.h"

#define CRIU_END_MS 100

static int connect_to_hold(void)
{
	const char *path = getenv("HOLDFAST_GATE");
	if (!path || strlen(path) >= PATH_MAX) return -1;
	char copy[PATH_MAX];
	strcpy(copy, path);
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = GATE_SOCKET};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || chdir(dirname(copy)) < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return -1;
	return fd;
}

static void fill_message(struct gate_message *message, const char *action)
{
	long long pid = 0;
	memset(message, 0, sizeof *message);
	strncpy(message->action, action, sizeof message->action - 1);
	/* criu does not name the root before it knows it. */
	if (parse_number(getenv("CRTOOLS_INIT_PID"), 1, INT_MAX, &pid)) message->init_pid = pid;
}

/* The answer, or 0 when the hold process ended without one. */
static char wait_for_answer(int fd)
{
	char answer = 0;
	ssize_t length;
	do length = recv(fd, &answer, 1, 0);
	while (length < 0 && errno == EINTR);
	return length == 1 ? answer : 0;
}

/*
 * When watchdog and criu were killed together, nobody else is left to unlock the tree's connections. A process
 * that is killed closes its connections before it is seen to end: so criu gets a moment to do so.
 */
static void unlock_if_alone(int criu)
{
	const char *run_id = getenv("HOLDFAST_RUN_ID");
	struct pollfd end = {.fd = criu, .events = POLLIN};
	char lock_name[LOCK_NAME_SIZE];
	if (criu < 0 || !run_id || strlen(run_id) != UUID_LENGTH || poll(&end, 1, CRIU_END_MS) != 1) return;
	snprintf(lock_name, sizeof lock_name, LOCK_PREFIX "%s", run_id);
	remove_network_lock(lock_name);
}

struct victims {
	pid_t pids[65536];
	size_t count;
};

static bool is_victim(const struct victims *victims, pid_t pid)
{
	for (size_t i = 0; i < victims->count; i++)
		if (victims->pids[i] == pid) return true;
	return false;
}

static bool add_victim(pid_t pid, void *context)
{
	struct victims *victims = context;
	size_t room = sizeof victims->pids / sizeof *victims->pids;
	if (!is_victim(victims, pid) && is_victim(victims, process_parent(pid)) && victims->count < room)
		victims->pids[victims->count++] = pid;
	return true;
}

/*
 * criu 4.2 resumes the tree even when the pre-resume script fails. So the half-restored processes, which criu
 * still keeps stopped, are killed here, and criu finds nothing to resume.
 */
static void kill_restored(pid_t root)
{
	static struct victims victims;
	if (root <= 1) return;
	victims.pids[victims.count++] = root;
	for (size_t before = 0; before != victims.count;) {
		before = victims.count;
		each_process(add_victim, &victims);
	}
	for (size_t i = 0; i < victims.count; i++) kill(victims.pids[i], SIGKILL);
}

int run_action(const char *action)
{
	const char *gated_action = getenv("HOLDFAST_GATED_ACTION");
	/* A criu that runs without a gate is not ours to stop; one that lost its gate's name is. */
	bool gated = !gated_action || !strcmp(action, gated_action);
	struct gate_message message;
	fill_message(&message, action);
	int criu = pidfd_open(getppid(), 0);
	int fd = connect_to_hold();
	bool sent = fd >= 0 && send(fd, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message;
	if (!gated) return 0;
	char answer = sent ? wait_for_answer(fd) : 0;
	if (answer == GATE_PASS) return 0;
	complain("the gate %s failed: %s", action, answer ? "it was not passed" : "the watchdog is gone");
	if (is_restore_gate(action)) kill_restored(message.init_pid);
	if (!answer) unlock_if_alone(criu);
	return 1;
}
