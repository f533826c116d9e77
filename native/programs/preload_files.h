#ifndef HOLDFAST_PRELOAD_FILES_H
#define HOLDFAST_PRELOAD_FILES_H

/* Finds what the functions of preload_files.c need of libc. */
void prepare_files(void);

#endif
