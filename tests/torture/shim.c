/* Fails, shortens or kills the nth write, sync, truncation, unlinking or renaming of files in one folder.
   Loaded before the C library; told what to do by iof_set(), which also begins a new count.

   Power loss: whatever was written to a file since it was last synced is taken back (or, in part, each write is kept or
   lost by chance) before the process dies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { NOTHING, FAIL_EIO, FULL_ONCE, FULL_FROM_THEN_ON, SHORT_WRITE, KILL_BEFORE, KILL_AFTER, POWER_LOSS, POWER_LOSS_IN_PART };

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

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_pwrite(int fd, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return real(fd, data, size, offset);
}

static int real_ftruncate(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    return real(fd, size);
}

static int is_ours(const char *path) { return folder_length && strncmp(path, folder, folder_length) == 0; }

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_our_fd(int fd) {
    char path[4096];
    return path_of(fd, path, sizeof path) && is_ours(path);
}

/* What is not on the platter yet: one change of one file, with what it takes to undo and to do it again. */
struct change {
    char *path;
    ino_t inode;
    off64_t size_before, size_after, offset;
    size_t length_before, length;
    char *before, *after;
    struct change *older, *newer;
};
static struct change *newest, *oldest;

static void note_change(int fd, const void *data, size_t length, off64_t offset, off64_t size_after) {
    if (mode != POWER_LOSS && mode != POWER_LOSS_IN_PART) return;
    char path[4096];
    struct stat64 info;
    if (!path_of(fd, path, sizeof path) || !is_ours(path) || fstat64(fd, &info) != 0) return;
    struct change *one = calloc(1, sizeof *one);
    one->path = strdup(path);
    one->inode = info.st_ino;
    one->size_before = info.st_size;
    one->size_after = size_after;
    one->offset = offset;
    one->length = length;
    one->after = malloc(length + 1);
    memcpy(one->after, data, length);
    /* A truncation loses what lies behind; a write what lies under it. */
    size_t lost = size_after >= 0 ? (size_after < info.st_size ? (size_t)(info.st_size - size_after) : 0) : length;
    one->before = malloc(lost + 1);
    ssize_t got = pread64(fd, one->before, lost, size_after >= 0 ? size_after : offset);
    one->length_before = got > 0 ? (size_t)got : 0;
    one->older = newest;
    if (newest) newest->newer = one; else oldest = one;
    newest = one;
}

static void is_synced(int fd) {
    struct stat64 info;
    if (!newest || fstat64(fd, &info) != 0) return;
    for (struct change *one = oldest, *next; one; one = next) {
        next = one->newer;
        if (one->inode != info.st_ino) continue;
        if (one->older) one->older->newer = one->newer; else oldest = one->newer;
        if (one->newer) one->newer->older = one->older; else newest = one->older;
    }
}

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

static void lose_power(void) {
    srandom((unsigned)at);
    for (struct change *one = newest; one; one = one->older) {
        int fd = open(one->path, O_RDWR | O_CLOEXEC);
        if (fd < 0) continue;
        real_pwrite(fd, one->before, one->length_before, one->size_after >= 0 ? one->size_after : one->offset);
        real_ftruncate(fd, one->size_before);
        close(fd);
    }
    for (struct change *one = oldest; one && mode == POWER_LOSS_IN_PART; one = one->newer) {
        int fd = random() & 1 ? open(one->path, O_RDWR | O_CLOEXEC) : -1;
        if (fd < 0) continue;
        if (one->size_after >= 0) real_ftruncate(fd, one->size_after);
        else real_pwrite(fd, one->after, one->length, one->offset);
        close(fd);
    }
    die();
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
        case KILL_BEFORE: die(); return 0;
        case KILL_AFTER: return 2;
        case POWER_LOSS: case POWER_LOSS_IN_PART: lose_power(); return 0;
    }
    return 0;
}

static void killed_if(int verdict) {
    if (verdict == 2) die();
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    int verdict = judge(is_our_fd(fd), 1);
    if (verdict < 0) return -1;
    note_change(fd, data, size, lseek64(fd, 0, SEEK_CUR), -1);
    ssize_t done = real(fd, data, verdict == 1 && size > 1 ? size / 2 : size);
    killed_if(verdict);
    return done;
}

#define PWRITE(function) \
    ssize_t function(int fd, const void *data, size_t size, off64_t offset) { \
        int verdict = judge(is_our_fd(fd), 1); \
        if (verdict < 0) return -1; \
        note_change(fd, data, size, offset, -1); \
        ssize_t done = real_pwrite(fd, data, verdict == 1 && size > 1 ? size / 2 : size, offset); \
        killed_if(verdict); \
        return done; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC(function) \
    int function(int fd) { \
        REAL(int, #function, int); \
        int verdict = judge(is_our_fd(fd), 0); \
        if (verdict < 0) return -1; \
        int done = real(fd); \
        is_synced(fd); \
        killed_if(verdict); \
        return done; \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(function) \
    int function(int fd, off64_t size) { \
        int verdict = judge(is_our_fd(fd), 0); \
        if (verdict < 0) return -1; \
        note_change(fd, "", 0, 0, size); \
        int done = real_ftruncate(fd, size); \
        killed_if(verdict); \
        return done; \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

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
