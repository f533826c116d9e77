#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell.h"
#include "complain.h"

/* Largest pid the kernel can ever be set to give (PID_MAX_LIMIT). */
#define LARGEST_PID 4194303
#define LARGEST_ID 4294967294LL

enum { DIR_ = 1, ROOT_PROGRAM, STAY, UID_, GID_, GROUPS, CWD, OUTPUT, FIRST_PID, ENVIRONMENT, LIKE, ROOT_PID };

static const struct option known[] = {
	{"dir", required_argument, NULL, DIR_},
	{"first-pid", required_argument, NULL, FIRST_PID},
	{"root-pid", required_argument, NULL, ROOT_PID},
	{"root-program", required_argument, NULL, ROOT_PROGRAM},
	{"stay", no_argument, NULL, STAY},
	{"uid", required_argument, NULL, UID_},
	{"gid", required_argument, NULL, GID_},
	{"groups", required_argument, NULL, GROUPS},
	{"cwd", required_argument, NULL, CWD},
	{"output", required_argument, NULL, OUTPUT},
	{"environment-from-stdin", no_argument, NULL, ENVIRONMENT},
	{"like", required_argument, NULL, LIKE},
	{0},
};

static long long number_option(const char *name, const char *text, long long min, long long max)
{
	long long number;
	if (!parse_number(text, min, max, &number)) die("--%s wants a number from %lld to %lld, not '%s'", name, min, max, text);
	return number;
}

static const char *absolute_option(const char *name, const char *text)
{
	if (*text != '/') die("--%s wants an absolute path, not '%s'", name, text);
	return text;
}

static void parse_groups(const char *text, struct cell_options *options)
{
	char *copy = strdup(text), *rest = copy, *item;
	if (!copy) die_errno("cannot keep --groups");
	options->group_count = 0;
	while (*text && (item = strsep(&rest, ","))) {
		if (options->group_count == NGROUPS_MAX) die("--groups names more than %d groups", NGROUPS_MAX);
		options->groups[options->group_count++] = number_option("groups", item, 0, LARGEST_ID);
	}
	free(copy);
}

static void require(bool given, const char *what)
{
	if (!given) die("%s is missing; see docs/native-programs.md", what);
}

void parse_cell_options(int argc, char **argv, struct cell_options *options)
{
	require(argc > 1, "start or adopt");
	options->adopt = !strcmp(argv[1], "adopt");
	require(options->adopt || !strcmp(argv[1], "start"), "start or adopt");
	bool given[ROOT_PID + 1] = {false};

	int option;
	opterr = 0;
	while ((option = getopt_long(argc - 1, argv + 1, "+", known, NULL)) != -1) {
		if (option == '?') die("option '%s' is not known or lacks its value", argv[optind]);
		given[option] = true;
		switch (option) {
		case DIR_: options->dir = absolute_option("dir", optarg); break;
		case FIRST_PID: options->first_pid = number_option("first-pid", optarg, 2, LARGEST_PID); break;
		case ROOT_PID: options->root_pid = number_option("root-pid", optarg, 2, LARGEST_PID); break;
		case LIKE: parse_like(optarg, &options->like); break;
		case ROOT_PROGRAM: options->root_program = absolute_option("root-program", optarg); break;
		case STAY: options->stay = true; break;
		case UID_: options->uid = number_option("uid", optarg, 0, LARGEST_ID); break;
		case GID_: options->gid = number_option("gid", optarg, 0, LARGEST_ID); break;
		case GROUPS: parse_groups(optarg, options); break;
		case CWD: options->cwd = absolute_option("cwd", optarg); break;
		case OUTPUT: options->output = absolute_option("output", optarg); break;
		}
	}
	options->command = argv + 1 + optind;

	require(given[DIR_], "--dir");
	require(given[FIRST_PID], "--first-pid");
	if (options->adopt) {
		require(given[ROOT_PID], "--root-pid");
		return;
	}
	require(given[ROOT_PROGRAM], "--root-program");
	require(given[UID_], "--uid");
	require(given[GID_], "--gid");
	require(given[CWD], "--cwd");
	require(given[OUTPUT], "--output");
	require(*options->command, "the command after --");
	options->environment = given[ENVIRONMENT] ? read_environment(STDIN_FILENO) : environ;
}
