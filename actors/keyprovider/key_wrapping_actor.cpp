#include "actors/keyprovider/key_wrapping_actor.hpp"

#include <algorithm>
#include <utility>

namespace custos::keyprovider {

namespace {

using sealing_ptr = std::shared_ptr<const key_to_seal>;

ciphertext_identity new_identity(const key_to_seal& what, wrap_algorithm algorithm) {
  ciphertext_identity identity;
  identity.algorithm = algorithm;
  identity.provider = what.provider;
  identity.primary_key_id = what.primary_key_id;
  const auto nonce = crypto::random_bytes(nonce_bytes);
  std::copy(nonce.begin(), nonce.end(), identity.nonce.begin());
  identity.context_hash = crypto::sha256(what.context);
  return identity;
}

result<sealed_key> sealed_with(const key_to_seal& what, ciphertext_identity identity,
                               const wrapped_key& wrapped, const crypto::secret_bytes& fresh) {
  CUSTOS_TRY(auto ciphertext, seal_key(identity, wrapped, fresh, what.context, *what.key));
  return sealed_key{std::move(identity), std::move(ciphertext)};
}

result<sealed_key> seal_here(const key_to_seal& what, const crypto::secret_bytes& primary) {
  const auto fresh = crypto::random_secret(fresh_key_bytes);
  CUSTOS_TRY(auto wrapped, crypto::aes_kwp_wrap(primary.reveal_secret(), fresh.reveal_secret()));
  return sealed_with(what, new_identity(what, wrap_algorithm::local_kwp),
                     {{}, std::move(wrapped), {}}, fresh);
}

void seal_on_server(const session_ptr& session, const sealing_ptr& what, const sealed_done& then) {
  auto fresh = std::make_shared<const crypto::secret_bytes>(crypto::random_secret(fresh_key_bytes));
  // The additional data is for GCM; a server that answers with CBC was not sent any.
  auto identity = new_identity(*what, wrap_algorithm::remote_gcm);
  auto aad = identity_bytes(identity);
  if (!aad)
    return then(std::move(aad).failure());
  session->encrypt({what->primary_key_id, fresh, *std::move(aad)},
                   [what, then, identity = std::move(identity),
                    fresh](result<kmip::encrypted_data> sealed) mutable {
                     if (!sealed)
                       return then(std::move(sealed).failure());
                     if (!sealed->gcm)
                       identity.algorithm = wrap_algorithm::remote_cbc;
                     then(sealed_with(*what, std::move(identity),
                                      {std::move(sealed->iv), std::move(sealed->ciphertext),
                                       std::move(sealed->tag)},
                                      *fresh));
                   });
}

void tell(const opened_done& then, error e) {
  auto why = refusal_detail(e);
  then(std::move(e), std::move(why));
}

void open_with(const key_to_open& what, const crypto::secret_bytes& fresh,
               const opened_done& then) {
  auto key = open_key(what.parsed, what.context, fresh);
  if (!key)
    return tell(then, std::move(key).failure());
  then(std::move(key), {});
}

void open_here(const session_ptr& session, const std::shared_ptr<const key_to_open>& what,
               const opened_done& then) {
  session->with_primary_key(what->parsed.identity.primary_key_id, key_use::process,
                            [what, then](result<crypto::secret_ptr> primary) {
                              if (!primary)
                                return tell(then, std::move(primary).failure());
                              const auto fresh = crypto::aes_kwp_unwrap(
                                  (*primary)->reveal_secret(), what->parsed.wrapped.ciphertext);
                              if (!fresh)
                                return tell(then, does_not_decrypt());
                              open_with(*what, *fresh, then);
                            });
}

/// CBC is malleable, and the server says when its padding is wrong. A host that could tell that
/// from a wrong tag could decrypt, by asking often enough, fresh keys that are not its own
/// (Vaudenay's attack). So both read the same and cost us the same; the audit log has the truth.
void open_in_vain(const key_to_open& what, const result<kmip::decrypted_data>& opened,
                  const opened_done& then) {
  const auto key = open_key(what.parsed, what.context, crypto::random_secret(fresh_key_bytes));
  auto told = key ? does_not_decrypt() : key.failure();
  auto why = told.message;
  if (!opened)
    why += " (" + refusal_detail(opened.failure()) + ")";
  then(std::move(told), std::move(why));
}

void open_on_server(const session_ptr& session, const std::shared_ptr<const key_to_open>& what,
                    const opened_done& then) {
  const auto& wrapped = what->parsed.wrapped;
  const bool gcm = what->parsed.identity.algorithm == wrap_algorithm::remote_gcm;
  auto aad = identity_bytes(what->parsed.identity);
  if (!aad)
    return tell(then, std::move(aad).failure());
  session->decrypt({what->parsed.identity.primary_key_id,
                    {gcm, wrapped.iv, wrapped.ciphertext, wrapped.tag},
                    gcm ? *std::move(aad) : bytes{}},
                   [what, then, gcm](result<kmip::decrypted_data> opened) {
                     const bool away = !opened && opened.failure().code == errc::unavailable;
                     const bool fresh = opened && opened->plaintext &&
                                        opened->plaintext->size() == fresh_key_bytes;
                     if (!gcm && !away && !fresh)
                       return open_in_vain(*what, opened, then);
                     if (!opened)
                       return tell(then, std::move(opened).failure());
                     if (!fresh)
                       return tell(then, does_not_decrypt());
                     open_with(*what, *opened->plaintext, then);
                   });
}

} // namespace

void seal_under(const session_ptr& session, key_to_seal what, sealed_done then) {
  const auto mode = what.mode;
  auto shared = std::make_shared<const key_to_seal>(std::move(what));
  session->choose_remote(mode, [session, shared, then = std::move(then)](result<bool> remote) {
    if (!remote)
      return then(std::move(remote).failure());
    if (*remote)
      return seal_on_server(session, shared, then);
    session->with_primary_key(shared->primary_key_id, key_use::protect,
                              [shared, then](result<crypto::secret_ptr> primary) {
                                if (!primary)
                                  return then(std::move(primary).failure());
                                then(seal_here(*shared, **primary));
                              });
  });
}

void open_under(const session_ptr& session, std::shared_ptr<const key_to_open> what,
                opened_done then) {
  if (what->parsed.identity.algorithm == wrap_algorithm::local_kwp)
    open_here(session, what, then);
  else
    open_on_server(session, what, then);
}

result<kek_ciphertext> read_for(const key_provider& provider, byte_view ciphertext,
                                byte_view context) {
  CUSTOS_TRY(auto parsed, parse_ciphertext(ciphertext));
  if (parsed.identity.provider != provider.name)
    return field_error(errc::forbidden, "ciphertext", "the ciphertext belongs to another provider");
  CUSTOS_CHECK(check_context(parsed, context));
  // Whoever asked that the primary key never leaves the server gets just that.
  if (parsed.identity.algorithm == wrap_algorithm::local_kwp &&
      provider.mode == primary_key_mode::remote)
    return field_error(errc::unsupported, "ciphertext",
                       "the ciphertext was made in local mode, and the provider's mode is remote; "
                       "mode automatic opens both");
  return parsed;
}

std::string refusal_detail(const error& e) {
  return e.check.empty() ? e.message : e.check + ": " + e.message;
}

} // namespace custos::keyprovider
