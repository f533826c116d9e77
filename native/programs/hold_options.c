#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "complain.h"
#include "hold.h"
#include "hold_state.h"

#define DEFAULT_GRACE_MS 10000
#define LARGEST_ID 4294967294LL

enum { DIR_ = 1, ENTER, CGROUP, GATE, LEASE, GRACE, CLEANUP, INHERIT, INHERIT_AS, LIKE };

static const struct option known[] = {
	{"dir", required_argument, NULL, DIR_},
	{"enter", required_argument, NULL, ENTER},
	{"cgroup", required_argument, NULL, CGROUP},
	{"gate", required_argument, NULL, GATE},
	{"lease-ms", required_argument, NULL, LEASE},
	{"grace-ms", required_argument, NULL, GRACE},
	{"cleanup-table", required_argument, NULL, CLEANUP},
	{"inherit", required_argument, NULL, INHERIT},
	{"inherit-as", required_argument, NULL, INHERIT_AS},
	{"like", required_argument, NULL, LIKE},
	{0},
};

static int64_t number_option(const char *name, const char *text, long long min, long long max)
{
	long long number;
	if (!parse_number(text, min, max, &number)) die("--%s wants a number from %lld to %lld, not '%s'", name, min, max, text);
	return number;
}

static bool is_lock_name(const char *name)
{
	size_t prefix = strlen(LOCK_PREFIX);
	if (strncmp(name, LOCK_PREFIX, prefix) || strlen(name) != prefix + UUID_LENGTH) return false;
	return strspn(name + prefix, "0123456789abcdef-") == UUID_LENGTH;
}

/* criu would choose a UUID itself; we choose it, so that the lock has a name even when criu cannot tell it. */
static void choose_lock_name(char *name)
{
	unsigned char r[16];
	if (getrandom(r, sizeof r, 0) != sizeof r) die_errno("cannot get random bytes");
	snprintf(name, LOCK_NAME_SIZE,
		 LOCK_PREFIX "%02x%02x%02x%02x-%02x%02x-4%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3],
		 r[4], r[5], r[6] & 15, r[7], r[8] & 15, r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

/* FD:PATH. The numbers below 100 are left to the program's own descriptors. */
static void parse_inherit(struct hold_options *options, char *text)
{
	char *path = text, *number = strsep(&path, ":");
	if (!path || *path != '/') die("--inherit wants FD:PATH with an absolute path, not '%s'", text);
	if (options->inherit_count == MAX_INHERITED) die("--inherit is given more than %d times", MAX_INHERITED);
	int fd = number_option("inherit", number, 100, 1023);
	options->inherit[options->inherit_count++] = (struct hold_inherit){fd, path};
}

/* UID:GID:GROUP,GROUP... */
static void parse_inherit_as(struct hold_options *options, char *text)
{
	char *uid = strsep(&text, ":"), *gid = strsep(&text, ":"), *group;
	if (!gid || !text) die("--inherit-as wants UID:GID:GROUPS");
	options->has_ids = true;
	options->uid = number_option("inherit-as", uid, 0, LARGEST_ID);
	options->gid = number_option("inherit-as", gid, 0, LARGEST_ID);
	while (*text && (group = strsep(&text, ","))) {
		if (options->group_count == MAX_GROUPS) die("--inherit-as names more than %d groups", MAX_GROUPS);
		options->groups[options->group_count++] = number_option("inherit-as", group, 0, LARGEST_ID);
		if (!text) break;
	}
}

void parse_hold_options(int argc, char **argv, struct hold_options *options)
{
	*options = (struct hold_options){.lease_ms = -1, .grace_ms = DEFAULT_GRACE_MS};
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case DIR_: options->dir = optarg; break;
		case ENTER: options->enter = number_option("enter", optarg, 1, 4194304); break;
		case CGROUP: options->cgroup = optarg; break;
		case GATE: options->gated_action = optarg; break;
		case LEASE: options->lease_ms = number_option("lease-ms", optarg, 1, LONGEST_MS); break;
		case GRACE: options->grace_ms = number_option("grace-ms", optarg, 0, LONGEST_MS); break;
		case CLEANUP:
			if (!is_lock_name(optarg)) die("--cleanup-table wants CRIU- and a UUID in lower case, not '%s'", optarg);
			strcpy(options->lock_name, optarg);
			break;
		case INHERIT: parse_inherit(options, optarg); break;
		case INHERIT_AS: parse_inherit_as(options, optarg); break;
		case LIKE: parse_like(optarg, &options->like); break;
		default: die("option '%s' is not known or lacks its value", argv[optind - 1]);
		}
	}
	options->program = argv + optind;
	if (!options->dir || *options->dir != '/') die("--dir with an absolute path is missing");
	if (options->cgroup && *options->cgroup != '/') die("--cgroup wants an absolute path, not '%s'", options->cgroup);
	if (!options->gated_action) die("--gate is missing");
	if (strlen(options->gated_action) >= sizeof((struct gate_message *)NULL)->action) die("--gate is too long");
	if (options->lease_ms < 0) die("--lease-ms is missing");
	if (!*options->program) die("the program after -- is missing");
	if (!*options->lock_name) choose_lock_name(options->lock_name);
}
