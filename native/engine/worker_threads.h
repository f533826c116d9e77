// A fixed number of named threads that run one function each.
#pragma once

#include <pthread.h>

#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "failure.h"

namespace holdfast {

class WorkerThreads {
 public:
  ~WorkerThreads() { join(); }

  // LIMIT_EXCEEDED when the system has no more threads; those started before it run.
  void start(unsigned count, const char* name, const std::function<void()>& run) {
    for (unsigned i = 0; i < count; i++) {
      try {
        threads_.emplace_back(run);
      } catch (const std::system_error& error) {
        throw Failure("LIMIT_EXCEEDED", std::string("cannot start a thread: ") + error.what());
      }
      pthread_setname_np(threads_.back().native_handle(), name);
    }
  }

  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace holdfast
