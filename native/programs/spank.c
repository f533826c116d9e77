/*
 * A plugin of Slurm (spank(8)): srun, sbatch and salloc get the option --holdfast, which is checked when a job is submitted and
 * passed on to its tasks in HOLDFAST_SLURM_OPTIONS. Nothing of it ever makes a job fail that was accepted.
 */
#include <slurm/spank.h>
#include <stdlib.h>
#include <string.h>

#include "spank_options.h"

SPANK_PLUGIN(holdfast, 1);

#define VARIABLE "HOLDFAST_SLURM_OPTIONS"
/* Is set for tasks that are Holdfast's own command: it sees to the checkpoints of what it starts itself. */
#define OWN_VARIABLE "HOLDFAST_SLURM_OWN"

static char given[MAX_OPTIONS + 1];

static int take_option(int value, const char *text, int is_remote)
{
	(void)value;
	char problem[256];
	if (!text) text = "";
	if (check_options(text, problem, sizeof problem)) {
		strcpy(given, text);
		return 0;
	}
	/* What arrives in the job was accepted when it was submitted: it is left alone here, and read by whoever uses it. */
	if (is_remote) return 0;
	slurm_error("--holdfast: %s", problem);
	return -1;
}

static struct spank_option option = {
	.name = "holdfast",
	.arginfo = "interval=TIME,keep=N,max-restarts=N",
	.usage = "checkpoints of what `holdfast run`, `holdfast mpirun` or srun starts in this job",
	.has_arg = 1,
	.val = 0,
	.cb = take_option,
};

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (spank_option_register(spank, &option) != ESPANK_SUCCESS) slurm_error("holdfast: the option --holdfast is not there");
	return 0;
}

/* Where a job is submitted: the environment goes with it. */
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (*given && !spank_remote(spank)) setenv(VARIABLE, given, 1);
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);
	return size >= end_size && !strcmp(text + size - end_size, end);
}

/* agent/slurm/tasks.ts sees the same in the words of a process. */
static bool is_own(int count, char **words)
{
	for (int i = 0; i < count && i < 3 && words[i]; i++)
		if (!strcmp(words[i], "holdfast") || ends_with(words[i], "/holdfast") || ends_with(words[i], "/dist/cli/main.js"))
			return true;
	return false;
}

/* On a node: the option arrives also where the environment does not (--export=NONE). */
int slurm_spank_user_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (*given) spank_setenv(spank, VARIABLE, given, 1);
	int count = 0;
	char **words = NULL;
	if (spank_get_item(spank, S_JOB_ARGV, &count, &words) != ESPANK_SUCCESS) count = 0;
	if (is_own(count, words))
		spank_setenv(spank, OWN_VARIABLE, "1", 1);
	else
		spank_unsetenv(spank, OWN_VARIABLE);
	return 0;
}
