#pragma once
// The service's encryption key: the public half is what hosts encrypt key material of their own to
// (JWE, ECDH-ES+A256KW). It is derived from a data key of the cluster, so every node has it and
// nothing new is stored; it changes when the data key does (docs/decisions/0019).
//
// The private scalar is HKDF-SHA256 (RFC 5869) of the data key, without salt, with the info
// "custos-encryption-key-v1" and one octet that counts from 0; a scalar outside [1, n-1] is passed
// over for the next (FIPS 186-5, A.2.2). The id is the RFC 7638 thumbprint.

#include "adapters/crypto/crypto.hpp"
#include "cluster/sealing.hpp"
#include "messages/error.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace custos::cluster {

struct encryption_key {
  crypto::key key; ///< P-256, private
  std::string kid;
};

/// Of one data key. errc::crypto_failure.
result<encryption_key> encryption_key_of(const crypto::secret_bytes& data_key);

/// Those of a node's data keys, each derived once and dropped with its data key. Thread-safe.
class encryption_keys {
public:
  explicit encryption_keys(std::shared_ptr<const sealer> seals) : seals_(std::move(seals)) {}

  /// Of the data key that seals now: what hosts are told.
  result<encryption_key> present();
  /// Of any data key this node holds: what a host was told before the data key changed opens as
  /// long. errc::not_found.
  result<crypto::key> find(std::string_view kid);

private:
  result<void> follow(const data_key_ring& ring);

  std::shared_ptr<const sealer> seals_;
  std::mutex mutex_;
  std::map<data_key_id, encryption_key> derived_;
};

/// The JWK that is published (RFC 7517): kty, crv, x, y, kid, use "enc", alg "ECDH-ES+A256KW".
std::string jwk_text(const encryption_key& k);

} // namespace custos::cluster
