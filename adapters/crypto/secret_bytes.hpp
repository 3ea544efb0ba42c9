#pragma once
// Bytes that must not leak: held in OpenSSL's secure heap (locked, not dumped) when the process
// set one up, wiped when freed, never printed, never copied by accident.

#include "messages/bytes.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace custos::crypto {

/// Sets up OpenSSL's secure heap for this process, once, before the first secret. `heap_bytes` is a
/// power of two. Returns false if the memory could not be locked (ulimit -l): the caller decides.
/// Also marks the process as not dumpable (PR_SET_DUMPABLE 0) and sets RLIMIT_CORE to 0.
bool start_secure_heap(std::size_t heap_bytes);

/// A move-only buffer for secrets. Thread rule: as a std::unique_ptr.
class secret_bytes {
public:
  secret_bytes() = default;
  /// `size` zero bytes.
  explicit secret_bytes(std::size_t size);
  /// A copy of bytes that the caller wipes itself.
  explicit secret_bytes(byte_view source);
  secret_bytes(secret_bytes&& other) noexcept;
  secret_bytes& operator=(secret_bytes&& other) noexcept;
  secret_bytes(const secret_bytes&) = delete;
  secret_bytes& operator=(const secret_bytes&) = delete;
  ~secret_bytes();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// The raw bytes. The long name is on purpose: every use is found with one grep.
  [[nodiscard]] byte_view reveal_secret() const { return {data_, size_}; }
  [[nodiscard]] std::span<std::uint8_t> writable_secret() { return {data_, size_}; }
  /// An explicit copy.
  [[nodiscard]] secret_bytes clone() const { return secret_bytes(reveal_secret()); }
  /// Shrinks (wiping the tail); larger sizes are a programmer error.
  void shrink(std::size_t size);

private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Always "<secret>": printing a secret is impossible by construction.
inline std::string to_string(const secret_bytes&) {
  return "<secret>";
}

/// How a secret travels inside the process (between actors): shared, immutable.
using secret_ptr = std::shared_ptr<const secret_bytes>;

/// Overwrites memory in a way the compiler keeps.
void wipe(void* data, std::size_t size);

} // namespace custos::crypto
