#include "main_thread_signal.h"

namespace holdfast {

MainThreadSignal::MainThreadSignal(Napi::Env env, const char* name, std::function<void()> handler,
                                   std::function<void()> at_exit)
    : env_(env),
      handler_(std::make_shared<std::function<void()>>(std::move(handler))),
      at_exit_(std::move(at_exit)),
      function_(Napi::ThreadSafeFunction::New(env, Napi::Function(), name, 0, 1)) {
  function_.Unref(env);
  // Registered after the function's own hook, so it runs before it: the function still exists.
  napi_add_env_cleanup_hook(env, on_exit, this);
}

void MainThreadSignal::raise() {
  function_.NonBlockingCall([handler = handler_](Napi::Env, Napi::Function) {
    if (*handler) (*handler)();
  });
}

void MainThreadSignal::hold_program(bool hold) {
  if (!open_) return;
  hold ? function_.Ref(env_) : function_.Unref(env_);
}

void MainThreadSignal::close() {
  if (!open_) return;
  open_ = false;
  *handler_ = nullptr;
  napi_remove_env_cleanup_hook(env_, on_exit, this);
  function_.Release();
}

void MainThreadSignal::on_exit(void* self) {
  auto* signal = static_cast<MainThreadSignal*>(self);
  signal->at_exit_();
  signal->close();
}

}  // namespace holdfast
