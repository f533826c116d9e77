// Lets the engine's threads call a function on JavaScript's thread.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

namespace holdfast {

class MainThreadSignal {
 public:
  // handler runs on JavaScript's thread after raise(), once or more, never after close(). at_exit runs when
  // the environment ends before close(): it must end every thread that may still raise().
  MainThreadSignal(Napi::Env env, const char* name, std::function<void()> handler, std::function<void()> at_exit);
  ~MainThreadSignal() { close(); }

  // From any thread.
  void raise();

  // Whether a wait for the signal keeps the program alive.
  void hold_program(bool hold);

  // After the last raise().
  void close();

 private:
  static void on_exit(void* self);

  Napi::Env env_;
  std::shared_ptr<std::function<void()>> handler_;  // emptied by close(), for calls still under way
  std::function<void()> at_exit_;
  Napi::ThreadSafeFunction function_;
  bool open_ = true;
};

}  // namespace holdfast
