/*
 * areas: makes a child with memory areas of every kind and prints its smaps twice, each time behind a line "== NAME": as the
 * kernel has it ("kernel"), and as libc's openat gives it relative to the child's directory in /proc, which is how criu
 * opens it ("criu").
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define AREA_BYTES (16 * 4096ul)
#define MANY_AREAS 5000

static void *area(int protection, int flags)
{
	void *memory = mmap(NULL, AREA_BYTES, protection, flags | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) exit(2);
	return memory;
}

static void make_areas(const char *own_path)
{
	static const int advice[] = {
		MADV_SEQUENTIAL, MADV_RANDOM,	  MADV_DONTFORK,  MADV_WIPEONFORK,
		MADV_DONTDUMP,	 MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_MERGEABLE,
	};
	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
		madvise(area(PROT_READ | PROT_WRITE, MAP_PRIVATE), AREA_BYTES, advice[i]);
	area(PROT_NONE, MAP_PRIVATE);
	area(PROT_READ, MAP_PRIVATE | MAP_NORESERVE);
	area(PROT_READ | PROT_WRITE, MAP_SHARED);
	area(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN);
	mlock(area(PROT_READ | PROT_WRITE, MAP_PRIVATE), AREA_BYTES);
	int file = open(own_path, O_RDONLY);
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
	int memory = memfd_create("areas", 0);
	if (ftruncate(memory, 4096) == 0) mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	memset(area(PROT_READ | PROT_WRITE, MAP_PRIVATE), 1, AREA_BYTES);
	/* So many that the kernel tells them in several parts. Neighbours that differ stay apart. */
	for (int i = 0; i < MANY_AREAS; i++) area(i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE);
}

static void print_file(const char *name, int fd)
{
	char text[4096];
	ssize_t length;
	if (fd < 0) exit(3);
	printf("== %s\n", name);
	while ((length = read(fd, text, sizeof text)) > 0) fwrite(text, 1, (size_t)length, stdout);
	close(fd);
}

int main(int argc, char **argv)
{
	int ready[2];
	char path[64], byte;
	if (argc < 1 || pipe(ready)) return 2;
	pid_t child = fork();
	if (child == 0) {
		make_areas(argv[0]);
		if (write(ready[1], "x", 1) != 1) _exit(2);
		for (;;) pause();
	}
	if (read(ready[0], &byte, 1) != 1) return 2;
	kill(child, SIGSTOP);
	waitpid(child, NULL, WUNTRACED);
	snprintf(path, sizeof path, "/proc/%d", (int)child);
	int directory = open(path, O_RDONLY | O_DIRECTORY);
	print_file("kernel", (int)syscall(SYS_openat, directory, "smaps", O_RDONLY));
	print_file("criu", openat(directory, "smaps", O_RDONLY));
	fflush(stdout);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
