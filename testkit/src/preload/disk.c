/* While the file $TEST_DISK_FULL exists, whatever would make a file longer is answered as by a full disk (ENOSPC), and
   what is there already can be written over. Standard output and error are left alone: the log lies elsewhere. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int no_room(int file, off_t end) {
    struct stat now;
    if (file <= 2 || access(getenv("TEST_DISK_FULL"), F_OK) != 0) return 0;
    return fstat(file, &now) == 0 && S_ISREG(now.st_mode) && end > now.st_size;
}

static off_t length(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int part = 0; part < count; part++) sum += parts[part].iov_len;
    return sum;
}

#define REFUSED(file, end) \
    if (no_room(file, end)) { \
        errno = ENOSPC; \
        return -1; \
    }

ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    REFUSED(file, at + (off_t)size)
    return real(file, from, size, at);
}

ssize_t pwrite(int file, const void *from, size_t size, off_t at) { return pwrite64(file, from, size, at); }

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    ssize_t (*real)(int, const struct iovec *, int, off64_t) = dlsym(RTLD_NEXT, "pwritev64");
    REFUSED(file, at + length(parts, count))
    return real(file, parts, count, at);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    return pwritev64(file, parts, count, at);
}

ssize_t write(int file, const void *from, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    off_t at = lseek(file, 0, fcntl(file, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    REFUSED(file, at + (off_t)size)
    return real(file, from, size);
}

/* This one answers with the error itself. */
int posix_fallocate64(int file, off64_t at, off64_t size) {
    int (*real)(int, off64_t, off64_t) = dlsym(RTLD_NEXT, "posix_fallocate64");
    return no_room(file, at + size) ? ENOSPC : real(file, at, size);
}

int posix_fallocate(int file, off_t at, off_t size) { return posix_fallocate64(file, at, size); }
