#include "cluster/backup/recipients.hpp"

#include "adapters/jose/jose.hpp"

namespace custos::backup {

namespace {

const std::string passphrase_field = "passphrase";

result<crypto::secret_bytes> stretched(const crypto::secret_bytes& passphrase, byte_view salt) {
  return crypto::scrypt(passphrase.reveal_secret(), salt, scrypt_n, scrypt_r, scrypt_p,
                        content_key_bytes);
}

result<recipient> wrap_for(const crypto::key& key, const crypto::secret_bytes& content_key) {
  if (key.type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "recipient", "expected a public key on P-256");
  recipient out;
  out.how = recipient::way::public_key;
  CUSTOS_TRY(out.thumbprint, jose::thumbprint(key));
  CUSTOS_TRY(out.jwe,
             jose::encrypt_ecdh_es_a256kw(key, out.thumbprint, content_key.reveal_secret()));
  return out;
}

result<recipient> wrap_for(const crypto::secret_bytes& passphrase,
                           const crypto::secret_bytes& content_key) {
  CUSTOS_CHECK(check_passphrase(passphrase));
  recipient out;
  out.salt = crypto::random_bytes(salt_bytes);
  CUSTOS_TRY(const auto key, stretched(passphrase, out.salt));
  CUSTOS_TRY(out.wrapped_key,
             crypto::aes_kwp_wrap(key.reveal_secret(), content_key.reveal_secret()));
  return out;
}

result<crypto::secret_bytes> unwrap_with(const crypto::key& key,
                                         const std::vector<recipient>& recipients) {
  const auto thumbprint = jose::thumbprint(key);
  for (const auto& r : recipients) {
    if (r.how != recipient::way::public_key || !thumbprint || r.thumbprint != *thumbprint)
      continue;
    auto content_key = jose::decrypt_ecdh_es_a256kw(key, r.jwe);
    if (content_key && content_key->size() == content_key_bytes)
      return content_key;
    return field_error(errc::corrupted, "/recipients",
                       "the content key that is wrapped for this key does not open");
  }
  return field_error(errc::forbidden, "recipient-key", "the backup is not sealed for this key");
}

result<crypto::secret_bytes> unwrap_with(const crypto::secret_bytes& passphrase,
                                         const std::vector<recipient>& recipients) {
  bool any = false;
  for (const auto& r : recipients) {
    if (r.how != recipient::way::passphrase)
      continue;
    any = true;
    CUSTOS_TRY(const auto key, stretched(passphrase, r.salt));
    auto content_key = crypto::aes_kwp_unwrap(key.reveal_secret(), r.wrapped_key);
    if (content_key && content_key->size() == content_key_bytes)
      return content_key;
  }
  return field_error(errc::forbidden, passphrase_field,
                     any ? "the backup does not open with this passphrase"
                         : "the backup is not sealed under a passphrase");
}

} // namespace

result<void> check_passphrase(const crypto::secret_bytes& passphrase) {
  if (passphrase.size() < passphrase_bytes_min || passphrase.size() > passphrase_bytes_max)
    return field_error(errc::invalid_argument, passphrase_field,
                       "expected a passphrase of " + std::to_string(passphrase_bytes_min) + " to " +
                           std::to_string(passphrase_bytes_max) + " bytes");
  return {};
}

result<recipient> wrap_content_key(const crypto::secret_bytes& content_key, const addressee& to) {
  if (const auto* const key = std::get_if<crypto::key>(&to))
    return wrap_for(*key, content_key);
  return wrap_for(**std::get_if<crypto::secret_ptr>(&to), content_key);
}

result<crypto::secret_bytes> unwrap_content_key(const std::vector<recipient>& recipients,
                                                const opener& with) {
  if (const auto* const key = std::get_if<crypto::key>(&with))
    return unwrap_with(*key, recipients);
  return unwrap_with(**std::get_if<crypto::secret_ptr>(&with), recipients);
}

} // namespace custos::backup
