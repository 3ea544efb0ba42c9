#include "actors/keyprovider/gate.hpp"

#include "actors/keyprovider/access.hpp"
#include "actors/keyprovider/ciphertext.hpp"
#include "adapters/jose/jose.hpp"

#include <algorithm>
#include <cstring>

namespace custos::keyprovider {

namespace {

/// Largest SubjectPublicKeyInfo looked at; one of P-256 has 91 bytes.
constexpr std::size_t spki_bytes_max = 512;

error refusal(errc code, std::string_view check, std::string message) {
  auto e = make_error(code, std::move(message));
  e.check = check;
  return e;
}

const host_binding* binding_of(const config_snapshot& config, const std::string& host) {
  const auto found = config.hosts.find(host);
  return found == config.hosts.end() ? nullptr : &found->second;
}

/// Step 3, first half (see the header for what "still" means).
result<void> check_host(const token_facts& facts, const config_snapshot& config, bool ek_listed) {
  constexpr std::string_view check = "gate-host";
  if (const auto* binding = binding_of(config, facts.host)) {
    if (binding->quarantined)
      return refusal(errc::forbidden, check, "the host is quarantined");
    if (!crypto::equal(binding->ek_spki_sha256, facts.ek_spki_sha256))
      return refusal(errc::forbidden, check,
                     "the host is bound to another endorsement key than the token's");
  }
  if (ek_listed)
    return {};
  if (config.settings.require_endorsement_keys)
    return refusal(errc::forbidden, check,
                   "the host's endorsement key is not among the trusted ones any more");
  if (config.settings.require_certificate_validation && config.tpm_cas.empty())
    return refusal(errc::forbidden, check,
                   "no TPM CA is trusted any more, and the host's endorsement key is not listed");
  return {};
}

/// Of denials, those that a token tells to apply: by key. Those by model or firmware meet the host
/// when its evidence is judged next.
result<void> check_denied(const token_facts& facts, const attestation::trust_index& trust) {
  attestation::tpm_description tpm;
  tpm.ek_spki_sha256 = facts.ek_spki_sha256;
  tpm.ak_name = facts.ak_name;
  if (const auto* const d = trust.denies(tpm); d != nullptr)
    return refusal(errc::forbidden, "gate-host",
                   "the host's TPM or attestation key is denied by \"" + d->name + "\"" +
                       (d->reason.empty() ? std::string() : ": " + d->reason));
  return {};
}

/// Step 3, second half.
result<void> check_image(const token_facts& facts, const config_snapshot& config) {
  const auto found = config.base_images.find(facts.image);
  if (found == config.base_images.end())
    return refusal(errc::forbidden, "gate-image",
                   "the base image the host was attested with is not configured any more; attest "
                   "again");
  if (found->second.version != facts.image_version)
    return refusal(errc::forbidden, "gate-image",
                   "the base image was changed since the host was attested; attest again");
  return {};
}

/// Step 3, third half: a token is about one boot, and about what was true when it was made.
result<void> check_boot(const token_facts& facts, const std::optional<host_sight>& seen) {
  constexpr std::string_view check = "gate-boot";
  if (!seen)
    return {};
  // Another node may have seen more of the host than this one: only a token that is older than what
  // was seen here is refused. The counts go on modulo 2^32 (TPM 2.0 Part 1, 36.7).
  if (seen->ak_name != facts.ak_name) {
    if (facts.issued > seen->boot_seen)
      return {};
    return refusal(errc::token_invalid, check,
                   "the host attests with another key than the token's; attest again");
  }
  if (static_cast<std::int32_t>(seen->reset_count - facts.reset_count) > 0)
    return refusal(errc::token_invalid, check,
                   "the host has rebooted since it was attested; attest again");
  if (seen->reset_count == facts.reset_count &&
      static_cast<std::int32_t>(seen->restart_count - facts.restart_count) > 0)
    return refusal(errc::token_invalid, check,
                   "the host's TPM has slept since the host was attested; attest again");
  if (seen->failed_since != 0 && facts.issued <= seen->failed_since)
    return refusal(errc::token_invalid, check,
                   "the host has failed an attestation since the token was made");
  return {};
}

/// Step 4. A provider that is not there and one that is not allowed are not told apart: whoever may
/// not use a provider does not learn that it exists.
result<void> check_access(const token_facts& facts, const std::string& provider,
                          const config_snapshot& config) {
  const auto found = config.key_providers.find(provider);
  if (found == config.key_providers.end() || !lets_pass(found->second.access, facts))
    return refusal(errc::forbidden, "gate-access",
                   "there is no provider of that name that this host and image may use");
  return {};
}

error bad_size(errc code, std::string field, std::string message) {
  auto e = refusal(code, "gate-request", std::move(message));
  e.field = std::move(field);
  return e;
}

result<void> check_ciphertext_size(const bytes& ciphertext) {
  if (ciphertext.empty())
    return bad_size(errc::invalid_argument, "ciphertext", "a ciphertext is needed");
  if (ciphertext.size() > kek_ciphertext_bytes_max)
    return bad_size(errc::too_large, "ciphertext",
                    "a ciphertext has at most " + std::to_string(kek_ciphertext_bytes_max) +
                        " bytes");
  return {};
}

result<void> check_context_size(const bytes& context) {
  if (context.size() > context_bytes_max)
    return bad_size(errc::too_large, "context",
                    "a context has at most " + std::to_string(context_bytes_max) + " bytes");
  return {};
}

} // namespace

gate::gate(token_check check, gate_limits limits, host_sight_source sight)
    : check_(std::move(check)), limits_(limits), sight_(std::move(sight)) {}

std::size_t gate::digest_hash::operator()(const crypto::sha256_digest& d) const {
  // The key is a SHA-256 already: any part of it is as good a hash as can be had.
  std::size_t h = 0;
  std::memcpy(&h, d.data(), sizeof h);
  return h;
}

/// Entry and order stay in step: what expired goes when it is the oldest, or when room is needed.
void gate::drop_old_verdicts(std::int64_t now) {
  while (!verdict_order_.empty()) {
    const auto oldest = verdicts_.find(verdict_order_.front());
    if (oldest->second.facts.expires > now && verdicts_.size() < limits_.verdicts_max)
      return;
    verdicts_.erase(oldest);
    verdict_order_.pop_front();
  }
}

result<gate::verdict*> gate::check_token(const key_caller& caller, std::int64_t now) {
  constexpr std::string_view check = "gate-token";
  if (caller.token.empty())
    return refusal(errc::unauthenticated, check, "a bearer token is needed");
  if (caller.token.size() > token_bytes_max)
    return refusal(errc::token_invalid, check, "the token is too long");
  const auto id = crypto::sha256(as_bytes(caller.token));
  if (const auto known = verdicts_.find(id);
      known != verdicts_.end() && known->second.facts.expires > now)
    return &known->second;
  auto facts = check_(caller.token, now);
  if (!facts) {
    auto e = std::move(facts).failure();
    if (!e.check.empty())
      e.message = e.check + ": " + e.message;
    e.check = check;
    return e;
  }
  if (facts->expires <= now)
    return refusal(errc::token_invalid, check, "the token has expired");
  // An expired verdict of this very token, should its check have found it good again, is replaced.
  if (verdicts_.find(id) == verdicts_.end()) {
    drop_old_verdicts(now);
    verdict_order_.push_back(id);
  }
  auto& place = verdicts_[id];
  place = verdict{*std::move(facts), {}, {}, {}};
  return &place;
}

result<void> gate::check_binding(const key_caller& caller, verdict& v) const {
  constexpr std::string_view check = "gate-binding";
  if (caller.tls_client_spki.empty())
    return refusal(errc::token_invalid, check,
                   "the connection was made without a client key; use the token's key");
  if (caller.tls_client_spki.size() > spki_bytes_max)
    return refusal(errc::token_invalid, check, "the connection's client key is not of P-256");
  if (!v.key || v.spki != caller.tls_client_spki) {
    auto key = crypto::public_key_from_spki(caller.tls_client_spki);
    if (!key || key->type() != crypto::key_type::p256)
      return refusal(errc::token_invalid, check, "the connection's client key is not of P-256");
    const auto thumbprint = jose::thumbprint_digest(*key);
    if (!thumbprint || thumbprint->size() != v.thumbprint.size())
      return refusal(errc::token_invalid, check, "the connection's client key cannot be read");
    v.spki = caller.tls_client_spki;
    v.key = *std::move(key);
    std::copy(thumbprint->begin(), thumbprint->end(), v.thumbprint.begin());
  }
  if (!crypto::equal(v.thumbprint, v.facts.key_thumbprint))
    return refusal(errc::token_invalid, check,
                   "the token belongs to another key than the connection was made with");
  return {};
}

call_rate gate::rate_of(const call_limits& limits) const {
  return {limits.calls_per_second.value_or(limits_.calls_per_second_max),
          limits.burst.value_or(limits_.calls_burst_max)};
}

std::uint64_t gate::refilled(const bucket& b, std::int64_t now) {
  const auto& rate = b.rate;
  // The limits may have been lowered since.
  const std::uint64_t tokens = std::min<std::uint64_t>(b.tokens, rate.burst);
  if (now <= b.updated) // a clock set back gives nothing
    return tokens;
  const auto elapsed = static_cast<std::uint64_t>(now - b.updated);
  // Compared before multiplying, so that a leap of the clock cannot overflow.
  const std::uint64_t missing = rate.burst - tokens;
  if (rate.calls_per_second == 0)
    return tokens;
  if (elapsed > missing / rate.calls_per_second)
    return rate.burst;
  return tokens + elapsed * rate.calls_per_second;
}

bool gate::make_room_for_bucket(std::int64_t now) {
  if (buckets_.size() < limits_.hosts_max)
    return true;
  if (now == buckets_swept_) // at most one sweep a second, however many strangers call
    return false;
  buckets_swept_ = now;
  // A full bucket says the same as none.
  std::erase_if(buckets_, [&](const auto& entry) {
    return refilled(entry.second, now) >= entry.second.rate.burst;
  });
  return buckets_.size() < limits_.hosts_max;
}

result<void> gate::check_rate(const std::string& host, std::string_view provider,
                              const call_rate& rate, std::int64_t now, std::uint64_t calls) {
  // Neither name has a slash in it.
  const auto key = provider.empty() ? host : std::string(host).append("/").append(provider);
  auto found = buckets_.find(key);
  if (found == buckets_.end() && make_room_for_bucket(now))
    found = buckets_.emplace(key, bucket{now, rate.burst, rate}).first;
  // A call that weighs more than a full bucket passes when the bucket is full.
  const auto weight = std::min<std::uint64_t>(calls, rate.burst);
  std::uint64_t missing = weight;
  if (found != buckets_.end()) {
    auto& b = found->second;
    b.rate = rate;
    b.tokens = refilled(b, now);
    b.updated = std::max(b.updated, now);
    if (b.tokens > 0 && b.tokens >= weight) {
      b.tokens -= weight;
      return {};
    }
    missing = weight - std::min(b.tokens, weight);
  }
  auto e = refusal(errc::rate_limited, "gate-rate", "too many calls of this host");
  const std::uint64_t per_second = std::max<std::uint64_t>(rate.calls_per_second, 1);
  e.retry_after_s = static_cast<std::uint32_t>(
      std::max<std::uint64_t>((missing + per_second - 1) / per_second, 1));
  return e;
}

result<gate::verdict*> gate::checks_before_access(const key_caller& caller,
                                                  const config_ptr& config, std::int64_t now) {
  CUSTOS_TRY(verdict * v, check_token(caller, now));
  CUSTOS_CHECK(check_binding(caller, *v));
  const auto& trust = *trust_.at(config);
  CUSTOS_CHECK(check_denied(v->facts, trust));
  CUSTOS_CHECK(check_host(v->facts, *config, trust.listed(v->facts.ek_spki_sha256) != nullptr));
  CUSTOS_CHECK(check_image(v->facts, *config));
  if (sight_)
    CUSTOS_CHECK(check_boot(v->facts, sight_(v->facts.host)));
  return v;
}

result<grant> gate::checks_with_provider(const key_caller& caller, const std::string& provider,
                                         const config_ptr& config, std::int64_t now,
                                         std::uint64_t calls) {
  CUSTOS_TRY(verdict * v, checks_before_access(caller, config, now));
  CUSTOS_CHECK(check_access(v->facts, provider, *config));
  const auto& limits = config->key_providers.find(provider)->second.limits; // it is there
  CUSTOS_CHECK(check_rate(v->facts.host, provider, rate_of(limits), now, calls));
  return grant{v->facts.host, v->facts.image, v->key, crypto::base64url(v->thumbprint)};
}

result<grant> gate::admit(const generate_key& call, const config_ptr& config, std::int64_t now) {
  CUSTOS_TRY(grant who, checks_with_provider(call.caller, call.provider, config, now));
  if (call.key_bytes < kek_bytes_min || call.key_bytes > kek_bytes_max)
    return bad_size(errc::invalid_argument, "key_bytes", "a key has 16 to 64 bytes");
  CUSTOS_CHECK(check_context_size(call.context));
  return who;
}

result<grant> gate::admit(const decrypt_key& call, const config_ptr& config, std::int64_t now) {
  CUSTOS_TRY(grant who, checks_with_provider(call.caller, call.provider, config, now));
  CUSTOS_CHECK(check_ciphertext_size(call.ciphertext));
  CUSTOS_CHECK(check_context_size(call.context));
  return who;
}

result<grant> gate::admit(const encrypt_key& call, const config_ptr& config, std::int64_t now) {
  CUSTOS_TRY(grant who, checks_with_provider(call.caller, call.provider, config, now));
  if (call.jwe.empty())
    return bad_size(errc::invalid_argument, "jwe", "a JWE with the key is needed");
  if (call.jwe.size() > key_jwe_bytes_max)
    return bad_size(errc::too_large, "jwe",
                    "a JWE with a key has at most " + std::to_string(key_jwe_bytes_max) + " bytes");
  CUSTOS_CHECK(check_context_size(call.context));
  return who;
}

result<grant> gate::admit(const rewrap_keys& call, const config_ptr& config, std::int64_t now) {
  const auto weight = 1 + call.items.size() / rewraps_per_call_max;
  CUSTOS_TRY(grant who, checks_with_provider(call.caller, call.provider, config, now, weight));
  if (call.items.empty() || call.items.size() > rewrap_items_max)
    return bad_size(call.items.empty() ? errc::invalid_argument : errc::too_large, "keys",
                    "expected 1 to " + std::to_string(rewrap_items_max) + " keys, not " +
                        std::to_string(call.items.size()));
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    auto judged = check_ciphertext_size(call.items[i].ciphertext);
    if (judged)
      judged = check_context_size(call.items[i].context);
    if (judged)
      continue;
    auto e = std::move(judged).failure();
    e.field = "keys/" + std::to_string(i) + "/" + e.field;
    return e;
  }
  return who;
}

result<gate::listing> gate::admit(const list_providers& call, const config_ptr& config,
                                  std::int64_t now) {
  CUSTOS_TRY(verdict * v, checks_before_access(call.caller, config, now));
  CUSTOS_CHECK(check_rate(v->facts.host, {}, rate_of({}), now));
  listing out;
  out.who = grant{v->facts.host, v->facts.image, v->key, crypto::base64url(v->thumbprint)};
  for (const auto& [name, provider] : config->key_providers)
    if (lets_pass(provider.access, v->facts))
      out.providers.push_back(name);
  return out;
}

std::string gate::host_of(const key_caller& caller, std::int64_t now) const {
  if (caller.token.empty() || caller.token.size() > token_bytes_max)
    return {};
  const auto known = verdicts_.find(crypto::sha256(as_bytes(caller.token)));
  return known == verdicts_.end() || known->second.facts.expires <= now ? std::string()
                                                                        : known->second.facts.host;
}

void gate::forget_verdicts() {
  verdicts_.clear();
  verdict_order_.clear();
}

} // namespace custos::keyprovider
