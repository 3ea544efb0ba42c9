#include "actors/attestation/token.hpp"

#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::attestation {

namespace bj = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::string_view profile = "tag:custos,2026:attestation-result#1";

bj::array numbers(const std::vector<std::uint32_t>& list) {
  bj::array out;
  for (const auto n : list)
    out.emplace_back(n);
  return out;
}

/// EAR (draft-ietf-rats-ear): 2 affirms, in the tiers of AR4SI. Only what was really appraised.
bj::object appraisal(const token_claims& c) {
  bj::object vector{{"instance-identity", 2}, {"executables", 2}, {"hardware", 2}};
  bj::object ours{{"image", bj::object{{"name", c.image}, {"version", c.image_version}}},
                  {"bank", c.bank},
                  {"pcrs_used", numbers(c.pcrs_used)},
                  {"pcrs_ignored", numbers(c.pcrs_ignored)},
                  {"event_log_sha256", crypto::hex(c.event_log_sha256)},
                  {"ak_name", crypto::hex(c.ak_name)},
                  {"ek_spki_sha256", crypto::hex(c.ek_spki_sha256)},
                  {"reset_count", c.reset_count}};
  return {{"ear.status", "affirming"},
          {"ear.trustworthiness-vector", std::move(vector)},
          {"ear.appraisal-policy-id", "base-image:" + c.image},
          {"custos", std::move(ours)}};
}

error claim_error(const char* claim, const char* message) {
  return field_error(errc::token_invalid, claim, message);
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

result<void> read_standard(json::object& o, token_claims& c) {
  CUSTOS_TRY(c.issuer, o.string("iss", text_bytes_max));
  CUSTOS_TRY(c.host, o.string("sub", text_bytes_max));
  CUSTOS_TRY(c.audience, o.string("aud", text_bytes_max));
  CUSTOS_TRY(c.issued, o.integer("nbf", 0, INT64_MAX / 2));
  CUSTOS_TRY(c.expires, o.integer("exp", 0, INT64_MAX / 2));
  CUSTOS_TRY(c.id, o.string("jti", text_bytes_max));
  CUSTOS_TRY(auto cnf, o.child("cnf"));
  CUSTOS_TRY(const auto jkt, cnf.base64url("jkt", 64));
  CUSTOS_TRY(c.key_thumbprint, digest_of(jkt, "cnf"));
  return {};
}

result<void> read_ours(json::object& o, token_claims& c) {
  CUSTOS_TRY(auto submods, o.child("submods"));
  CUSTOS_TRY(auto host, submods.child("host"));
  CUSTOS_TRY(const auto status, host.string("ear.status", text_bytes_max));
  if (status != "affirming")
    return claim_error("ear.status", "expected affirming");
  CUSTOS_TRY(auto ours, host.child("custos"));
  CUSTOS_TRY(auto image, ours.child("image"));
  CUSTOS_TRY(c.image, image.string("name", text_bytes_max));
  CUSTOS_TRY(c.image_version, image.string("version", text_bytes_max));
  CUSTOS_TRY(const auto ek, ours.hex("ek_spki_sha256", 32));
  CUSTOS_TRY(c.ek_spki_sha256, digest_of(ek, "ek_spki_sha256"));
  CUSTOS_TRY(c.ak_name, ours.hex("ak_name", 66));
  CUSTOS_TRY(const auto reset, ours.integer("reset_count", 0, 0xFFFFFFFFLL));
  c.reset_count = static_cast<std::uint32_t>(reset);
  return {};
}

} // namespace

result<std::string> make_token(const token_claims& c, const crypto::key& signing_key,
                               std::string_view kid) {
  bj::object claims{
      {"iss", c.issuer},
      {"sub", c.host},
      {"aud", c.audience},
      {"iat", c.issued},
      {"nbf", c.issued},
      {"exp", c.expires},
      {"jti", c.id},
      {"eat_nonce", crypto::base64url(c.nonce)},
      {"eat_profile", profile},
      // EAT UEID type 0x01, RAND: here the hash that names the endorsement key (RFC 9711, 4.2.1).
      {"ueid", crypto::base64url([&] {
         bytes ueid{0x01};
         ueid.insert(ueid.end(), c.ek_spki_sha256.begin(), c.ek_spki_sha256.end());
         return ueid;
       }())},
      {"cnf", bj::object{{"jkt", crypto::base64url(c.key_thumbprint)}}},
      {"ear.verifier-id", bj::object{{"developer", "custos"}, {"build", "custos " CUSTOS_VERSION}}},
      {"submods", bj::object{{"host", appraisal(c)}}}};
  return jose::sign_es256(signing_key, kid, token_type, bj::serialize(claims));
}

result<token_claims> read_token(std::string_view jws, const token_expectation& expected,
                                std::int64_t now) {
  CUSTOS_TRY(const auto signed_part, jose::verify_compact(jws, expected.keys, token_type));
  auto parsed = json::parse_object(signed_part.payload, jose::token_bytes_max);
  if (!parsed)
    return as_token_error(parsed.failure());
  token_claims c;
  if (auto standard = read_standard(*parsed, c); !standard)
    return as_token_error(standard.failure());
  if (c.issuer != expected.issuer)
    return claim_error("iss", "the token is of another issuer");
  if (c.audience != expected.audience)
    return claim_error("aud", "the token is for another audience");
  if (c.expires <= now)
    return claim_error("exp", "the token has expired");
  if (c.issued > now + clock_skew_s_max)
    return claim_error("nbf", "the token is not valid yet");
  if (auto ours = read_ours(*parsed, c); !ours)
    return as_token_error(ours.failure());
  return c;
}

} // namespace custos::attestation
