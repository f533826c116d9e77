#ifndef HOLDFAST_STATE_FILE_H
#define HOLDFAST_STATE_FILE_H

#include <stdbool.h>

/* Replaces a file (mode 0600) so that a reader sees the old or the new text, whole. Sets errno on failure. */
bool write_state_file(int dir_fd, const char *name, const char *text);

#endif
