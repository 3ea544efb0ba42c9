#pragma once
// How this room calls tss2-mu; internal (this header shows tss2 types and is included by .cpp
// only).

#include "adapters/crypto/crypto.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <string>
#include <tss2/tss2_mu.h>

namespace custos::tpm::internal {

/// Unmarshals one structure that must fill `data` exactly.
template <class T>
result<void> unmarshal(TSS2_RC (*read)(const std::uint8_t*, std::size_t, std::size_t*, T*),
                       byte_view data, T& out, const char* what) {
  std::size_t offset = 0;
  if (read(data.data(), data.size(), &offset, &out) != TSS2_RC_SUCCESS)
    return make_error(errc::malformed, std::string(what) + ": does not unmarshal");
  if (offset != data.size())
    return make_error(errc::malformed, std::string(what) + ": " +
                                           std::to_string(data.size() - offset) +
                                           " trailing bytes");
  return {};
}

inline result<crypto::hash_alg> hash_of(TPM2_ALG_ID id, const char* what) {
  switch (id) {
  case TPM2_ALG_SHA1:
    return crypto::hash_alg::sha1;
  case TPM2_ALG_SHA256:
    return crypto::hash_alg::sha256;
  case TPM2_ALG_SHA384:
    return crypto::hash_alg::sha384;
  case TPM2_ALG_SHA512:
    return crypto::hash_alg::sha512;
  default:
    return make_error(errc::unsupported, std::string(what) + ": hash algorithm " +
                                             std::to_string(id) + ", expected SHA-1 or SHA-2");
  }
}

/// The buffer of a TPM2B whose size the library has checked.
template <class Sized>
byte_view view_of(const Sized& sized) {
  return {sized.buffer, sized.size};
}

} // namespace custos::tpm::internal
