#ifndef HOLDFAST_PRELOAD_USER_H
#define HOLDFAST_PRELOAD_USER_H

#include <stdbool.h>
#include <sys/types.h>

/* `text`: UID:GID:GROUP,... or NULL when nobody is known. Ends the process when it makes no sense. */
void prepare_user(const char *text);

/* False when the job's user is not known, or is root: then the others change nothing. */
bool has_user(void);
bool is_user(uid_t uid);

/* Everything between the two is done with the rights of the job's user. leave_user keeps errno. */
void take_user(void);
void leave_user(void);

#endif
