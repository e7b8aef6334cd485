/* Fails, shortens or kills the nth write, sync, truncation, unlinking or renaming of files in one folder.
   Loaded before the C library; told what to do by iof_set(), which also begins a new count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NOTHING, FAIL_EIO, FULL_ONCE, FULL_FROM_THEN_ON, SHORT_WRITE, KILL_BEFORE, KILL_AFTER };

static char folder[4096];
static size_t folder_length;
static long at, count;
static int mode = NOTHING;

void iof_set(const char *path, long nth, int what) {
    strncpy(folder, path, sizeof folder - 1);
    folder_length = strlen(folder);
    at = nth;
    mode = what;
    count = 0;
}

long iof_count(void) { return count; }

static int is_ours(const char *path) { return folder_length && strncmp(path, folder, folder_length) == 0; }

static int is_our_fd(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

/* What to do with this operation: 0 as usual, -1 fail (errno is set), 1 shorten, 2 kill when it is done. */
static int judge(int ours, int grows) {
    if (!ours) return 0;
    long now = ++count;
    if (mode == FULL_FROM_THEN_ON && now >= at && grows) { errno = ENOSPC; return -1; }
    if (now != at) return 0;
    switch (mode) {
        case FAIL_EIO: errno = EIO; return -1;
        case FULL_ONCE: errno = ENOSPC; return grows ? -1 : 0;
        case SHORT_WRITE: return 1;
        case KILL_BEFORE: kill(getpid(), SIGKILL); pause(); return 0;
        case KILL_AFTER: return 2;
    }
    return 0;
}

static void killed_if(int verdict) {
    if (verdict == 2) { kill(getpid(), SIGKILL); pause(); }
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    int verdict = judge(is_our_fd(fd), 1);
    if (verdict < 0) return -1;
    ssize_t done = real(fd, data, verdict == 1 && size > 1 ? size / 2 : size);
    killed_if(verdict);
    return done;
}

#define PWRITE(function) \
    ssize_t function(int fd, const void *data, size_t size, off64_t offset) { \
        REAL(ssize_t, #function, int, const void *, size_t, off64_t); \
        int verdict = judge(is_our_fd(fd), 1); \
        if (verdict < 0) return -1; \
        ssize_t done = real(fd, data, verdict == 1 && size > 1 ? size / 2 : size, offset); \
        killed_if(verdict); \
        return done; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define ON_FD(function, grows, ...) \
    { \
        int verdict = judge(is_our_fd(fd), grows); \
        if (verdict < 0) return -1; \
        int done = real(__VA_ARGS__); \
        killed_if(verdict); \
        return done; \
    }
int fsync(int fd) { REAL(int, "fsync", int); ON_FD(fsync, 0, fd) }
int fdatasync(int fd) { REAL(int, "fdatasync", int); ON_FD(fdatasync, 0, fd) }
int ftruncate(int fd, off_t size) { REAL(int, "ftruncate", int, off_t); ON_FD(ftruncate, 0, fd, size) }
int ftruncate64(int fd, off64_t size) { REAL(int, "ftruncate64", int, off64_t); ON_FD(ftruncate64, 0, fd, size) }

#define ON_PATH(path, ...) \
    { \
        int verdict = judge(is_ours(path), 0); \
        if (verdict < 0) return -1; \
        int done = real(__VA_ARGS__); \
        killed_if(verdict); \
        return done; \
    }
int unlink(const char *path) { REAL(int, "unlink", const char *); ON_PATH(path, path) }
int rename(const char *from, const char *to) { REAL(int, "rename", const char *, const char *); ON_PATH(from, from, to) }
