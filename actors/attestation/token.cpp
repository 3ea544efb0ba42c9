#include "actors/attestation/token.hpp"

#include "adapters/json/json.hpp"
#include "adapters/json/writer.hpp"

#include <algorithm>

namespace custos::attestation {

namespace {

constexpr std::size_t text_bytes_max = 512;
/// What the claims of nearly all tokens fit in: the buffer grows once then.
constexpr std::size_t claims_bytes_usual = 2048;
/// What one octet may become in a JSON string: \u001f.
constexpr std::size_t escape_bytes = 6;

// ---- EAR: names and values ----------------------------------------------------------------------

/// Claims whose spelling is a matter of the setting: as deployed libraries have them, as the draft
/// (draft-ietf-rats-ear-04, 3.1) has them.
struct ear_names {
  std::string_view verifier_id, status, vector;
};
constexpr ear_names dotted{"ear.verifier-id", "ear.status", "ear.trustworthiness-vector"};
constexpr ear_names underscored{"ear_verifier_id", "ear_status", "ear_trustworthiness_vector"};
constexpr std::string_view policy_id_dotted = "ear.appraisal-policy-id"; ///< one string
constexpr std::string_view policy_ids = "ear_appraisal_policy_ids";      ///< a list

constexpr std::string_view affirming = "affirming";
constexpr std::string_view warning = "warning";

/// AR4SI (draft-ietf-rats-ar4si, 2.3.5).
constexpr std::int64_t instance_recognised = 2;
constexpr std::int64_t hardware_genuine = 2;
constexpr std::int64_t approved_at_and_after_boot = 2;
constexpr std::int64_t approved_at_boot = 3;
constexpr std::int64_t executables_unrecognised = 33;
constexpr std::int64_t configuration_weak = 32;

bool found(const token_claims& c, std::string_view check) {
  return std::any_of(c.findings.begin(), c.findings.end(),
                     [&](const audit_finding& f) { return f.check == check; });
}

/// Only what was appraised: nothing is claimed of run-time memory, storage or configuration.
void write_vector(json::writer& w, std::string_view name, const token_claims& c) {
  auto executables = approved_at_boot;
  if (c.ima_entries && c.ima_ignored.empty())
    executables = approved_at_and_after_boot;
  if (found(c, "ima-log"))
    executables = executables_unrecognised;
  w.name(name).begin_object();
  w.name("instance-identity").number(instance_recognised);
  if (found(c, "secure-boot"))
    w.name("configuration").number(configuration_weak);
  w.name("executables").number(executables);
  w.name("hardware").number(hardware_genuine);
  w.end_object();
}

void write_verifier_id(json::writer& w, std::string_view name) {
  w.name(name).begin_object();
  w.name("developer").string("custos");
  w.name("build").string("custos " CUSTOS_VERSION);
  w.end_object();
}

void write_status(json::writer& w, const ear_names& names, const token_claims& c) {
  w.name(names.status).string(c.findings.empty() ? affirming : warning);
  write_vector(w, names.vector, c);
}

bool has_dotted(ear_spelling s) {
  return s != ear_spelling::underscored;
}

bool has_underscored(ear_spelling s) {
  return s != ear_spelling::dotted;
}

// ---- ours ---------------------------------------------------------------------------------------

void write_numbers(json::writer& w, std::string_view name,
                   const std::vector<std::uint32_t>& numbers) {
  w.name(name).begin_array();
  for (const auto n : numbers)
    w.number(n);
  w.end_array();
}

/// An image may ignore more paths than a token has room for: whoever reads it learns that.
void write_ima(json::writer& w, const std::string& out, const token_claims& c) {
  w.name("ima").begin_object();
  w.name("entries").number(static_cast<std::int64_t>(*c.ima_entries));
  w.name("ignored").begin_array();
  const auto begun = out.size();
  std::size_t told = 0;
  for (const auto& prefix : c.ima_ignored) {
    const auto as_json = prefix.size() * (json::is_plain(prefix) ? 1 : escape_bytes) + 3;
    if (out.size() - begun + as_json > ima_ignored_bytes_max)
      break;
    w.string(prefix);
    ++told;
  }
  w.end_array();
  if (told < c.ima_ignored.size())
    w.name("ignored_left_out").number(static_cast<std::int64_t>(c.ima_ignored.size() - told));
  w.end_object();
}

void write_findings(json::writer& w, const std::string& out, const token_claims& c) {
  w.name("audit_findings").begin_array();
  const auto begun = out.size();
  for (std::size_t i = 0; i < std::min(c.findings.size(), findings_max); ++i) {
    if (out.size() - begun > findings_bytes_max)
      break;
    w.begin_object();
    w.name("check").string(c.findings[i].check, finding_bytes_max);
    w.name("message").string(c.findings[i].message, finding_bytes_max);
    w.end_object();
  }
  w.end_array();
}

void write_ours(json::writer& w, const std::string& out, const token_claims& c) {
  w.name("custos").begin_object();
  w.name("image").begin_object();
  w.name("name").string(c.image);
  w.name("version").string(c.image_version);
  w.end_object();
  w.name("bank").string(c.bank);
  write_numbers(w, "pcrs_used", c.pcrs_used);
  write_numbers(w, "pcrs_ignored", c.pcrs_ignored);
  w.name("event_log_sha256").hex(c.event_log_sha256);
  w.name("ak_name").hex(c.ak_name);
  w.name("ek_spki_sha256").hex(c.ek_spki_sha256);
  w.name("reset_count").number(c.reset_count);
  w.name("restart_count").number(c.restart_count);
  if (c.secure_boot)
    w.name("secure_boot").boolean(*c.secure_boot);
  if (c.ima_entries)
    write_ima(w, out, c);
  if (!c.findings.empty())
    write_findings(w, out, c);
  if (!c.config_fingerprint.empty())
    w.name("configuration").string(c.config_fingerprint);
  w.end_object();
}

// ---- the document -------------------------------------------------------------------------------

void write_submodule(json::writer& w, const std::string& out, const token_claims& c,
                     ear_spelling spelling, std::string& policy) {
  policy.assign("base-image:").append(c.image);
  w.name("submods").begin_object().name("host").begin_object();
  if (has_dotted(spelling)) {
    write_status(w, dotted, c);
    w.name(policy_id_dotted).string(policy);
  }
  if (has_underscored(spelling)) {
    write_status(w, underscored, c);
    w.name(policy_ids).begin_array().string(policy);
    if (!c.config_fingerprint.empty())
      w.string(policy.assign("configuration:").append(c.config_fingerprint));
    w.end_array();
  }
  write_ours(w, out, c);
  w.end_object().end_object();
}

void write_claims(std::string& out, const token_claims& c, ear_spelling spelling) {
  json::writer w(out);
  // EAT UEID type 0x01, RAND: here the hash that names the endorsement key (RFC 9711, 4.2.1).
  std::array<std::uint8_t, 1 + sizeof(crypto::sha256_digest)> ueid{0x01};
  std::copy(c.ek_spki_sha256.begin(), c.ek_spki_sha256.end(), ueid.begin() + 1);
  std::string policy;
  w.begin_object();
  w.name("iss").string(c.issuer);
  w.name("sub").string(c.host);
  w.name("aud").string(c.audience);
  w.name("iat").number(c.issued);
  w.name("nbf").number(c.issued);
  w.name("exp").number(c.expires);
  w.name("jti").string(c.id);
  w.name("eat_nonce").base64url(c.nonce);
  w.name("eat_profile").string(token_profile);
  w.name("ueid").base64url(ueid);
  w.name("cnf").begin_object().name("jkt").base64url(c.key_thumbprint).end_object();
  if (has_dotted(spelling))
    write_verifier_id(w, dotted.verifier_id);
  if (has_underscored(spelling))
    write_verifier_id(w, underscored.verifier_id);
  write_submodule(w, out, c, spelling, policy);
  w.end_object();
}

// ---- reading ------------------------------------------------------------------------------------

error claim_error(std::string_view claim, const char* message) {
  return field_error(errc::token_invalid, std::string(claim), message);
}

/// Errors of the JSON reader become errors of the token.
error as_token_error(error e) {
  e.code = errc::token_invalid;
  return e;
}

result<crypto::sha256_digest> digest_of(const bytes& raw, const char* claim) {
  crypto::sha256_digest out{};
  if (raw.size() != out.size())
    return claim_error(claim, "expected 32 octets");
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}

result<void> read_standard(json::object& o, token_claims& c, std::int64_t& issued_at) {
  CUSTOS_TRY(c.issuer, o.string("iss", text_bytes_max));
  CUSTOS_TRY(c.host, o.string("sub", text_bytes_max));
  CUSTOS_TRY(c.audience, o.string("aud", text_bytes_max));
  // RFC 7519 allows fractions of a second; EAR and we do not.
  CUSTOS_TRY(issued_at, o.integer("iat", 0, INT64_MAX / 2));
  CUSTOS_TRY(c.issued, o.integer("nbf", 0, INT64_MAX / 2));
  CUSTOS_TRY(c.expires, o.integer("exp", 0, INT64_MAX / 2));
  CUSTOS_TRY(c.id, o.string("jti", text_bytes_max));
  CUSTOS_TRY(auto cnf, o.child("cnf"));
  CUSTOS_TRY(const auto jkt, cnf.base64url("jkt", 64));
  CUSTOS_TRY(c.key_thumbprint, digest_of(jkt, "cnf"));
  return {};
}

/// The status in whichever spelling there is; in both, the same.
result<std::string> read_status(json::object& host) {
  CUSTOS_TRY(auto old, host.optional_string(dotted.status, text_bytes_max));
  CUSTOS_TRY(auto draft, host.optional_string(underscored.status, text_bytes_max));
  if (old && draft && *old != *draft)
    return claim_error(underscored.status, "expected the same status in both spellings");
  if (!old && !draft)
    return claim_error(dotted.status, "expected a status, as ear.status or ear_status");
  return old ? *std::move(old) : *std::move(draft);
}

result<std::vector<audit_finding>> read_findings(json::object& ours) {
  std::vector<audit_finding> out;
  CUSTOS_TRY(const auto items, ours.array("audit_findings", findings_max, true));
  for (const auto& item : items) {
    CUSTOS_TRY(auto one, item.as_object());
    audit_finding f;
    CUSTOS_TRY(f.check, one.string("check", text_bytes_max));
    CUSTOS_TRY(f.message, one.string("message", text_bytes_max));
    out.push_back(std::move(f));
  }
  return out;
}

result<void> read_counts(json::object& ours, token_claims& c) {
  constexpr std::int64_t count_max = 0xFFFFFFFFLL;
  CUSTOS_TRY(const auto reset, ours.integer("reset_count", 0, count_max));
  c.reset_count = static_cast<std::uint32_t>(reset);
  // Tokens of versions before this claim are good until they expire.
  CUSTOS_TRY(const auto restart, ours.optional_integer("restart_count", 0, count_max));
  c.restart_count = static_cast<std::uint32_t>(restart.value_or(0));
  CUSTOS_TRY(c.secure_boot, ours.optional_boolean("secure_boot"));
  CUSTOS_TRY(auto ima, ours.optional_child("ima"));
  if (ima) {
    CUSTOS_TRY(const auto entries, ima->integer("entries", 0, INT64_MAX / 2));
    c.ima_entries = static_cast<std::uint64_t>(entries);
  }
  return {};
}

result<void> read_ours(json::object& o, token_claims& c) {
  CUSTOS_TRY(auto submods, o.child("submods"));
  CUSTOS_TRY(auto host, submods.child("host"));
  CUSTOS_TRY(const auto status, read_status(host));
  CUSTOS_TRY(auto ours, host.child("custos"));
  CUSTOS_TRY(c.findings, read_findings(ours));
  if (status != affirming && (status != warning || c.findings.empty()))
    return claim_error(dotted.status, "expected affirming, or warning with its audit_findings");
  CUSTOS_TRY(auto image, ours.child("image"));
  CUSTOS_TRY(c.image, image.string("name", text_bytes_max));
  CUSTOS_TRY(c.image_version, image.string("version", text_bytes_max));
  CUSTOS_TRY(const auto ek, ours.hex("ek_spki_sha256", 32));
  CUSTOS_TRY(c.ek_spki_sha256, digest_of(ek, "ek_spki_sha256"));
  CUSTOS_TRY(c.ak_name, ours.hex("ak_name", 66));
  CUSTOS_CHECK(read_counts(ours, c));
  CUSTOS_TRY(auto fingerprint, ours.optional_string("configuration", text_bytes_max));
  c.config_fingerprint = std::move(fingerprint).value_or("");
  return {};
}

} // namespace

result<token_signer> make_token_signer(crypto::key private_key, std::string_view alg,
                                       std::string_view kid) {
  return jose::signer_of(std::move(private_key), alg, kid, token_type);
}

result<std::string> make_token(const token_claims& claims, const token_signer& by,
                               ear_spelling spelling) {
  std::string text;
  text.reserve(claims_bytes_usual);
  write_claims(text, claims, spelling);
  CUSTOS_TRY(auto token, jose::sign(by, text));
  if (token.size() > token_chars_max)
    return make_error(errc::too_large,
                      "token: expected at most " + std::to_string(token_chars_max) + " characters");
  return token;
}

result<token_claims> read_token(std::string_view jws, const token_expectation& expected,
                                std::int64_t now) {
  CUSTOS_TRY(const auto signed_part, jose::verify_compact(jws, expected.keys, token_type));
  auto parsed = json::parse_object(signed_part.payload, jose::token_bytes_max);
  if (!parsed)
    return as_token_error(parsed.failure());
  token_claims c;
  std::int64_t issued_at = 0;
  if (auto standard = read_standard(*parsed, c, issued_at); !standard)
    return as_token_error(standard.failure());
  if (c.issuer != expected.issuer)
    return claim_error("iss", "the token is of another issuer");
  if (c.audience != expected.audience)
    return claim_error("aud", "the token is for another audience");
  if (c.expires <= now)
    return claim_error("exp", "the token has expired");
  if (c.issued > now + clock_skew_s_max)
    return claim_error("nbf", "the token is not valid yet");
  if (issued_at > now + clock_skew_s_max)
    return claim_error("iat", "the token was issued in the future");
  if (auto ours = read_ours(*parsed, c); !ours)
    return as_token_error(ours.failure());
  return c;
}

} // namespace custos::attestation
