// The encoder and the blob reader as JavaScript sees them: settings, counts, and one chunk at a time.
#pragma once

#include <napi.h>

#include "chunk_encoder.h"

namespace holdfast {

// [{fingerprint, seal, address}, ...]
std::vector<BlobKeys> blob_keys_list(const Napi::Value& list);

// {codec, compressionLevel, threads, keys}; keys: null stores without encryption
EncoderSettings encoder_settings(const Napi::Object& options);

// Chunks by the reason of their codec.
Napi::Object codec_reasons(Napi::Env env, const EncoderState& state);

// encodeChunk(raw, options) -> {blob, address, reason}
Napi::Value encode_chunk(const Napi::CallbackInfo& info);

// decodeBlob(blob, keys) -> raw pages
Napi::Value decode_blob(const Napi::CallbackInfo& info);

// chooseCodec({lz4Ratio, lz4BytesPerS, shuffleLz4Ratio, …, zstdRatio, …, uploadBytesPerS, threads}) -> {codec, reason}
Napi::Value choose_codec_value(const Napi::CallbackInfo& info);

}  // namespace holdfast
