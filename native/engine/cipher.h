// Encryption of blobs: AES-256-GCM under a key of its own for every blob (XAES-256-GCM), and keyed addresses.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <span>

#include "bytes.h"
#include "sha256.h"

namespace holdfast {

using KeyBytes = std::array<std::byte, 32>;
using KeyFingerprint = std::array<std::byte, 8>;

// Derived from a tenant's key by core/encryption. Wiped when they go.
struct BlobKeys {
  KeyFingerprint fingerprint{};
  KeyBytes seal{};
  KeyBytes address{};

  BlobKeys() = default;
  BlobKeys(const BlobKeys&) = default;
  BlobKeys& operator=(const BlobKeys&) = default;
  ~BlobKeys();
};

// Stored bytes of an encrypted blob: fingerprint of the key, nonce, ciphertext, tag.
constexpr size_t kNonceBytes = 24;
constexpr size_t kTagBytes = 16;
constexpr size_t kSealPrefixBytes = std::tuple_size_v<KeyFingerprint> + kNonceBytes;
constexpr size_t kSealBytes = kSealPrefixBytes + kTagBytes;

// One per thread: the contexts are kept.
class BlobCipher {
 public:
  explicit BlobCipher(const BlobKeys& keys);

  const KeyFingerprint& fingerprint() const { return keys_.fingerprint; }

  // Fills `out`, kSealBytes longer than `plain`. `plain` may lie in it already, behind the prefix.
  void seal(Bytes header, Bytes plain, std::span<std::byte> out);

  // Fills `out`; false when header and sealed bytes are not together what this key sealed.
  bool open(Bytes header, Bytes sealed, std::span<std::byte> out);

  // HMAC-SHA-256: who does not have the key cannot tell which contents it stands for.
  Sha256 address(Bytes raw) const;

 private:
  using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
  using MacContext = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;

  // Starts the payload context under the key of this nonce.
  void begin(Bytes nonce, Bytes header, bool encrypt);
  void crypt(Bytes in, std::byte* out);
  void derive(Bytes nonce, std::array<unsigned char, 32>& key);

  const BlobKeys keys_;
  CipherContext block_;  // AES-256 on single blocks
  CipherContext payload_;
  MacContext mac_;
  std::array<unsigned char, 16> subkey_{};
};

// Which key a sealed blob names.
KeyFingerprint fingerprint_of(Bytes sealed);

}  // namespace holdfast
