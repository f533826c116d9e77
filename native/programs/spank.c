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

/* On a node: the option arrives also where the environment does not (--export=NONE). */
int slurm_spank_user_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (*given) spank_setenv(spank, VARIABLE, given, 1);
	return 0;
}
