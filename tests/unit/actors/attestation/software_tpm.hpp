#pragma once
// A TPM in software and the cluster that appraises it, for tests and benchmarks: what is quoted is
// a recorded boot, and every field can be made wrong before it is signed. Free of GoogleTest.

#include "actors/attestation/verifier_core.hpp"
#include "adapters/jose/jose.hpp"
#include "tests/unit/adapters/tpm/tpm_bytes.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace custos::attestation::test {

constexpr std::int64_t now = 1'800'000'000;
constexpr const char* host = "host-7";
constexpr std::uint32_t all_pcrs = 0xFFFFFF;

template <class T>
T must(result<T> r) {
  if (!r) {
    std::fprintf(stderr, "fixture: %s\n", r.failure().message.c_str());
    std::abort();
  }
  return *std::move(r);
}

inline bytes recorded(const std::string& relative) {
  std::ifstream in(std::filesystem::path(CUSTOS_TEST_DATA) / "attestation" / relative,
                   std::ios::binary);
  bytes out{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (out.empty()) {
    std::fprintf(stderr, "fixture: cannot read %s\n", relative.c_str());
    std::abort();
  }
  return out;
}

enum class ak_kind : std::uint8_t { p256, rsa };

/// Endorsement key (P-256) and attestation key.
class software_tpm {
public:
  explicit software_tpm(ak_kind kind)
      : ek(must(crypto::generate_p256())),
        ek_public(tpm::test::ecc_public(ek, tpm::test::ek_template())), kind_(kind),
        ak_(must(kind == ak_kind::p256 ? crypto::generate_p256() : crypto::generate_rsa(2048))),
        ak_public(kind == ak_kind::p256
                      ? tpm::test::ecc_public(ak_, {})
                      : tpm::test::rsa_public(tpm::test::modulus_of(ak_), {.scheme = 0x0014})) {}

  /// TPMT_SIGNATURE with SHA-256.
  [[nodiscard]] bytes sign(byte_view attest) const {
    if (kind_ == ak_kind::p256)
      return tpm::test::ecdsa_signature(
          must(crypto::ecdsa_sign(ak_, crypto::hash_alg::sha256, attest)));
    const auto value = must(crypto::rsassa_sign(ak_, crypto::hash_alg::sha256, attest));
    return tpm::test::tpm_bytes().u16(0x0014).u16(0x000B).sized(value);
  }

  crypto::key ek;
  bytes ek_public; ///< TPMT_PUBLIC

private:
  ak_kind kind_;
  crypto::key ak_;

public:
  bytes ak_public; ///< TPMT_PUBLIC
};

/// What the nodes of one cluster share.
inline std::shared_ptr<const verifier_keys> make_cluster() {
  auto keys = std::make_shared<verifier_keys>();
  keys->challenge_key = std::make_shared<crypto::secret_bytes>(crypto::random_secret(32));
  keys->ak_ca_key = must(crypto::generate_p256());
  crypto::certificate_request ca;
  ca.common_name = "AK CA";
  ca.is_ca = true;
  ca.not_before = now - 1000;
  ca.not_after = now + 1'000'000'000;
  keys->ak_ca_certificate =
      must(crypto::issue_certificate(ca, keys->ak_ca_key, keys->ak_ca_key, nullptr));
  keys->token_keys = std::make_shared<token_keyring_source>(
      initial_key{must(crypto::generate_p256()), "token-1"},
      [](const token_key&) -> result<crypto::secret_bytes> {
        return make_error(errc::unsupported, "there are no sealed keys here");
      });
  keys->issuer = "https://trust.example";
  return keys;
}

/// Who verifies the tokens of these keys.
inline std::vector<jose::trusted_key> trusted_keys(const verifier_keys& keys,
                                                   const config_ptr& config) {
  const auto ring = keys.token_keys->of(config).ring;
  const auto trusted = ring->trusted_at(now);
  return {trusted.begin(), trusted.end()};
}

/// The values a TPM would show behind this log.
inline std::vector<pcr_value> values_of(byte_view log, const std::vector<crypto::hash_alg>& banks,
                                        std::uint32_t mask = all_pcrs) {
  const auto parsed = must(eventlog::parse(log));
  const auto replayed = must(eventlog::replay(parsed, banks));
  std::vector<pcr_value> out;
  for (const auto& bank : replayed.banks)
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
      if ((mask >> pcr & 1U) != 0)
        out.push_back({static_cast<std::uint16_t>(bank.alg), pcr, to_bytes(bank.value(pcr))});
  return out;
}

/// Evidence before it is signed.
struct draft {
  tpm::test::quote_of quote;
  evidence e; ///< quote and signature still empty

  /// Selects and digests exactly e.pcrs, in their order, as a TPM does.
  void requote() {
    quote.selection.clear();
    bytes all;
    for (const auto& v : e.pcrs) {
      if (quote.selection.empty() || quote.selection.back().first != v.bank)
        quote.selection.emplace_back(v.bank, bytes(3, 0));
      quote.selection.back().second.at(v.pcr / 8) |= static_cast<std::uint8_t>(1U << v.pcr % 8);
      all.insert(all.end(), v.value.begin(), v.value.end());
    }
    const auto digest = crypto::sha256(all);
    quote.digest.assign(digest.begin(), digest.end());
  }
};

/// One enrolled host that booted `log`, and a configuration that accepts exactly that.
class scene {
public:
  explicit scene(bytes boot_log, ak_kind kind = ak_kind::p256,
                 std::vector<crypto::hash_alg> quoted_banks = {crypto::hash_alg::sha256,
                                                               crypto::hash_alg::sha384})
      : device(kind), log(std::move(boot_log)), banks(std::move(quoted_banks)) {
    enrolled.host = host;
    enrolled.ak = must(tpm::parse_public(device.ak_public));
    enrolled.ek_spki = device.ek.spki_der();
    enrolled.not_before = now - 10;
    enrolled.not_after = now + 1'000'000;
    const auto ek = crypto::sha256(enrolled.ek_spki);
    config->endorsement_keys["ek"] = {"ek", bytes(ek.begin(), ek.end()), std::nullopt};
    config->base_images["good"] = image();
  }

  [[nodiscard]] base_image image(std::uint32_t pcrs = default_pcrs) const {
    const auto parsed = must(eventlog::parse(log));
    return must(image_from_log(parsed, banks.front(), pcrs, "good", "1"));
  }
  [[nodiscard]] bytes ak_certificate() const {
    return must(issue_ak_certificate(enrolled, keys->ak_ca_key, keys->ak_ca_certificate)).der();
  }
  [[nodiscard]] draft begin(std::int64_t at = now) const {
    const auto given = make_ticket(keys->challenge_key->reveal_secret(), at, 60);
    draft d;
    d.quote.clock = ++clock_;
    d.e.host = enrolled.host;
    d.e.ticket = given.ticket;
    d.e.ak_certificate = certificate_.empty() ? ak_certificate() : certificate_;
    d.e.event_log = log;
    d.e.transport_key = transport.spki_der();
    d.e.pcrs = pcrs_.empty() ? values_of(log, banks) : pcrs_;
    d.requote();
    const auto binding = quote_binding(given.nonce, must(jose::thumbprint_digest(transport)));
    d.quote.extra.assign(binding.begin(), binding.end());
    return d;
  }
  [[nodiscard]] evidence sign(draft d) const {
    d.e.quote = tpm::test::quote_bytes(d.quote);
    d.e.signature = device.sign(d.e.quote);
    return std::move(d.e);
  }
  [[nodiscard]] evidence good(std::int64_t at = now) const { return sign(begin(at)); }
  /// Computes once what begin() would compute each time; the log and `enrolled` then stand.
  void freeze() {
    certificate_ = ak_certificate();
    pcrs_ = values_of(log, banks);
  }

  std::shared_ptr<const verifier_keys> keys = make_cluster();
  software_tpm device;
  ak_identity enrolled;
  bytes log;
  std::vector<crypto::hash_alg> banks;
  crypto::key transport = must(crypto::generate_p256());
  std::shared_ptr<config_snapshot> config = std::make_shared<config_snapshot>();

  /// As the host's first attestation binds it.
  void bind() {
    const auto ek = crypto::sha256(enrolled.ek_spki);
    config->hosts[host] = {host, bytes(ek.begin(), ek.end()), false, enrolled.ak.name};
  }

private:
  mutable std::uint64_t clock_ = 1000; ///< of the TPM, milliseconds
  bytes certificate_;
  std::vector<pcr_value> pcrs_;
};

} // namespace custos::attestation::test
