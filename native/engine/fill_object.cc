#include "fill_object.h"

#include "encoder_values.h"
#include "js_values.h"

namespace holdfast {

Napi::Function FillObject::define(Napi::Env env) {
  return DefineClass(env, "NativeFill",
                     {
                         InstanceMethod<&FillObject::pack_numbers>("packNumbers"),
                         InstanceMethod<&FillObject::write_pack>("writePack"),
                         InstanceMethod<&FillObject::written_pages>("writtenPages"),
                         InstanceMethod<&FillObject::total_pages>("totalPages"),
                         InstanceMethod<&FillObject::close>("close"),
                     });
}

// Arguments: index: Buffer, targets, {threads, keys}.
FillObject::FillObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Bytes index = bytes_of(info[0].As<Napi::Buffer<uint8_t>>());
  const auto targets = process_ids(info[1]);
  const auto options = info[2].As<Napi::Object>();
  const auto threads = static_cast<unsigned>(number_at(options, "threads"));
  auto keys = blob_keys_list(options.Get("keys"));
  signal_ = std::make_unique<MainThreadSignal>(
      Env(), "holdfast.fill", [this] { deliver(); }, [this] { stop(); });
  guarded(Env(), [&] {
    engine_ = std::make_unique<FillEngine>(index, targets, threads, std::move(keys), [signal = signal_.get()] { signal->raise(); });
  });
}

FillObject::~FillObject() { stop(); }

Napi::Value FillObject::write_pack(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const uint32_t number = info[0].As<Napi::Number>().Uint32Value();
    const auto body = info[1].As<Napi::Buffer<uint8_t>>();
    const bool was_idle = tickets_.empty();
    const auto [ticket, promise] = tickets_.issue(info.Env(), body);
    try {
      open_engine().submit(ticket, number, bytes_of(body), optional_checksum(info[2]));
    } catch (...) {
      tickets_.withdraw(ticket);
      throw;
    }
    if (was_idle) {
      Ref();  // not collected while somebody waits
      signal_->hold_program(true);
    }
    return promise;
  });
}

void FillObject::deliver() {
  const Napi::HandleScope scope(Env());
  const bool was_idle = tickets_.empty();
  tickets_.settle(Env(), engine_->take_results());
  if (was_idle || !tickets_.empty()) return;
  signal_->hold_program(false);
  Unref();
}

Napi::Value FillObject::pack_numbers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto numbers = open_engine().pack_numbers();
    Napi::Array array = Napi::Array::New(info.Env(), numbers.size());
    for (uint32_t i = 0; i < numbers.size(); i++) array.Set(i, numbers[i]);
    return array;
  });
}

Napi::Value FillObject::written_pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(open_engine().written_pages()));
  });
}

Napi::Value FillObject::total_pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(open_engine().total_pages()));
  });
}

void FillObject::close(const Napi::CallbackInfo&) {
  if (closed_) return;
  closed_ = true;
  engine_->stop();
  deliver();  // the jobs that were cut off
  stop();
}

FillEngine& FillObject::open_engine() {
  if (!engine_) throw Failure("WRONG_STATE", "the fill is closed");
  return *engine_;
}

void FillObject::stop() {
  closed_ = true;
  if (engine_) engine_->stop();
  engine_.reset();
  tickets_.clear();
  if (signal_) signal_->close();
}

}  // namespace holdfast
