// A disk without room, for a program that is started with this library preloaded: while the file that
// MUSTER_LAB_DISK_IS_FULL names is there, what would make a file grow fails with ENOSPC. What is written over stays
// possible, as on a real one, and so is the log on standard output and error. A library of its own, which the lab
// writes into its directory: no C++ runtime, no initialisation, system calls alone.
#include <fcntl.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): C library only
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace {

bool IsFull() {
  const int before = errno;
  const char* const flag = getenv("MUSTER_LAB_DISK_IS_FULL");  // NOLINT(concurrency-mt-unsafe): nobody sets it here
  const bool is_full = flag != nullptr && syscall(SYS_faccessat, AT_FDCWD, flag, F_OK) == 0;
  errno = before;
  return is_full;
}

// Whether the file would be longer than it is.
bool Grows(int file, off_t end) {
  if (file == STDOUT_FILENO || file == STDERR_FILENO) return false;
  struct stat status{};
  return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && end > status.st_size;
}

bool Refuses(int file, off_t offset, size_t size) {
  if (!IsFull()) return false;
  if (offset < 0) {
    const int flags = fcntl(file, F_GETFL);
    struct stat status{};
    const bool appends = flags >= 0 && (flags & O_APPEND) != 0 && fstat(file, &status) == 0;
    offset = appends ? status.st_size : lseek(file, 0, SEEK_CUR);
    if (offset < 0) return false;  // a pipe or a socket
  }
  if (!Grows(file, offset + static_cast<off_t>(size))) return false;
  errno = ENOSPC;
  return true;
}

size_t SizeOf(const iovec* parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; ++i) size += parts[i].iov_len;
  return size;
}

}  // namespace

#define MUSTER_EXPORT extern "C" __attribute__((visibility("default")))

MUSTER_EXPORT ssize_t write(int file, const void* bytes, size_t size) {
  return Refuses(file, -1, size) ? -1 : syscall(SYS_write, file, bytes, size);
}

MUSTER_EXPORT ssize_t pwrite64(int file, const void* bytes, size_t size, off_t offset) {
  return Refuses(file, offset, size) ? -1 : syscall(SYS_pwrite64, file, bytes, size, offset);
}

MUSTER_EXPORT ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  return pwrite64(file, bytes, size, offset);
}

MUSTER_EXPORT ssize_t writev(int file, const iovec* parts, int count) {
  return Refuses(file, -1, SizeOf(parts, count)) ? -1 : syscall(SYS_writev, file, parts, count);
}

MUSTER_EXPORT ssize_t pwritev64(int file, const iovec* parts, int count, off_t offset) {
  return Refuses(file, offset, SizeOf(parts, count)) ? -1 : syscall(SYS_pwritev, file, parts, count, offset, 0);
}

MUSTER_EXPORT ssize_t pwritev(int file, const iovec* parts, int count, off_t offset) {
  return pwritev64(file, parts, count, offset);
}

MUSTER_EXPORT ssize_t pwritev64v2(int file, const iovec* parts, int count, off_t offset, int flags) {
  return Refuses(file, offset, SizeOf(parts, count)) ? -1 : syscall(SYS_pwritev2, file, parts, count, offset, 0, flags);
}

MUSTER_EXPORT ssize_t pwritev2(int file, const iovec* parts, int count, off_t offset, int flags) {
  return pwritev64v2(file, parts, count, offset, flags);
}

MUSTER_EXPORT int fallocate64(int file, int mode, off_t offset, off_t size) {
  if (Refuses(file, offset, static_cast<size_t>(size))) return -1;
  return static_cast<int>(syscall(SYS_fallocate, file, mode, offset, size));
}

MUSTER_EXPORT int fallocate(int file, int mode, off_t offset, off_t size) {
  return fallocate64(file, mode, offset, size);
}

// These answer the error.
MUSTER_EXPORT int posix_fallocate64(int file, off_t offset, off_t size) {
  return fallocate64(file, 0, offset, size) == 0 ? 0 : errno;
}

MUSTER_EXPORT int posix_fallocate(int file, off_t offset, off_t size) { return posix_fallocate64(file, offset, size); }
