#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell.h"
#include "complain.h"

/* More than the kernel lets a program have with its arguments (3/4 of an 8 MiB stack). */
#define LARGEST_ENVIRONMENT (6 << 20)

static char *read_all(int fd, size_t *length)
{
	char *text = malloc(LARGEST_ENVIRONMENT);
	if (!text) die_errno("cannot keep the environment of the job");
	*length = 0;
	for (;;) {
		if (*length == LARGEST_ENVIRONMENT) die("the environment of the job has more than %d bytes", LARGEST_ENVIRONMENT);
		ssize_t got = read(fd, text + *length, LARGEST_ENVIRONMENT - *length);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) die_errno("cannot read the environment of the job");
		if (got == 0) return text;
		*length += got;
	}
}

/*
 * The user chooses the job's environment, and LD_PRELOAD in it must not reach a program that runs as root. So it
 * need not be the environment of this one.
 */
char **read_environment(int fd)
{
	size_t length, count = 0;
	char *text = read_all(fd, &length);
	/* Without its last NUL it is the beginning of one whose writer died. */
	if (length && text[length - 1]) die("the environment of the job ends in the middle of an entry");
	for (size_t i = 0; i < length; i++) count += !text[i];
	char **environment = calloc(count + 1, sizeof *environment);
	if (!environment) die_errno("cannot keep the environment of the job");
	char *entry = text;
	for (size_t i = 0; i < count; i++) {
		if (!strchr(entry, '=') || *entry == '=') die("entry %zu of the environment of the job is not NAME=VALUE", i + 1);
		environment[i] = entry;
		entry += strlen(entry) + 1;
	}
	return environment;
}
