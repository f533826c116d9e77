/*
 * A process with something that no checkpoint can carry. It prints the number of the descriptor, then goes on printing lines.
 *
 * usage: refused listen PATH     accepts one connection on a UNIX socket, and keeps it
 *        refused connect PATH    is connected to it
 *        refused io_uring        has an io_uring instance
 *        refused renamed PATH    has a file open whose name is gone, and that has another one, PATH.other
 *        refused userfaultfd     has a userfaultfd, which only CRIU refuses, when it meets it
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_US 20000

static int unix_socket(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int accepted(const char *path)
{
	struct sockaddr_un address;
	int listener = unix_socket(path, &address);

	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1))
		return -1;
	puts("listening");
	fflush(stdout);
	return accept(listener, NULL, NULL);
}

static int connected(const char *path)
{
	struct sockaddr_un address;
	int fd = unix_socket(path, &address);

	return connect(fd, (void *)&address, sizeof address) ? -1 : fd;
}

static int ring(void)
{
	struct io_uring_params parameters = { 0 };

	return syscall(SYS_io_uring_setup, 4, &parameters);
}

static int renamed(const char *path)
{
	char other[4096];
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);

	snprintf(other, sizeof other, "%s.other", path);
	return fd < 0 || link(path, other) || unlink(path) ? -1 : fd;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	int fd = -1;

	if (argc > 2 && !strcmp(kind, "listen"))
		fd = accepted(argv[2]);
	else if (argc > 2 && !strcmp(kind, "connect"))
		fd = connected(argv[2]);
	else if (argc > 2 && !strcmp(kind, "renamed"))
		fd = renamed(argv[2]);
	else if (!strcmp(kind, "io_uring"))
		fd = ring();
	else if (!strcmp(kind, "userfaultfd"))
		fd = syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(kind);
		return 2;
	}
	printf("fd %d\n", fd);
	for (long line = 0;; line++) {
		printf("line %ld\n", line);
		fflush(stdout);
		usleep(PAUSE_US);
	}
}
