#include "cluster/sealing.hpp"

#include "adapters/crypto/crypto.hpp"

#include <cassert>

namespace custos::cluster {

namespace {

std::string additional_data(std::string_view use) {
  return std::string("custos-sealed-v2:").append(use);
}

} // namespace

sealer::sealer(data_key_ring ring) {
  replace(std::move(ring));
}

void sealer::replace(data_key_ring ring) {
  assert(ring.find(ring.current) != nullptr);
  const std::lock_guard guard(mutex_);
  rings_.push_back(std::make_unique<const data_key_ring>(std::move(ring)));
  present_.store(rings_.back().get(), std::memory_order_release);
}

result<sealed_secret> sealer::seal(byte_view secret, std::string_view use) const {
  const auto& present = ring();
  const auto& with = *present.find(present.current);
  const auto nonce = crypto::random_bytes(sealed_nonce_bytes);
  CUSTOS_TRY(const auto body, crypto::aes256_gcm_seal(with.key->reveal_secret(), nonce,
                                                      as_bytes(additional_data(use)), secret));
  sealed_secret out;
  out.sealed.reserve(sealed_overhead_bytes + body.ciphertext.size());
  out.sealed.push_back(sealed_version);
  out.sealed.insert(out.sealed.end(), with.id.begin(), with.id.end());
  out.sealed.insert(out.sealed.end(), nonce.begin(), nonce.end());
  out.sealed.insert(out.sealed.end(), body.ciphertext.begin(), body.ciphertext.end());
  out.sealed.insert(out.sealed.end(), body.tag.begin(), body.tag.end());
  return out;
}

result<crypto::secret_bytes> sealer::open(const sealed_secret& sealed, std::string_view use) const {
  const byte_view all(sealed.sealed);
  const auto about = "sealed value for " + std::string(use);
  if (all.size() < sealed_overhead_bytes)
    return make_error(errc::malformed, about + ": expected a version, a key id, a nonce and a tag");
  if (all.front() != sealed_version)
    return make_error(errc::unsupported, about + ": expected version 2");
  const auto id = *data_key_of(all);
  const auto* const with = ring().find(id);
  if (with == nullptr)
    return make_error(errc::crypto_failure,
                      about + " is sealed under data key " + text_of(id) +
                          ", which this node does not hold: sealed by another cluster, or under a "
                          "key that was retired");
  constexpr auto header_bytes = 1 + data_key_id_bytes;
  auto opened = crypto::aes256_gcm_open(
      with->key->reveal_secret(), all.subspan(header_bytes, sealed_nonce_bytes),
      as_bytes(additional_data(use)),
      all.subspan(header_bytes + sealed_nonce_bytes, all.size() - sealed_overhead_bytes),
      all.last(sealed_tag_bytes));
  if (!opened)
    return make_error(errc::crypto_failure,
                      about + " does not open: sealed for another use, or changed");
  return opened;
}

std::string client_private_key_use(std::string_view provider) {
  return std::string("key-provider/").append(provider).append("/client-private-key");
}

std::string token_key_use(std::string_view kid) {
  return std::string("token-key/").append(kid);
}

std::string password_use(std::string_view provider) {
  return std::string("key-provider/").append(provider).append("/password");
}

std::string primary_key_use(std::string_view provider, std::string_view id) {
  return std::string("key-provider/").append(provider).append("/primary-key/").append(id);
}

} // namespace custos::cluster
