#include "cluster/encryption_keys.hpp"

#include "adapters/crypto/scalar_key.hpp"
#include "adapters/jose/jose.hpp"

#include <boost/json.hpp>

namespace custos::cluster {

namespace {

constexpr std::string_view label = "custos-encryption-key-v1";
constexpr std::size_t scalar_bytes = 32;
/// A scalar is out of range once in 2^32 times: a second one is never needed in practice.
constexpr unsigned tries_max = 8;

} // namespace

result<encryption_key> encryption_key_of(const crypto::secret_bytes& data_key) {
  for (unsigned i = 0; i < tries_max; ++i) {
    bytes info = to_bytes(label);
    info.push_back(static_cast<std::uint8_t>(i));
    CUSTOS_TRY(const auto scalar,
               crypto::hkdf_sha256(data_key.reveal_secret(), {}, info, scalar_bytes));
    auto key = crypto::p256_of_scalar(scalar.reveal_secret());
    if (!key && key.failure().code == errc::invalid_argument)
      continue;
    if (!key)
      return key.failure();
    CUSTOS_TRY(auto kid, jose::thumbprint(*key));
    return encryption_key{*std::move(key), std::move(kid)};
  }
  return make_error(errc::crypto_failure, "no encryption key follows from this data key");
}

result<void> encryption_keys::follow(const data_key_ring& ring) {
  std::erase_if(derived_, [&](const auto& one) { return ring.find(one.first) == nullptr; });
  for (const auto& held : ring.keys) {
    if (derived_.contains(held.id))
      continue;
    CUSTOS_TRY(auto made, encryption_key_of(*held.key));
    derived_.emplace(held.id, std::move(made));
  }
  return {};
}

result<encryption_key> encryption_keys::present() {
  const auto& ring = seals_->ring();
  const std::lock_guard guard(mutex_);
  CUSTOS_CHECK(follow(ring));
  return derived_.at(ring.current);
}

result<crypto::key> encryption_keys::find(std::string_view kid) {
  const std::lock_guard guard(mutex_);
  CUSTOS_CHECK(follow(seals_->ring()));
  for (const auto& [id, one] : derived_)
    if (one.kid == kid)
      return one.key;
  return make_error(errc::not_found, "no data key of this node gives an encryption key of that id");
}

std::string jwk_text(const encryption_key& k) {
  return boost::json::serialize(jose::jwk_of(k.key, k.kid, "enc", "ECDH-ES+A256KW"));
}

} // namespace custos::cluster
