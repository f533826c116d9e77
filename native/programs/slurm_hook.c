/*
 * holdfast-slurm-hook EVENT [--socket PATH] [--missed PATH]
 *
 * What Slurm's hooks run: tells the node's agent (those of slurmctld: the coordinator), in one line of JSON, what Slurm says in
 * the environment, and prints what it is answered. A hook that fails drains the node, and one that is slow holds up every job; so
 * this one takes LIMIT_MS at most and exits with 0, whatever happens (H1). What root could not tell the agent is written to PATH,
 * where it finds it later.
 * docs/native-programs.md has the contract.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 1500
/* Nothing may hold us up beyond this, not even a file system. */
#define LAST_RESORT_MS 1900
#define MAX_MISSED_BYTES (1 << 20)
#define MAX_VALUE 4096
#define SOCKET_PATH "/run/holdfast/hooks.sock"
#define CONTROLLER_SOCKET_PATH "/run/holdfast/slurmctld.sock"
#define MISSED_PATH "/run/holdfast/missed-hooks"

static const char *const fields[][2] = {
	{"cluster", "SLURM_CLUSTER_NAME"},
	{"jobId", "SLURM_JOB_ID"},
	{"uid", "SLURM_JOB_UID"},
	{"user", "SLURM_JOB_USER"},
	{"nodeList", "SLURM_JOB_NODELIST"},
	{"partition", "SLURM_JOB_PARTITION"},
	{"restartCount", "SLURM_RESTART_COUNT"},
	{"stepId", "SLURM_STEP_ID"},
	{"procId", "SLURM_PROCID"},
	{"taskPid", "SLURM_TASK_PID"},
	{"workDir", "SLURM_JOB_WORK_DIR"},
	{"options", "HOLDFAST_SLURM_OPTIONS"},
	{"own", "HOLDFAST_SLURM_OWN"},
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

static char message[FIELD_COUNT * (6 * MAX_VALUE + 64) + 256];
static size_t length;

static void add(const char *text)
{
	size_t size = strlen(text);
	if (length + size >= sizeof message) return;
	memcpy(message + length, text, size);
	length += size;
}

static void add_string(const char *text)
{
	add("\"");
	for (size_t i = 0; text[i] && i < MAX_VALUE; i++) {
		char one[8];
		unsigned char c = text[i];
		if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
			snprintf(one, sizeof one, "\\u%04x", c);
		else
			snprintf(one, sizeof one, "%c", c);
		add(one);
	}
	add("\"");
}

static void add_field(const char *name, const char *value)
{
	add(length > 1 ? "," : "");
	add_string(name);
	add(":");
	add_string(value);
}

static void compose(const char *event)
{
	add("{");
	add_field("event", event);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const char *value = getenv(fields[i][1]);
		if (value) add_field(fields[i][0], value);
	}
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the socket; false when the time is over. */
static bool ready(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - now_ms();
		struct pollfd wanted = {.fd = fd, .events = events};
		int count = left > 0 ? poll(&wanted, 1, (int)left) : 0;
		if (count > 0) return true;
		if (count == 0 || errno != EINTR) return false;
	}
}

static void print(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(STDOUT_FILENO, text, size);
		if (written <= 0) return;
		text += written;
		size -= written;
	}
}

/* NULL when the message was taken; else why not. */
static const char *tell(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) return "the socket's path is too long";
	strcpy(address.sun_path, path);
	int64_t deadline_ms = now_ms() + LIMIT_MS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return strerror(errno);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		return errno == EAGAIN ? "the agent does not answer" : "no agent runs";
	for (size_t sent = 0; sent < length;) {
		if (!ready(fd, POLLOUT, deadline_ms)) return "the agent does not answer";
		ssize_t count = send(fd, message + sent, length - sent, MSG_NOSIGNAL);
		if (count < 0 && errno != EAGAIN && errno != EINTR) return strerror(errno);
		if (count > 0) sent += count;
	}
	shutdown(fd, SHUT_WR);
	/* "ok", a line end, and what is to be printed. */
	static char answer[8192];
	size_t size = 0;
	while (size < sizeof answer) {
		if (!ready(fd, POLLIN, deadline_ms)) return "the agent does not answer";
		ssize_t count = recv(fd, answer + size, sizeof answer - size, 0);
		if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
		if (count < 0) return strerror(errno);
		if (count == 0) break;
		size += count;
	}
	if (size < 3 || memcmp(answer, "ok\n", 3)) return "the agent refused it";
	print(answer + 3, size - 3);
	return NULL;
}

/* One line more in a file that only root can write. */
static void note_missed(const char *path, const char *why)
{
	length--; /* the line's end */
	length--; /* and that of the object */
	char now[32];
	snprintf(now, sizeof now, "%lld", (long long)time(NULL) * 1000);
	add_field("missedMs", now);
	add_field("why", why);
	add("}\n");
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > MAX_MISSED_BYTES) return;
	if (write(fd, message, length) < 0) return;
}

static void give_up(int signal)
{
	(void)signal;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *event = "", *path = NULL, *missed = MISSED_PATH;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--socket") && i + 1 < argc)
			path = argv[++i];
		else if (!strcmp(argv[i], "--missed") && i + 1 < argc)
			missed = argv[++i];
		else
			event = argv[i];
	}
	signal(SIGALRM, give_up);
	sigset_t alarm_only;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	struct itimerval limit = {.it_value = {LAST_RESORT_MS / 1000, LAST_RESORT_MS % 1000 * 1000}};
	setitimer(ITIMER_REAL, &limit, NULL);

	compose(event);
	add("}\n");
	const char *suffix = strstr(event, "-slurmctld");
	if (!path) path = suffix ? CONTROLLER_SOCKET_PATH : SOCKET_PATH;
	const char *why = tell(path);
	/* A coordinator that was not told asks Slurm itself. */
	if (why && !suffix && geteuid() == 0) note_missed(missed, why);
	return 0;
}
