#include "process_memory.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "failure.h"

namespace holdfast {

namespace {

// UIO_MAXIOV of the kernel.
constexpr size_t kMaxVectors = 1024;

std::string where(int pid, uint64_t address) {
  return "page " + hex(address & ~uint64_t{page_size() - 1}) + " of process " + std::to_string(pid);
}

// A cursor over runs by bytes.
struct Remaining {
  const std::vector<PageRun>& runs;
  size_t run = 0;
  uint64_t done = 0;  // bytes of runs[run] that were read

  bool empty() const { return run == runs.size(); }
  uint64_t address() const { return runs[run].address + done; }
  uint64_t length() const { return runs[run].pages * page_size() - done; }
  void advance(uint64_t bytes) {
    while (bytes > 0) {
      const uint64_t step = std::min(bytes, length());
      done += step;
      bytes -= step;
      if (length() == 0) {
        run++;
        done = 0;
      }
    }
  }
};

ssize_t read_vectors(int pid, Remaining left, std::byte* out) {
  std::array<iovec, kMaxVectors> remote;
  size_t count = 0;
  uint64_t total = 0;
  for (; !left.empty() && count < remote.size(); count++) {
    const uint64_t length = left.length();
    remote[count] = {reinterpret_cast<void*>(left.address()), length};
    total += length;
    left.advance(length);
  }
  const iovec local{out, total};
  return ::process_vm_readv(pid, &local, 1, remote.data(), count, 0);
}

}  // namespace

ProcessReader::ProcessReader(int pid) : pid_(pid), mem_(open_proc(pid, "mem", O_RDONLY)) {}

void ProcessReader::read(const std::vector<PageRun>& runs, std::byte* out) const {
  Remaining left{runs};
  while (!left.empty()) {
    ssize_t got = read_vectors(pid_, left, out);
    if (got <= 0) {
      // Most likely the whole run has the same protection.
      got = static_cast<ssize_t>(left.length());
      read_by_file(left.address(), out, left.length());
    }
    left.advance(static_cast<uint64_t>(got));
    out += got;
  }
}

void ProcessReader::read_what_is_there(std::vector<PageRun>& runs, std::byte* out) const {
  try {
    read(runs, out);
    return;
  } catch (const Failure&) {
    // Page by page, then.
  }
  std::vector<PageRun> there;
  for (const PageRun& run : runs) {
    for (uint64_t i = 0; i < run.pages; i++) {
      const PageRun page{run.address + i * page_size(), 1};
      try {
        read({page}, out);
      } catch (const Failure&) {
        continue;
      }
      out += page_size();
      if (!there.empty() && there.back().address + there.back().pages * page_size() == page.address) {
        there.back().pages++;
      } else {
        there.push_back(page);
      }
    }
  }
  runs = std::move(there);
}

void ProcessReader::read_by_file(uint64_t address, std::byte* out, uint64_t length) const {
  while (length > 0) {
    const ssize_t got = ::pread(mem_.fd(), out, length, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Failure("WRONG_STATE",
                    where(pid_, address) + " vanished while it was captured: " +
                        (got < 0 ? describe_errno(errno) : std::string("the process has no memory any more")),
                    "The process must be stopped until the last page has been read.");
    }
    address += static_cast<uint64_t>(got);
    out += got;
    length -= static_cast<uint64_t>(got);
  }
}

ProcessWriter::ProcessWriter(int pid) : pid_(pid), mem_(open_proc(pid, "mem", O_RDWR)) {}

void ProcessWriter::write(uint64_t address, const std::byte* bytes, uint64_t length) const {
  while (length > 0) {
    const ssize_t put = ::pwrite(mem_.fd(), bytes, length, static_cast<off_t>(address));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      throw Failure("WRONG_STATE",
                    where(pid_, address) + " cannot be filled: " +
                        (put < 0 ? describe_errno(errno) : std::string("the process has no memory any more")),
                    "The target must be the hollow restore of the captured process, held before it resumes.");
    }
    address += static_cast<uint64_t>(put);
    bytes += put;
    length -= static_cast<uint64_t>(put);
  }
}

}  // namespace holdfast
