#include "capture_object.h"

#include <sys/sysmacros.h>

#include "encoder_values.h"
#include "hex_digits.h"
#include "js_values.h"
#include "ledger_object.h"

namespace holdfast {

namespace {

CaptureSettings settings_of(const Napi::Object& options) {
  CaptureSettings settings{};
  settings.budget_bytes = static_cast<uint64_t>(number_at(options, "budgetBytes"));
  settings.pack_bytes = static_cast<size_t>(number_at(options, "packBytes"));
  settings.chunk_pages = static_cast<uint32_t>(number_at(options, "chunkPages"));
  settings.threads = static_cast<unsigned>(number_at(options, "threads"));
  settings.nice = static_cast<int>(number_at(options, "nice"));
  settings.encoder = encoder_settings(options);
  const bool scan = options.Get("pageScan").As<Napi::String>().Utf8Value() == "probe";
  settings.scan_method = scan ? probe_scan_method() : ScanMethod::PagemapEntries;
  return settings;
}

// [{pid, clonePid}, ...]
std::vector<Snapshot> snapshots(const Napi::Value& list) {
  const auto array = list.As<Napi::Array>();
  std::vector<Snapshot> found;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const auto one = array.Get(i).As<Napi::Object>();
    found.push_back({static_cast<int>(number_at(one, "pid")), static_cast<int>(number_at(one, "clonePid"))});
  }
  return found;
}

// [{major, minor, inode}, ...]
std::vector<SegmentId> segments(const Napi::Value& list) {
  const auto array = list.As<Napi::Array>();
  std::vector<SegmentId> found;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const auto one = array.Get(i).As<Napi::Object>();
    const auto part = [&](const char* name) { return static_cast<unsigned>(number_at(one, name)); };
    found.push_back({makedev(part("major"), part("minor")), static_cast<uint64_t>(number_at(one, "inode"))});
  }
  return found;
}

// A Buffer that keeps `owner` alive until it is collected, without a copy.
template <typename Owner>
Napi::Buffer<uint8_t> view(Napi::Env env, const std::byte* data, size_t size, std::shared_ptr<Owner> owner) {
  auto* hold = new std::shared_ptr<Owner>(std::move(owner));
  auto* bytes = reinterpret_cast<uint8_t*>(const_cast<std::byte*>(data));
  return Napi::Buffer<uint8_t>::New(
      env, bytes, size, [](Napi::Env, uint8_t*, std::shared_ptr<Owner>* held) { delete held; }, hold);
}

}  // namespace

Napi::Function CaptureObject::define(Napi::Env env) {
  return DefineClass(env, "NativeCapture",
                     {
                         InstanceMethod<&CaptureObject::next>("next"),
                         InstanceMethod<&CaptureObject::recycle>("recycle"),
                         InstanceMethod<&CaptureObject::round>("round"),
                         InstanceMethod<&CaptureObject::freeze>("freeze"),
                         InstanceMethod<&CaptureObject::read_held>("readHeld"),
                         InstanceMethod<&CaptureObject::read_snapshots>("readSnapshots"),
                         InstanceMethod<&CaptureObject::finish>("finish"),
                         InstanceMethod<&CaptureObject::index>("index"),
                         InstanceMethod<&CaptureObject::totals>("totals"),
                         InstanceMethod<&CaptureObject::set_upload_rate>("setUploadRate"),
                         InstanceMethod<&CaptureObject::close>("close"),
                     });
}

CaptureObject::CaptureObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  auto ledger = LedgerObject::Unwrap(info[0].As<Napi::Object>())->ledger();
  CaptureSettings settings = settings_of(info[1].As<Napi::Object>());
  encoder_state_ = settings.encoder.state;
  signal_ = std::make_unique<MainThreadSignal>(
      Env(), "holdfast.capture", [this] { deliver(); }, [this] { stop(); });
  guarded(Env(), [&] {
    engine_ = std::make_unique<CaptureEngine>(std::move(ledger), std::move(settings), [signal = signal_.get()] { signal->raise(); });
  });
}

CaptureObject::~CaptureObject() { stop(); }

Napi::Value CaptureObject::next(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    open_engine();
    if (waiting_) throw Failure("WRONG_STATE", "next() of a capture was called before its last call ended");
    waiting_ = Napi::Promise::Deferred::New(info.Env());
    const Napi::Promise promise = waiting_->Promise();
    hold();
    deliver();
    return promise;
  });
}

Napi::Value CaptureObject::begin(Napi::Env env, const std::function<void(CaptureEngine&)>& step) {
  return guarded(env, [&]() -> Napi::Value {
    step(open_engine());
    step_waiting_ = Napi::Promise::Deferred::New(env);
    const Napi::Promise promise = step_waiting_->Promise();
    hold();
    deliver();
    return promise;
  });
}

Napi::Value CaptureObject::round(const Napi::CallbackInfo& info) {
  return begin(info.Env(), [&](CaptureEngine& engine) { engine.round(process_ids(info[0])); });
}

Napi::Value CaptureObject::freeze(const Napi::CallbackInfo& info) {
  return begin(info.Env(), [&](CaptureEngine& engine) {
    engine.freeze(process_ids(info[0]), snapshots(info[1]), segments(info[2]));
  });
}

Napi::Value CaptureObject::read_held(const Napi::CallbackInfo& info) {
  return begin(info.Env(), [](CaptureEngine& engine) { engine.read_held(); });
}

Napi::Value CaptureObject::read_snapshots(const Napi::CallbackInfo& info) {
  return begin(info.Env(), [](CaptureEngine& engine) { engine.read_snapshots(); });
}

Napi::Value CaptureObject::finish(const Napi::CallbackInfo& info) {
  return begin(info.Env(), [](CaptureEngine& engine) { engine.finish(); });
}

void CaptureObject::hold() {
  if (holds_++ > 0) return;
  Ref();
  signal_->hold_program(true);
}

void CaptureObject::let_go() {
  if (--holds_ > 0) return;
  signal_->hold_program(false);
  Unref();
}

void CaptureObject::deliver() {
  try {
    if (step_waiting_ && engine_) settle_step(engine_->poll_step());
    if (waiting_ && engine_) settle(engine_->poll());
  } catch (const Napi::Error&) {
    // JavaScript is being ended: nobody is left to tell.
  }
}

void CaptureObject::settle_step(const CaptureEngine::StepResult& result) {
  if (std::holds_alternative<CaptureEngine::Nothing>(result)) return;
  const Napi::HandleScope scope(Env());
  const Napi::Promise::Deferred waiting = *step_waiting_;
  step_waiting_.reset();
  if (const auto* failure = std::get_if<Failure>(&result)) {
    waiting.Reject(to_js(Env(), *failure).Value());
  } else {
    const auto& counts = std::get<StepCounts>(result);
    Napi::Object value = Napi::Object::New(Env());
    const auto set = [&](const char* name, uint64_t count) { value.Set(name, static_cast<double>(count)); };
    set("presentPages", counts.present_pages);
    set("stalePages", counts.stale_pages);
    set("heldPages", counts.held_pages);
    set("snapshotPages", counts.snapshot_pages);
    waiting.Resolve(value);
  }
  let_go();
}

void CaptureObject::settle(const CaptureEngine::Event& event) {
  if (std::holds_alternative<CaptureEngine::Nothing>(event)) return;
  const Napi::HandleScope scope(Env());
  const Napi::Promise::Deferred waiting = *waiting_;
  waiting_.reset();
  if (const auto* failure = std::get_if<Failure>(&event)) {
    waiting.Reject(to_js(Env(), *failure).Value());
  } else if (const auto* pack = std::get_if<SealedPack>(&event)) {
    waiting.Resolve(pack_value(*pack));
  } else {
    waiting.Resolve(Env().Null());
  }
  let_go();
}

Napi::Value CaptureObject::pack_value(const SealedPack& pack) {
  auto body = view(Env(), pack.buffer->data(), pack.size, pack.buffer);
  bodies_.emplace(pack.number, Napi::Persistent(body));
  Napi::Object value = Napi::Object::New(Env());
  value.Set("number", pack.number);
  value.Set("body", body);
  value.Set("sha256", to_text(pack.sha256));
  value.Set("xxh3", to_text(pack.xxh3));
  return value;
}

void CaptureObject::recycle(const Napi::CallbackInfo& info) {
  if (!engine_) return;  // an upload may end after the capture was given up
  const uint32_t number = info[0].As<Napi::Number>().Uint32Value();
  const auto body = bodies_.find(number);
  guarded(info.Env(), [&] {
    if (body == bodies_.end()) throw Failure("INVALID_ARGUMENT", "pack " + std::to_string(number) + " is not handed out");
  });
  // Detached first: who still holds the Buffer sees it empty, never the next pack.
  body->second.Value().ArrayBuffer().Detach();
  bodies_.erase(body);
  engine_->recycle(number);
}

Napi::Value CaptureObject::index(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto index = open_engine().index();
    if (!index) throw Failure("WRONG_STATE", "the page index is there when next() has returned null");
    Napi::Array packs = Napi::Array::New(info.Env(), index->packs.size());
    for (uint32_t i = 0; i < index->packs.size(); i++) packs.Set(i, index->packs[i]);
    Napi::Object value = Napi::Object::New(info.Env());
    value.Set("body", view(info.Env(), index->object.data(), index->object.size(), index));
    value.Set("packs", packs);
    return value;
  });
}

Napi::Value CaptureObject::totals(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const CaptureCounts counts = open_engine().counts();
    Napi::Object value = Napi::Object::New(info.Env());
    const auto set = [&](const char* name, uint64_t count) { value.Set(name, static_cast<double>(count)); };
    set("scannedPages", counts.present_pages);
    set("readPages", counts.read_pages);
    set("reusedPages", counts.reused_pages);
    set("zeroPages", counts.zero_pages);
    set("capturedPages", counts.captured_pages);
    set("capturedBytes", counts.captured_pages * page_size());
    set("storedBytes", counts.stored_bytes);
    set("chunks", counts.chunks);
    value.Set("codecReasons", codec_reasons(info.Env(), *encoder_state_));
    return value;
  });
}

void CaptureObject::set_upload_rate(const Napi::CallbackInfo& info) {
  encoder_state_->set_upload_rate(info[0].As<Napi::Number>().DoubleValue());
}

void CaptureObject::close(const Napi::CallbackInfo&) {
  stop();
  const Failure closed("ABORTED", "the capture was closed");
  if (step_waiting_) settle_step(closed);
  if (waiting_) settle(closed);
}

CaptureEngine& CaptureObject::open_engine() {
  if (!engine_) throw Failure("WRONG_STATE", "the capture is closed");
  return *engine_;
}

void CaptureObject::stop() {
  if (engine_) engine_->stop();
  engine_.reset();
  bodies_.clear();
  if (signal_) signal_->close();
}

}  // namespace holdfast
