#ifndef HOLDFAST_GROUPS_H
#define HOLDFAST_GROUPS_H

#include <sys/types.h>

/*
 * Moves this process into the control groups of another, of both versions. Hierarchies that are not mounted here, or whose
 * group is outside of what is, are left alone. Ends this process when a group that is here does not take it.
 */
void join_groups(pid_t pid);

#endif
