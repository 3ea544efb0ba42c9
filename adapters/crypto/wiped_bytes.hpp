#pragma once
// Octets on their way that may hold a secret among other things: protocol messages, socket buffers.
// Ordinary memory (OpenSSL's secure heap has one lock and is meant for keys), wiped when freed and
// when it grows. What must be kept for longer belongs in secret_bytes.

#include "adapters/crypto/secret_bytes.hpp"

#include <cstdint>
#include <new>
#include <vector>

namespace custos::crypto {

/// Wipes what it gives back.
template <class T>
struct wiping_allocator {
  using value_type = T;
  wiping_allocator() = default;
  template <class U>
  wiping_allocator(const wiping_allocator<U>&) {} // NOLINT: allocators convert implicitly
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) {
    wipe(p, n * sizeof(T));
    ::operator delete(p);
  }
  friend bool operator==(const wiping_allocator&, const wiping_allocator&) { return true; }
};

using wiped_bytes = std::vector<std::uint8_t, wiping_allocator<std::uint8_t>>;

} // namespace custos::crypto
