/*
 * paths STATUS_FILE STOP_FILE [relative]: a victim that holds every kind of thing that has a path, below its working
 * directory; or `relative` only, and an unnamed mapping.
 * It counts in its shared mapping and says the count in STATUS_FILE (always 32 bytes). When STOP_FILE appears, it
 * tries all that it holds: exit code 42, or 90 with a line on stderr that names what is not as it was.
 *
 *	mapped             mapped shared, its descriptor closed
 *	below/held         open; below is open too, as a directory and with O_PATH
 *	readonly           mode 0444, and open for writing
 *	deleted/file       open without a name; so are a file that never had one (O_TMPFILE) and the directory `empty`
 *	renamed            open by the name `named`, which is gone
 *	fifo, a terminal   open at both ends
 *	sockets/listening  bound by its full path, with a connection to itself
 *	sockets/through    bound by its full path, which leads through the symbolic link `way`
 *	relative           bound by its name only
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define PAGE 4096
#define FILES 5
#define LISTENERS 3

static const char *const file_names[FILES] = {"below/held", "readonly", "deleted/file", "nameless", "named"};
static char listener_names[LISTENERS][108] = {"sockets/listening", "way/through", "relative"};
static int files[FILES], listeners[LISTENERS], directories[3], fifo, terminal, master, client, server;
static volatile unsigned char *mapped;

static int sure(int result, const char *what)
{
	if (result >= 0) return result;
	fprintf(stderr, "paths: %s: %s\n", what, strerror(errno));
	exit(90);
}

static int make_file(const char *path, int flags, mode_t mode)
{
	char page[PAGE];
	memset(page, '.', sizeof page);
	int fd = sure(open(path, O_RDWR | flags, mode), path);
	sure(write(fd, page, sizeof page) == sizeof page ? 0 : -1, path);
	return fd;
}

static void map(int flags, int fd)
{
	void *address = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	sure(address == MAP_FAILED ? -1 : 0, "mapped");
	mapped = address;
}

static void make_files(void)
{
	int fd = make_file("mapped", O_CREAT, 0644);
	map(MAP_SHARED, fd);
	close(fd);
	files[0] = make_file(file_names[0], O_CREAT, 0644);
	files[1] = make_file(file_names[1], O_CREAT, 0444);
	files[2] = make_file(file_names[2], O_CREAT, 0640);
	files[3] = make_file(".", O_TMPFILE, 0600);
	files[4] = make_file(file_names[4], O_CREAT, 0644);
	sure(unlink(file_names[2]), file_names[2]);
	sure(link(file_names[4], "renamed"), "renamed");
	sure(unlink(file_names[4]), file_names[4]);
}

static void make_directories(void)
{
	const char *const names[] = {"below", "deleted", "sockets", "empty"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) sure(mkdir(names[i], 0755), names[i]);
	sure(symlink("sockets", "way"), "way");
	directories[0] = sure(open("below", O_RDONLY | O_DIRECTORY), "below");
	directories[1] = sure(open("below", O_PATH), "below");
	directories[2] = sure(open("empty", O_RDONLY | O_DIRECTORY), "empty");
	sure(rmdir("empty"), "empty");
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = sure(socket(AF_UNIX, SOCK_STREAM, 0), path);
	sure(connect(fd, (struct sockaddr *)&address, sizeof address), path);
	return fd;
}

static void make_absolute(char name[108])
{
	char here[PATH_MAX], path[PATH_MAX + 108];
	sure(getcwd(here, sizeof here) ? 0 : -1, "getcwd");
	int length = snprintf(path, sizeof path, "%s/%s", here, name);
	sure(length < 108 ? 0 : -1, "the length of a socket's name");
	strcpy(name, path);
}

static void make_listener(int i)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, listener_names[i]);
	listeners[i] = sure(socket(AF_UNIX, SOCK_STREAM, 0), listener_names[i]);
	sure(bind(listeners[i], (struct sockaddr *)&address, sizeof address), listener_names[i]);
	sure(listen(listeners[i], 5), listener_names[i]);
}

static void make_sockets(void)
{
	make_absolute(listener_names[0]);
	make_absolute(listener_names[1]);
	for (int i = 0; i < LISTENERS; i++) make_listener(i);
	client = connect_to(listener_names[0]);
	server = sure(accept(listeners[0], NULL, NULL), listener_names[0]);
}

static void make_terminal(void)
{
	struct termios raw;
	master = sure(posix_openpt(O_RDWR | O_NOCTTY), "terminal");
	sure(grantpt(master) | unlockpt(master), "terminal");
	terminal = sure(open(ptsname(master), O_RDWR | O_NOCTTY), "terminal");
	sure(tcgetattr(terminal, &raw), "terminal");
	cfmakeraw(&raw);
	sure(tcsetattr(terminal, TCSANOW, &raw), "terminal");
}

static void carries(int from, int to, const char *what)
{
	char letter = 0;
	sure(write(from, "x", 1) == 1 && read(to, &letter, 1) == 1 && letter == 'x' ? 0 : -1, what);
}

static void try_all(void)
{
	char page[PAGE + 1];
	for (int i = 0; i < FILES; i++) {
		sure(pread(files[i], page, sizeof page, 0) == PAGE && page[PAGE - 1] == '.' ? 0 : -1, file_names[i]);
		sure(pwrite(files[i], "x", 1, 0) == 1 ? 0 : -1, file_names[i]);
	}
	sure(openat(directories[0], "held", O_RDONLY), "below");
	sure(openat(directories[1], "held", O_RDONLY), "below with O_PATH");
	struct stat status;
	sure(fstat(directories[2], &status) == 0 && S_ISDIR(status.st_mode) ? 0 : -1, "empty");
	carries(fifo, fifo, "fifo");
	carries(terminal, master, "terminal");
	carries(client, server, "the connection");
	for (int i = 0; i < LISTENERS; i++) {
		int caller = connect_to(listener_names[i]);
		carries(caller, sure(accept(listeners[i], NULL, NULL), listener_names[i]), listener_names[i]);
	}
}

static void make_all(void)
{
	make_directories();
	make_files();
	make_sockets();
	make_terminal();
	sure(mkfifo("fifo", 0600), "fifo");
	fifo = sure(open("fifo", O_RDWR), "fifo");
}

static void make_relative(void)
{
	map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	make_listener(2);
}

int main(int argc, char **argv)
{
	if (argc < 3) return 1;
	int status = sure(open(argv[1], O_WRONLY | O_CREAT, 0644), argv[1]);
	if (argc == 3) make_all();
	else make_relative();
	for (unsigned count = 1; access(argv[2], F_OK) < 0; count++) {
		char line[33];
		mapped[0] = (unsigned char)count;
		snprintf(line, sizeof line, "%-31u\n", count);
		sure(pwrite(status, line, 32, 0) == 32 ? 0 : -1, argv[1]);
		usleep(2000);
	}
	if (argc == 3) try_all();
	return 42;
}
