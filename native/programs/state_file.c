#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t written = write(fd, text, left);
		if (written < 0 && errno == EINTR) continue;
		if (written < 0) return false;
		text += written;
		left -= written;
	}
	return true;
}

bool write_state_file(int dir_fd, const char *name, const char *text)
{
	char temporary[64];
	snprintf(temporary, sizeof temporary, ".%s.%d", name, (int)getpid());
	int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) return false;
	bool done = write_all(fd, text);
	/* close() may be where a network file system reports that it has no room. */
	if (close(fd) < 0) done = false;
	if (done && renameat(dir_fd, temporary, dir_fd, name) == 0) return true;
	int cause = errno;
	unlinkat(dir_fd, temporary, 0);
	errno = cause;
	return false;
}
