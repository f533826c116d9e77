/* criu's side of a lazy restore: for each process its pid, then its userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "complain.h"
#include "lazy.h"

/* criu's word for "all processes are restored": "FTSR" in memory. */
#define RESTORED 0x52535446

bool parse_lazy_options(int argc, char **argv, struct lazy_options *options)
{
	long long pid = 0;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--socket")) options->socket_path = argv[i + 1];
		else if (!strcmp(argv[i], "--reason-file")) options->reason_path = argv[i + 1];
		else if (!strcmp(argv[i], "--init-pid") && parse_number(argv[i + 1], 2, INT_MAX, &pid)) options->init_pid = (pid_t)pid;
		else pid = -1;
	}
	if (argc == 7 && pid > 1 && options->socket_path && options->reason_path) return true;
	complain("usage: holdfast-lazy --socket PATH --reason-file PATH --init-pid PID");
	return false;
}

int listen_for_criu(const char *path)
{
	char directory[PATH_MAX], name[PATH_MAX];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* By its last part: a whole path may be too long for an address. */
	snprintf(directory, sizeof directory, "%s", path);
	snprintf(name, sizeof name, "%s", path);
	snprintf(address.sun_path, sizeof address.sun_path, "%.100s", basename(name));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || chdir(dirname(directory)) < 0) die_errno("cannot enter the directory of %s", path);
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0) die_errno("cannot listen on %s", path);
	if (chdir("/") < 0) die_errno("cannot leave the directory of %s", path);
	return fd;
}

int accept_criu(int listener)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0) return fd;
	close(fd);
	return -1;
}

static int receive_descriptor(int fd)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t length;
	do length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return -1;
	int received;
	memcpy(&received, CMSG_DATA(header), sizeof received);
	return received;
}

enum lazy_kind receive_message(int fd, struct lazy_message *message)
{
	int32_t word;
	ssize_t length;
	do length = recv(fd, &word, sizeof word, MSG_WAITALL);
	while (length < 0 && errno == EINTR);
	if (length != sizeof word) return LAZY_END;
	if (word == RESTORED) return LAZY_RESTORED;
	/* A process that had ended already has no memory. */
	if (word <= 0) return LAZY_NOTHING;
	*message = (struct lazy_message){.pid = word, .fd = receive_descriptor(fd)};
	if (message->fd >= 0) return LAZY_PROCESS;
	complain("criu sent no userfaultfd for process %d", word);
	return LAZY_END;
}

void write_reason(const char *path, const char *reason)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) return;
	if (write(fd, reason, strlen(reason)) < 0) complain_errno("cannot write %s", path);
	close(fd);
}
