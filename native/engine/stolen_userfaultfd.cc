#include "stolen_userfaultfd.h"

#include "../remote/remote_userfaultfd.h"
#include "remote_failure.h"

namespace holdfast {

File steal_userfaultfd(int pid) {
  remote_error error{};
  const int fd = ::remote_userfaultfd(pid, &error);
  if (fd < 0) throw remote_failure(error);
  return File(fd);
}

}  // namespace holdfast
