/*
 * What a disk may do to a node, preloaded into it by the storage tests.
 *
 * It remembers for each file how many bytes the last successful fsync or fdatasync covered, so that a test can take
 * everything else away as a power cut would; and it makes the disk full, its flushes fail, or its flushes hang.
 *
 * Both live in one file mapped by the node and read by the test (layout: shim.rs). What is in a shared mapping is in
 * the page cache: kill -9 does not lose it.
 *
 * It does not forget directory entries, nor bytes overwritten in place: the database only appends, and puts names in
 * place by rename.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FAULT_FLUSH_FAILS 1u
#define FAULT_FLUSH_HANGS 2u

/* Files one node may ever make in a test; numbers of deleted ones are given again by the file system. */
#define SLOTS 65536u
#define HANG_POLL_US 1000u
/* A name may vanish between two looks at it; not for ever. */
#define OPEN_ATTEMPTS_MAX 100

struct header {
    uint64_t faults;
    int64_t room;           /* bytes the disk still takes; below 0: any number */
    uint64_t writes_refused;
    uint64_t flushes_failed;
    uint64_t flushes_hanging;
    uint64_t reserved[3];
};

struct slot {
    uint64_t dev, ino;      /* ino 0: free */
    uint64_t flushed_bytes;
    uint64_t lost;          /* a flush failed: the kernel dropped pages, no later flush brings them back */
};

static struct header *header;
static struct slot *slots;
static char data_dir[PATH_MAX];
static size_t data_dir_len;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_openat)(int, const char *, int, ...);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);

static void die(const char *what)
{
    fprintf(stderr, "storage shim: %s: %s\n", what, strerror(errno));
    abort();
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        die(name);
    return found;
}

static void begin(void)
{
    real_openat = next("openat");
    real_fsync = next("fsync");
    real_fdatasync = next("fdatasync");
    real_ftruncate = next("ftruncate");
    real_write = next("write");
    real_pwrite = next("pwrite");
    real_writev = next("writev");
    real_pwritev = next("pwritev");
    real_fallocate = next("fallocate");

    const char *table = getenv("STORAGE_SHIM_TABLE"), *data = getenv("STORAGE_SHIM_DATA");
    if (!table || !data)
        return;
    data_dir_len = strlen(data);
    if (data_dir_len >= sizeof data_dir)
        die("STORAGE_SHIM_DATA is too long");
    memcpy(data_dir, data, data_dir_len + 1);
    int fd = real_openat(AT_FDCWD, table, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(table);
    size_t size = sizeof *header + SLOTS * sizeof *slots;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
    close(fd);
    slots = (struct slot *)((char *)map + sizeof *header);
    header = map;
}

static void ready(void)
{
    pthread_once(&once, begin);
}

/* The slot of a file; with `make` a new one if it has none. The lock is held. */
static struct slot *slot_of(const struct stat *st, int make)
{
    uint64_t start = (st->st_ino * 0x9E3779B97F4A7C15ull) >> 32;
    for (uint64_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &slots[(start + i) % SLOTS];
        if (slot->ino == st->st_ino && slot->dev == st->st_dev)
            return slot;
        if (slot->ino)
            continue;
        if (!make)
            return NULL;
        /* The number goes in last: a kill in between leaves a free slot, not a wrong one. */
        slot->dev = st->st_dev;
        slot->flushed_bytes = 0;
        slot->lost = 0;
        __atomic_store_n(&slot->ino, st->st_ino, __ATOMIC_RELEASE);
        return slot;
    }
    die("more files than slots");
    return NULL;
}

static int is_file(int fd, struct stat *st)
{
    return fstat(fd, st) == 0 && S_ISREG(st->st_mode);
}

/* A file that begins at 0 has nothing flushed. */
static void begins_empty(int fd)
{
    struct stat st;
    if (!is_file(fd, &st))
        return;
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_of(&st, 1);
    slot->flushed_bytes = 0;
    slot->lost = 0;
    pthread_mutex_unlock(&lock);
}

static int in_data_dir(int fd)
{
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path);
    return len > (ssize_t)data_dir_len && memcmp(path, data_dir, data_dir_len) == 0 && path[data_dir_len] == '/';
}

/* --- opening: which files begin at 0 --- */

static int open_file(int dir, const char *path, int flags, mode_t mode)
{
    ready();
    if (!header || !(flags & (O_CREAT | O_TRUNC)))
        return real_openat(dir, path, flags, mode);
    int fd = -1, made = 0;
    if ((flags & O_CREAT) && !(flags & O_EXCL)) {
        /* Made or found? Asking first would race with the answer; making it exclusively is the answer. */
        for (int i = 0; i < OPEN_ATTEMPTS_MAX; i++) {
            fd = real_openat(dir, path, flags | O_EXCL, mode);
            made = fd >= 0;
            if (made || errno != EEXIST)
                break;
            fd = real_openat(dir, path, flags & ~O_CREAT, mode);
            if (fd >= 0 || errno != ENOENT)
                break;
        }
    } else {
        fd = real_openat(dir, path, flags, mode);
        made = fd >= 0 && (flags & O_CREAT);
    }
    if (fd >= 0 && (made || (flags & O_TRUNC))) {
        int kept = errno;
        begins_empty(fd);
        errno = kept;
    }
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                       \
    int name(const char *path, int flags, ...)           \
    {                                                    \
        va_list args;                                    \
        va_start(args, flags);                           \
        mode_t mode = mode_of(flags, args);              \
        va_end(args);                                    \
        return open_file(AT_FDCWD, path, flags, mode);   \
    }

#define OPENAT(name)                                     \
    int name(int dir, const char *path, int flags, ...)  \
    {                                                    \
        va_list args;                                    \
        va_start(args, flags);                           \
        mode_t mode = mode_of(flags, args);              \
        va_end(args);                                    \
        return open_file(dir, path, flags, mode);        \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode)
{
    return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

/* --- flushing: what survives; sync_file_range promises nothing and so is left alone --- */

static int flush_file(int fd, int (*real)(int))
{
    struct stat before;
    ready();
    if (!header || !is_file(fd, &before))
        return real(fd);
    uint64_t faults = __atomic_load_n(&header->faults, __ATOMIC_ACQUIRE);
    if (faults && in_data_dir(fd)) {
        if (faults & FAULT_FLUSH_HANGS) {
            __atomic_add_fetch(&header->flushes_hanging, 1, __ATOMIC_ACQ_REL);
            while (__atomic_load_n(&header->faults, __ATOMIC_ACQUIRE) & FAULT_FLUSH_HANGS)
                usleep(HANG_POLL_US);
            __atomic_sub_fetch(&header->flushes_hanging, 1, __ATOMIC_ACQ_REL);
        }
        if (faults & FAULT_FLUSH_FAILS) {
            pthread_mutex_lock(&lock);
            slot_of(&before, 1)->lost = 1;
            pthread_mutex_unlock(&lock);
            __atomic_add_fetch(&header->flushes_failed, 1, __ATOMIC_ACQ_REL);
            errno = EIO;
            return -1;
        }
    }
    int result = real(fd);
    if (result == 0) {
        /* Only what was there when the call began is covered for certain. */
        pthread_mutex_lock(&lock);
        struct slot *slot = slot_of(&before, 1);
        if (!slot->lost && slot->flushed_bytes < (uint64_t)before.st_size)
            slot->flushed_bytes = before.st_size;
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int fd)
{
    ready();
    return flush_file(fd, real_fsync);
}

int fdatasync(int fd)
{
    ready();
    return flush_file(fd, real_fdatasync);
}

int ftruncate(int fd, off_t bytes)
{
    struct stat st;
    ready();
    int result = real_ftruncate(fd, bytes);
    if (header && result == 0 && is_file(fd, &st)) {
        pthread_mutex_lock(&lock);
        struct slot *slot = slot_of(&st, 0);
        if (slot && slot->flushed_bytes > (uint64_t)bytes)
            slot->flushed_bytes = bytes;
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int ftruncate64(int fd, off64_t bytes)
{
    return ftruncate(fd, bytes);
}

/* --- writing: how much the disk takes --- */

/* Takes room for a write; how many bytes of it there is room for. */
static size_t room_for(int fd, size_t bytes)
{
    ready();
    if (!header || __atomic_load_n(&header->room, __ATOMIC_ACQUIRE) < 0 || !in_data_dir(fd))
        return bytes;
    int64_t room = __atomic_load_n(&header->room, __ATOMIC_ACQUIRE);
    for (;;) {
        if (room < 0)
            return bytes;
        size_t taken = bytes < (size_t)room ? bytes : (size_t)room;
        if (__atomic_compare_exchange_n(&header->room, &room, room - (int64_t)taken, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            if (taken < bytes)
                __atomic_add_fetch(&header->writes_refused, 1, __ATOMIC_ACQ_REL);
            return taken;
        }
    }
}

static ssize_t full(void)
{
    errno = ENOSPC;
    return -1;
}

static size_t bytes_of(const struct iovec *parts, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    return bytes;
}

ssize_t write(int fd, const void *from, size_t bytes)
{
    /* A disk fills up in the middle of a write: that one is short, the next one fails. */
    size_t taken = room_for(fd, bytes);
    return taken || !bytes ? real_write(fd, from, taken) : full();
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at)
{
    size_t taken = room_for(fd, bytes);
    return taken || !bytes ? real_pwrite(fd, from, taken, at) : full();
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at)
{
    return pwrite(fd, from, bytes, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t bytes = bytes_of(parts, count);
    return room_for(fd, bytes) == bytes ? real_writev(fd, parts, count) : full();
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    size_t bytes = bytes_of(parts, count);
    return room_for(fd, bytes) == bytes ? real_pwritev(fd, parts, count, at) : full();
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t bytes)
{
    ready();
    if (header && __atomic_load_n(&header->room, __ATOMIC_ACQUIRE) >= 0 && in_data_dir(fd))
        return (int)full();
    return real_fallocate(fd, mode, at, bytes);
}

int fallocate64(int fd, int mode, off64_t at, off64_t bytes)
{
    return fallocate(fd, mode, at, bytes);
}
