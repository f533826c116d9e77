#include "lazy_object.h"

#include "encoder_values.h"
#include "js_values.h"

namespace holdfast {

namespace {

template <typename Number>
Napi::Array to_array(Napi::Env env, const std::vector<Number>& numbers) {
  Napi::Array array = Napi::Array::New(env, numbers.size());
  for (uint32_t i = 0; i < numbers.size(); i++) array.Set(i, numbers[i]);
  return array;
}

Napi::Value to_number(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

}  // namespace

Napi::Function LazyObject::define(Napi::Env env) {
  return DefineClass(env, "NativeLazyFill",
                     {
                         InstanceMethod<&LazyObject::take>("take"),
                         InstanceMethod<&LazyObject::gate>("gate"),
                         InstanceMethod<&LazyObject::chunk>("chunk"),
                         InstanceMethod<&LazyObject::fill_chunk>("fillChunk"),
                         InstanceMethod<&LazyObject::fill_pack>("fillPack"),
                         InstanceMethod<&LazyObject::is_missing>("isMissing"),
                         InstanceMethod<&LazyObject::missing_packs>("missingPacks"),
                         InstanceMethod<&LazyObject::resident_pages>("residentPages"),
                         InstanceMethod<&LazyObject::total_pages>("totalPages"),
                         InstanceMethod<&LazyObject::is_complete>("isComplete"),
                         InstanceMethod<&LazyObject::close>("close"),
                     });
}

// Arguments: index: Buffer, {threads, keys, onWanted, onForked}.
LazyObject::LazyObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const Bytes index = bytes_of(info[0].As<Napi::Buffer<uint8_t>>());
  const Napi::Object options = info[1].As<Napi::Object>();
  const auto threads = static_cast<unsigned>(number_at(options, "threads"));
  auto keys = blob_keys_list(options.Get("keys"));
  on_wanted_ = Napi::Persistent(options.Get("onWanted").As<Napi::Function>());
  on_forked_ = Napi::Persistent(options.Get("onForked").As<Napi::Function>());
  signal_ = std::make_unique<MainThreadSignal>(
      Env(), "holdfast.lazy", [this] { deliver(); }, [this] { stop(); });
  guarded(Env(), [&] {
    engine_ = std::make_unique<LazyEngine>(index, threads, std::move(keys), [signal = signal_.get()] { signal->raise(); });
  });
  Ref();  // until close(): a process depends on it
}

LazyObject::~LazyObject() { stop(); }

Napi::Value LazyObject::take(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    open_engine().take(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Int32Value(),
                       info[2].As<Napi::Number>().Int32Value());
    return info.Env().Undefined();
  });
}

Napi::Value LazyObject::gate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return to_array(info.Env(), open_engine().gate(process_ids(info[0])));
  });
}

Napi::Value LazyObject::chunk(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const IndexChunk& entry = open_engine().chunk(info[0].As<Napi::Number>().Uint32Value());
    Napi::Object place = Napi::Object::New(info.Env());
    place.Set("pack", entry.pack);
    place.Set("offset", to_number(info.Env(), entry.offset));
    place.Set("length", entry.length);
    return place;
  });
}

template <typename Submit>
Napi::Value LazyObject::submit(const Napi::CallbackInfo& info, Submit give) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const uint32_t number = info[0].As<Napi::Number>().Uint32Value();
    const auto body = info[1].As<Napi::Buffer<uint8_t>>();
    const auto [ticket, promise] = tickets_.issue(info.Env(), body);
    try {
      give(open_engine(), ticket, number, bytes_of(body));
    } catch (...) {
      tickets_.withdraw(ticket);
      throw;
    }
    signal_->hold_program(true);
    return promise;
  });
}

Napi::Value LazyObject::fill_chunk(const Napi::CallbackInfo& info) {
  return submit(info, [](LazyEngine& engine, uint64_t ticket, uint32_t number, Bytes body) {
    engine.submit_chunk(ticket, number, body);
  });
}

Napi::Value LazyObject::fill_pack(const Napi::CallbackInfo& info) {
  return submit(info, [&](LazyEngine& engine, uint64_t ticket, uint32_t number, Bytes body) {
    engine.submit_pack(ticket, number, body, optional_checksum(info[2]));
  });
}

void LazyObject::deliver() {
  if (!engine_) return;
  const Napi::HandleScope scope(Env());
  tickets_.settle(Env(), engine_->take_results());
  if (tickets_.empty()) signal_->hold_program(false);
  const LazyNews news = engine_->take_news();
  // The callbacks must not throw, and may close us.
  if (!news.forked.empty()) on_forked_.Call({to_array(Env(), news.forked)});
  if (!news.wanted.empty() && !closed_) on_wanted_.Call({to_array(Env(), news.wanted)});
}

Napi::Value LazyObject::is_missing(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), open_engine().is_missing(info[0].As<Napi::Number>().Uint32Value()));
  });
}

Napi::Value LazyObject::missing_packs(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return to_array(info.Env(), open_engine().missing_packs()); });
}

Napi::Value LazyObject::resident_pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return to_number(info.Env(), open_engine().resident_pages()); });
}

Napi::Value LazyObject::total_pages(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return to_number(info.Env(), open_engine().total_pages()); });
}

Napi::Value LazyObject::is_complete(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Boolean::New(info.Env(), open_engine().is_complete());
  });
}

void LazyObject::close(const Napi::CallbackInfo&) {
  if (closed_) return;
  closed_ = true;
  engine_->stop();
  const Napi::HandleScope scope(Env());
  tickets_.settle(Env(), engine_->take_results());
  stop();
  Unref();
}

LazyEngine& LazyObject::open_engine() {
  if (!engine_) throw Failure("WRONG_STATE", "the fill is closed");
  return *engine_;
}

void LazyObject::stop() {
  closed_ = true;
  if (engine_) engine_->stop();
  engine_.reset();
  tickets_.clear();
  if (signal_) signal_->close();
}

}  // namespace holdfast
