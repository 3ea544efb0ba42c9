#include "adapters/crypto/secret_bytes.hpp"

#include <cassert>
#include <cstring>
#include <new>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <utility>

namespace custos::crypto {

namespace {

/// Smallest block of the secure heap, bytes.
constexpr std::size_t secure_block_bytes_min = 32;

} // namespace

bool start_secure_heap(std::size_t heap_bytes) {
  // Not dumpable also closes /proc/PID/mem to other processes of the same user.
  const rlimit no_core{0, 0};
  bool ok = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  ok = setrlimit(RLIMIT_CORE, &no_core) == 0 && ok;
  // 1: locked and guarded; 2: usable but not locked (ulimit -l); 0: failed.
  return CRYPTO_secure_malloc_init(heap_bytes, secure_block_bytes_min) == 1 && ok;
}

secret_bytes::secret_bytes(std::size_t size) : size_(size) {
  if (size == 0)
    return;
  data_ = static_cast<std::uint8_t*>(OPENSSL_secure_zalloc(size));
  // A full secure heap must not take the process down: the block is still wiped when freed.
  if (data_ == nullptr)
    data_ = static_cast<std::uint8_t*>(OPENSSL_zalloc(size));
  if (data_ == nullptr)
    throw std::bad_alloc();
}

secret_bytes::secret_bytes(byte_view source) : secret_bytes(source.size()) {
  if (!source.empty())
    std::memcpy(data_, source.data(), source.size());
}

secret_bytes::secret_bytes(secret_bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

secret_bytes& secret_bytes::operator=(secret_bytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

secret_bytes::~secret_bytes() {
  if (data_ == nullptr)
    return;
  // For a block of the secure heap OpenSSL wipes the whole block; for an ordinary one `size_`
  // bytes.
  OPENSSL_secure_clear_free(data_, size_);
}

void secret_bytes::shrink(std::size_t size) {
  assert(size <= size_);
  wipe(data_ + size, size_ - size);
  size_ = size;
}

void wipe(void* data, std::size_t size) {
  if (size != 0)
    OPENSSL_cleanse(data, size);
}

} // namespace custos::crypto
