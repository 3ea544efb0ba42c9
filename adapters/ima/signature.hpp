#pragma once
// Signatures of files as IMA keeps them in security.ima and shows them in ima-sig entries (kernel:
// struct signature_v2_hdr). Thread rule: pure functions. Lifetime: views into the caller's octets.

#include "adapters/crypto/crypto.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>

namespace custos::ima {

struct file_signature {
  crypto::hash_alg alg = crypto::hash_alg::sha256; ///< of the file's digest
  std::uint32_t key_id = 0; ///< the last four octets of the key's identifier; only a hint
  byte_view octets;         ///< RSASSA-PKCS1-v1_5, or an ECDSA signature in DER
};

/// Reads a signature: type 3 (EVM_IMA_XATTR_DIGSIG), version 2, hash, key id, length, octets.
/// Errors: unsupported for every other type, version or hash; malformed.
result<file_signature> parse_signature(byte_view xattr);

/// What a signature names its key by: the end of the SHA-1 of the subject public key (RFC 5280,
/// 4.2.1.2, method 1).
std::uint32_t key_id_of(const crypto::key& key);

} // namespace custos::ima
