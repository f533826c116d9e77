/*
 * holdfast-cell start|adopt ...
 *
 * A cell is the home of one tree: pid, mount and (for the tree only) IPC namespaces of its own. The tree's
 * pids are therefore free again wherever it is restored, and everything of it ends with it.
 * docs/native-programs.md has the contract.
 */
#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "complain.h"

bool receive_message(int channel, struct cell_message *message)
{
	ssize_t length;
	do length = recv(channel, message, sizeof *message, 0);
	while (length < 0 && errno == EINTR);
	return length == (ssize_t)sizeof *message;
}

bool send_message(int channel, const struct cell_message *message)
{
	return send(channel, message, sizeof *message, MSG_NOSIGNAL) == (ssize_t)sizeof *message;
}

void drop_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) die_errno("cannot open /dev/null");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0) die_errno("cannot detach descriptor %d", fd);
	if (null > 2) close(null);
}

int main(int argc, char **argv)
{
	/* Static, because parsing fills NGROUPS_MAX numbers. */
	static struct cell_options options;
	complaint_program = "holdfast-cell";
	secure_descriptors();
	parse_cell_options(argc, argv, &options);
	return supervise(&options);
}
