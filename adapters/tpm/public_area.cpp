#include "adapters/tpm/structures.hpp"
#include "adapters/tpm/unmarshal.hpp"

#include <algorithm>
#include <cstdlib>

namespace custos::tpm {

using namespace internal;

namespace {

// tss2-mu reports every refused byte on stderr, where hostile input would fill the log; our errors
// say it once. Set before main, while there is one thread; a choice made outside is kept.
[[maybe_unused]] const int quiet = ::setenv("TSS2_LOG", "marshal+none", 0);

result<std::optional<symmetric_parameters>> read_symmetric(const TPMT_SYM_DEF_OBJECT& def) {
  if (def.algorithm == TPM2_ALG_NULL)
    return std::optional<symmetric_parameters>();
  if (def.algorithm != TPM2_ALG_AES || def.mode.aes != TPM2_ALG_CFB ||
      (def.keyBits.aes != 128 && def.keyBits.aes != 256))
    return make_error(errc::unsupported,
                      "public area: expected AES-128 or AES-256 in CFB mode, or none");
  return std::optional<symmetric_parameters>({.aes_bits = def.keyBits.aes});
}

result<std::optional<signing_scheme>> read_scheme(TPM2_ALG_ID alg, TPM2_ALG_ID hash) {
  if (alg == TPM2_ALG_NULL)
    return std::optional<signing_scheme>();
  if (alg != TPM2_ALG_RSASSA && alg != TPM2_ALG_RSAPSS && alg != TPM2_ALG_ECDSA)
    return make_error(errc::unsupported,
                      "public area: expected RSASSA, RSAPSS, ECDSA or no scheme");
  CUSTOS_TRY(const auto known, hash_of(hash, "public area: scheme"));
  return std::optional<signing_scheme>({.alg = static_cast<scheme_alg>(alg), .hash = known});
}

bool same_coordinate(byte_view padded, byte_view given) {
  return given.size() <= padded.size() &&
         std::all_of(padded.begin(), padded.end() - static_cast<long>(given.size()),
                     [](std::uint8_t b) { return b == 0; }) &&
         std::equal(given.begin(), given.end(), padded.end() - static_cast<long>(given.size()));
}

/// The certified key if it is the one of these numbers; without one, a key made and validated.
result<crypto::key> rsa_key(byte_view modulus, std::uint32_t exponent,
                            const crypto::key* certified) {
  if (certified == nullptr)
    return crypto::rsa_public_key(modulus, exponent);
  CUSTOS_TRY(const auto numbers, crypto::rsa_numbers_of(*certified));
  std::uint64_t e = 0;
  for (const auto b : numbers.exponent)
    e = numbers.exponent.size() > 4 ? 0 : e << 8 | b;
  if (!std::equal(numbers.modulus.begin(), numbers.modulus.end(), modulus.begin(), modulus.end()) ||
      e != exponent)
    return make_error(errc::malformed, "public area: not the certified key");
  return *certified;
}

result<crypto::key> ecc_key(crypto::key_type curve, byte_view x, byte_view y,
                            const crypto::key* certified) {
  if (certified == nullptr)
    return crypto::ec_public_key(curve, x, y);
  CUSTOS_TRY(const auto point, crypto::ec_point_of(*certified));
  if (certified->type() != curve || !same_coordinate(point.x, x) || !same_coordinate(point.y, y))
    return make_error(errc::malformed, "public area: not the certified key");
  return *certified;
}

result<void> read_rsa(const TPMT_PUBLIC& in, public_area& out, const crypto::key* certified) {
  const auto& parameters = in.parameters.rsaDetail;
  const byte_view modulus = view_of(in.unique.rsa);
  if (parameters.keyBits != modulus.size() * 8)
    return make_error(errc::malformed, "public area: the modulus is not of the stated size");
  // Exponent 0 stands for the default, 2^16 + 1 (Part 2, 12.2.3.5).
  const std::uint32_t exponent = parameters.exponent == 0 ? 65537 : parameters.exponent;
  CUSTOS_TRY(out.key, rsa_key(modulus, exponent, certified));
  CUSTOS_TRY(out.symmetric, read_symmetric(parameters.symmetric));
  const auto scheme = parameters.scheme.scheme;
  if (scheme == TPM2_ALG_ECDSA)
    return make_error(errc::malformed, "public area: ECDSA scheme on an RSA key");
  CUSTOS_TRY(out.scheme, read_scheme(scheme, parameters.scheme.details.rsassa.hashAlg));
  return {};
}

result<void> read_ecc(const TPMT_PUBLIC& in, public_area& out, const crypto::key* certified) {
  const auto& parameters = in.parameters.eccDetail;
  auto curve = crypto::key_type::other;
  if (parameters.curveID == TPM2_ECC_NIST_P256)
    curve = crypto::key_type::p256;
  else if (parameters.curveID == TPM2_ECC_NIST_P384)
    curve = crypto::key_type::p384;
  else
    return make_error(errc::unsupported, "public area: expected the curve P-256 or P-384");
  CUSTOS_TRY(out.key,
             ecc_key(curve, view_of(in.unique.ecc.x), view_of(in.unique.ecc.y), certified));
  CUSTOS_TRY(out.symmetric, read_symmetric(parameters.symmetric));
  const auto scheme = parameters.scheme.scheme;
  if (scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS)
    return make_error(errc::malformed, "public area: RSA scheme on an ECC key");
  CUSTOS_TRY(out.scheme, read_scheme(scheme, parameters.scheme.details.ecdsa.hashAlg));
  return {};
}

/// A TPMT_PUBLIC starts with its type (1 or 0x23), and none is as short as such a size would say.
byte_view unwrap(byte_view data) {
  if (data.size() > 2 && static_cast<std::size_t>(data[0] << 8 | data[1]) == data.size() - 2)
    return data.subspan(2);
  return data;
}

error key_error(const char* check, std::string message) {
  auto e = make_error(errc::attestation_failed, std::move(message));
  e.check = check;
  return e;
}

struct named_attribute {
  std::uint32_t bit;
  const char* name;
};

result<void> check_attributes(const public_area& area, const char* check,
                              std::initializer_list<named_attribute> set,
                              std::initializer_list<named_attribute> clear) {
  for (const auto& a : set)
    if ((area.attributes & a.bit) == 0)
      return key_error(check, std::string("the key lacks the attribute ") + a.name);
  for (const auto& a : clear)
    if ((area.attributes & a.bit) != 0)
      return key_error(check, std::string("the key must not have the attribute ") + a.name);
  if (area.name_alg == crypto::hash_alg::sha1)
    return key_error(check, "the key's name algorithm is SHA-1, expected SHA-256 or better");
  return {};
}

result<public_area> parse_area(byte_view data, const crypto::key* certified) {
  if (data.size() > public_bytes_max)
    return make_error(errc::too_large, "public area: longer than public_bytes_max");
  const byte_view area = unwrap(data);
  TPMT_PUBLIC in{};
  CUSTOS_CHECK(unmarshal(&Tss2_MU_TPMT_PUBLIC_Unmarshal, area, in, "public area"));
  public_area out;
  CUSTOS_TRY(out.name_alg, hash_of(in.nameAlg, "public area: name"));
  out.attributes = in.objectAttributes;
  out.auth_policy = to_bytes(view_of(in.authPolicy));
  if (in.type == TPM2_ALG_RSA) {
    out.type = object_type::rsa;
    CUSTOS_CHECK(read_rsa(in, out, certified));
  } else if (in.type == TPM2_ALG_ECC) {
    out.type = object_type::ecc;
    CUSTOS_CHECK(read_ecc(in, out, certified));
  } else {
    return make_error(errc::unsupported, "public area: expected an RSA or ECC key");
  }
  out.marshalled = to_bytes(area);
  const auto name_alg = static_cast<std::uint16_t>(out.name_alg);
  out.name = {static_cast<std::uint8_t>(name_alg >> 8), static_cast<std::uint8_t>(name_alg)};
  const auto hash = crypto::digest(out.name_alg, {area});
  out.name.insert(out.name.end(), hash.begin(), hash.end());
  return out;
}

} // namespace

result<public_area> parse_public(byte_view data) {
  return parse_area(data, nullptr);
}

result<public_area> parse_certified_public(byte_view data, const crypto::key& certified) {
  return parse_area(data, &certified);
}

result<void> check_attestation_key(const public_area& area, bool allow_sha1) {
  constexpr const char* check = "attestation-key";
  CUSTOS_CHECK(check_attributes(area, check,
                                {{attribute::restricted, "restricted"},
                                 {attribute::sign, "sign"},
                                 {attribute::fixed_tpm, "fixedTPM"},
                                 {attribute::fixed_parent, "fixedParent"},
                                 {attribute::sensitive_data_origin, "sensitiveDataOrigin"}},
                                {{attribute::decrypt, "decrypt"}}));
  if (!area.scheme)
    return key_error(check, "the key has no signing scheme of its own");
  if (area.scheme->hash == crypto::hash_alg::sha1 && !allow_sha1)
    return key_error(check, "the key signs with SHA-1, expected SHA-256 or better");
  if (area.symmetric)
    return key_error(check, "a signing key has no symmetric algorithm");
  return {};
}

result<void> check_endorsement_key(const public_area& area) {
  constexpr const char* check = "endorsement-key";
  CUSTOS_CHECK(check_attributes(
      area, check,
      {{attribute::restricted, "restricted"},
       {attribute::decrypt, "decrypt"},
       {attribute::fixed_tpm, "fixedTPM"},
       {attribute::fixed_parent, "fixedParent"},
       {attribute::sensitive_data_origin, "sensitiveDataOrigin"},
       {attribute::admin_with_policy, "adminWithPolicy"}},
      {{attribute::sign, "sign"}, {attribute::encrypted_duplication, "encryptedDuplication"}}));
  if (area.scheme)
    return key_error(check, "an endorsement key has no signing scheme");
  if (!area.symmetric)
    return key_error(check, "an endorsement key has a symmetric algorithm, AES-128 or AES-256");
  if (area.auth_policy.size() != crypto::digest_size(area.name_alg))
    return key_error(check, "an endorsement key has a policy of its name algorithm's size");
  return {};
}

} // namespace custos::tpm
