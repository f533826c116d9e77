#ifndef HOLDFAST_PRELOAD_JOB_H
#define HOLDFAST_PRELOAD_JOB_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * criu restores a job's files as root, by paths that lead through directories of the job's user. What it does with
 * such a path it does with the user's rights (HOLDFAST_USER=UID:GID:GROUP,...), with root's only where the user
 * cannot have arranged the way. Without HOLDFAST_USER, or when the user is root, rights stay as they are.
 */

/* Reads HOLDFAST_USER; ends the process when it makes no sense. Guards in a process that restores only. */
void prepare_job(bool restore);

/* Everything before criu opens its first image is its own set-up; what comes later may be the job's. */
void notice_image(int base, const char *path);

/* True when paths may be the job's. */
bool is_guarding(void);

/* False in the processes that it restores. */
bool is_criu_itself(void);

/*
 * For one call of libc's function, and one more when the user was refused:
 *
 *	bool attempt = as_user();
 *	do result = call(base, path);
 *	while (refused_user(&attempt, result) && user_cannot_change(base, path));
 */
bool as_user(void);
bool refused_user(bool *attempt, int result);

/* Instead of refused_user, where root's rights are never wanted. */
void end_as_user(bool attempt);

/*
 * True when no directory on the way to the path is the user's to change, and none is a link. A relative way must
 * start in the directory of the images, or at the root by a descriptor of it. Keeps errno.
 */
bool user_cannot_change(int base, const char *path);

/* openat(2) that follows no symbolic link (ELOOP): the kernel's paths, which the images hold, have none. */
int open_for_job(int base, const char *path, int flags, mode_t mode);

/* Opens the directory of the path, through no symbolic link; *name is then the path's last part. */
int open_parent(int base, const char *path, const char **name);

#endif
