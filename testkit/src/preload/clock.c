/* Puts the time of day off by the seconds that the file $TEST_CLOCK_OFFSET holds. Clocks that only grow are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(id, now);
    char text[32] = {0};
    int file = id == CLOCK_REALTIME ? open(getenv("TEST_CLOCK_OFFSET"), O_RDONLY) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
        close(file);
    }
    return done;
}
