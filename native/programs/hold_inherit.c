#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "hold.h"

/* For one open only: the path may lead through directories in which the user of the job puts links. */
static void borrow_ids(const struct hold_options *options)
{
	if (setgroups(options->group_count, options->groups) < 0 || setegid(options->gid) < 0 || seteuid(options->uid) < 0)
		die_errno("cannot take the ids of --inherit-as");
}

static void return_ids(void)
{
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0) die_errno("cannot give the ids of --inherit-as back");
}

static int open_output(const char *path)
{
	/* Not blocking, so that a FIFO in place of the file cannot hold us up. */
	mode_t before = umask(022);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0) die_errno("cannot open %s for --inherit", path);
	umask(before);
	struct stat file;
	if (fstat(fd, &file) < 0) die_errno("cannot look at %s for --inherit", path);
	if (!S_ISREG(file.st_mode)) die("%s for --inherit is not a regular file", path);
	if (fcntl(fd, F_SETFL, O_APPEND) < 0) die_errno("cannot set the flags of %s for --inherit", path);
	return fd;
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0) die_errno("cannot open /dev/null");
	return fd;
}

static int open_as_user(const struct hold_options *options, const char *path)
{
	if (!options->has_ids) die("--inherit of %s needs --inherit-as", path);
	borrow_ids(options);
	int fd = open_output(path);
	return_ids();
	return fd;
}

void open_inherited(const struct hold_options *options)
{
	for (int i = 0; i < options->inherit_count; i++) {
		const struct hold_inherit *inherit = &options->inherit[i];
		int fd = strcmp(inherit->path, "/dev/null") ? open_as_user(options, inherit->path) : open_null();
		if (dup2(fd, inherit->fd) < 0) die_errno("cannot give descriptor %d to the program", inherit->fd);
		close(fd);
	}
}
