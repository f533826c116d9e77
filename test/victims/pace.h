/*
 * How fast a victim goes. It pauses between its steps as long as the file named by SLOW_WHILE exists, always when
 * none is named. So a test keeps a job from ending until it has done with it, and then waits for the work only.
 */
#ifndef HOLDFAST_PACE_H
#define HOLDFAST_PACE_H

#include <stdlib.h>
#include <unistd.h>

static inline void pace(long pause_ms)
{
	const char *brake = getenv("SLOW_WHILE");

	if (pause_ms > 0 && (!brake || access(brake, F_OK) == 0))
		usleep(pause_ms * 1000);
}

#endif
