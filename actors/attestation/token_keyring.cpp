#include "actors/attestation/token_keyring.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace custos::attestation {

namespace {

/// Clocks of verifiers differ: a key is trusted for this long after its last token expired.
constexpr std::int64_t last_token_grace_s = 2 * clock_skew_s_max;
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

result<crypto::key> private_key_of(const token_key& k, const crypto::key& public_key,
                                   const key_opener& open) {
  CUSTOS_TRY(const auto pkcs8, open(k));
  CUSTOS_TRY(auto key, crypto::private_key_from_pkcs8(pkcs8.reveal_secret()));
  if (!key.same_public(public_key))
    return make_error(errc::invalid_argument, "the sealed key is not that of public_key");
  return key;
}

/// Of a keyring's keys by name and object: the same objects make the same ring.
bool same_keys(const object_index<token_key>& a, const object_index<token_key>& b) {
  if (a.size() != b.size())
    return false;
  auto other = b.begin();
  for (auto it = a.begin(); it != a.end(); ++it, ++other)
    if (it->first != other->first || it.shared() != other.shared())
      return false;
  return true;
}

result<crypto::key> fresh_key(std::string_view algorithm) {
  if (algorithm == "ES256")
    return crypto::generate_p256();
  if (algorithm == "ES384")
    return crypto::generate_p384();
  if (algorithm == "PS256" || algorithm == "RS256")
    return crypto::generate_rsa(token_rsa_bits);
  return field_error(errc::invalid_argument, "/algorithm",
                     R"(expected "ES256", "ES384", "PS256" or "RS256")");
}

} // namespace

// ---- one state of the keys ----------------------------------------------------------------------

result<std::shared_ptr<const token_keyring>>
token_keyring::make(const initial_key& initial, const object_index<token_key>& keys,
                    const key_opener& open) {
  const std::shared_ptr<token_keyring> out(new token_keyring());
  CUSTOS_TRY(out->fallback_, make_token_signer(initial.key, "ES256", initial.kid));
  out->trusted_.push_back({initial.kid, initial.key, "ES256"});
  out->expires_.push_back(never);
  std::vector<const token_key*> order;
  for (auto it = keys.begin(); it != keys.end(); ++it)
    order.push_back(it.shared().get());
  // Last to expire first: those that have not expired are then the front of the list.
  std::stable_sort(order.begin(), order.end(),
                   [](const token_key* a, const token_key* b) { return a->expires > b->expires; });
  for (const auto* const key : order)
    out->add(*key, open);
  std::stable_sort(out->signers_.begin(), out->signers_.end(),
                   [](const signing& a, const signing& b) { return a.from > b.from; });
  return std::shared_ptr<const token_keyring>(out);
}

void token_keyring::add(const token_key& k, const key_opener& open) {
  const auto complain = [&](const error& e) {
    problems_.push_back("token key " + k.name + ": " + e.message);
  };
  auto public_key = crypto::public_key_from_spki(k.public_key);
  if (!public_key)
    return complain(public_key.failure());
  if (!jose::fits(k.algorithm, public_key->type()))
    return complain(make_error(errc::invalid_argument, "the algorithm does not fit the key"));
  auto private_key = private_key_of(k, *public_key, open);
  if (!private_key)
    return complain(private_key.failure());
  auto by = make_token_signer(*std::move(private_key), k.algorithm, k.name);
  if (!by)
    return complain(by.failure());
  trusted_.push_back({k.name, *std::move(public_key), k.algorithm});
  expires_.push_back(k.expires);
  signers_.push_back({*std::move(by), k.signs_from, std::min(k.signs_until, k.expires)});
}

const token_signer& token_keyring::signer_at(std::int64_t now) const {
  for (const auto& s : signers_)
    if (s.from <= now && now < s.until)
      return s.by;
  return fallback_;
}

std::span<const jose::trusted_key> token_keyring::trusted_at(std::int64_t now) const {
  std::size_t n = 0;
  while (n < expires_.size() && expires_[n] > now)
    ++n;
  return std::span(trusted_).first(n);
}

std::string token_keyring::jwks_at(std::int64_t now) const {
  std::vector<jose::published_key> out;
  for (const auto& k : trusted_at(now))
    out.push_back({k.key, k.kid, "sig", k.alg});
  return jose::jwks_of(out);
}

std::vector<std::string> token_keyring::algorithms_at(std::int64_t now) const {
  std::vector<std::string> out;
  const auto trusted = trusted_at(now);
  for (const auto alg : jose::signature_algorithms)
    if (std::any_of(trusted.begin(), trusted.end(), [&](const auto& k) { return k.alg == alg; }))
      out.emplace_back(alg);
  return out;
}

// ---- the present state --------------------------------------------------------------------------

token_keyring_source::token_keyring_source(initial_key initial, key_opener open,
                                           std::function<void(const std::string&)> complain)
    : initial_(std::move(initial)), open_(std::move(open)), complain_(std::move(complain)) {}

token_keyring_source::state token_keyring_source::of(const config_ptr& config) {
  const std::lock_guard guard(mutex_);
  if (made_of_ && (config == made_of_ || same_keys(config->token_keys, made_of_->token_keys))) {
    made_of_ = config;
    return present_;
  }
  auto ring = token_keyring::make(initial_, config->token_keys, open_);
  assert(ring); // the initial key signs, as promised
  made_of_ = config;
  present_ = {*std::move(ring), present_.generation + 1};
  if (complain_)
    for (const auto& problem : present_.ring->problems())
      complain_(problem);
  return present_;
}

std::uint64_t token_keyring_reader::trust_generation(const config_ptr& config, std::int64_t now) {
  look(config);
  // Within one generation keys only expire, so their number tells them apart.
  constexpr unsigned count_bits = 16;
  return seen_.generation << count_bits | seen_.ring->trusted_at(now).size();
}

// ---- new keys -----------------------------------------------------------------------------------

result<token_key>
make_token_key(const token_key_wish& wish, const attestation_settings& settings, std::int64_t now,
               const std::function<result<bytes>(const std::string&, byte_view)>& seal) {
  const std::int64_t verifies_for_least =
      std::max<std::int64_t>(settings.token_life_s, settings.reporting_token_life_s) +
      last_token_grace_s;
  token_key out;
  out.algorithm = wish.algorithm;
  const auto from = wish.signs_from.value_or(now + token_key_lead_s);
  // "Now" by the asker's clock may have passed here.
  if (from < now - clock_skew_s_max || from > now + token_key_signs_for_s_max)
    return field_error(errc::invalid_argument, "/signs_from", "expected a time from now on");
  out.signs_from = std::max(from, now);
  const auto signs_for = wish.signs_for_s.value_or(token_key_signs_for_s);
  if (signs_for < 1 || signs_for > token_key_signs_for_s_max)
    return field_error(errc::invalid_argument, "/signs_for_s",
                       "expected 1 to " + std::to_string(token_key_signs_for_s_max) + " seconds");
  const auto verifies_for = wish.verifies_for_s.value_or(verifies_for_least);
  if (verifies_for < verifies_for_least || verifies_for > token_key_signs_for_s_max)
    return field_error(errc::invalid_argument, "/verifies_for_s",
                       "expected at least " + std::to_string(verifies_for_least) +
                           " seconds, the life of a token with some grace");
  out.signs_until = out.signs_from + signs_for;
  out.expires = out.signs_until + verifies_for;
  // One thumbprint in 32 begins with - or _, which no name of an object does: another key, then.
  crypto::key key;
  while (!is_object_name(out.name)) {
    CUSTOS_TRY(key, fresh_key(out.algorithm));
    CUSTOS_TRY(out.name, jose::thumbprint(key));
  }
  out.public_key = key.spki_der();
  CUSTOS_TRY(out.sealed_private_key, seal(out.name, key.pkcs8_der().reveal_secret()));
  return out;
}

} // namespace custos::attestation
