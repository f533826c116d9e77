#ifndef HOLDFAST_LAZY_H
#define HOLDFAST_LAZY_H

#include <stdbool.h>
#include <sys/types.h>

struct lazy_options {
	const char *socket_path;
	const char *reason_path;
	pid_t init_pid;
};

/* Complains and returns false when they are not what they should be. */
bool parse_lazy_options(int argc, char **argv, struct lazy_options *options);

/* What criu tells whoever serves its pages. */
enum lazy_kind { LAZY_NOTHING, LAZY_PROCESS, LAZY_RESTORED, LAZY_END };
struct lazy_message {
	int pid; /* as the images name it */
	int fd;	 /* its userfaultfd */
};

int listen_for_criu(const char *path);
/* The connection of a peer that is root, or -1. */
int accept_criu(int listener);
enum lazy_kind receive_message(int fd, struct lazy_message *message);

/* Why a tree was ended, for the agent that finds it so. The first reason stays. */
void write_reason(const char *path, const char *reason);

#endif
