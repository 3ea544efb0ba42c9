#include "adapters/crypto/internal.hpp"

#include <algorithm>
#include <cstring>

namespace custos::crypto {

using namespace internal;

namespace {

constexpr unsigned rsa_bits_min = 2048;
constexpr unsigned rsa_bits_max = 4096;
constexpr std::uint32_t rsa_exponent_min = 65537;

const char* curve_name(key_type curve) {
  return curve == key_type::p384 ? "P-384" : "P-256";
}
std::size_t field_bytes(key_type curve) {
  return curve == key_type::p384 ? 48 : 32;
}

/// Refuses keys we would not trust whoever sends them: RSA of odd sizes, other curves.
result<key> checked(EVP_PKEY* handle, std::string_view what) {
  if (handle == nullptr)
    return openssl_error(errc::malformed, std::string(what) + " does not parse");
  key k = own(handle);
  if (k.type() == key_type::other)
    return make_error(errc::unsupported, std::string(what) + ": expected RSA, P-256 or P-384");
  if (k.type() == key_type::rsa && (k.bits() < rsa_bits_min || k.bits() > rsa_bits_max))
    return make_error(errc::unsupported,
                      std::string(what) + ": expected an RSA key of 2048 to 4096 bits");
  return k;
}

result<key> from_params(const char* type, OSSL_PARAM_BLD* builder, std::string_view what) {
  const params_ptr params(OSSL_PARAM_BLD_to_param(builder));
  const pkey_ctx_ptr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* handle = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &handle, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return openssl_error(errc::malformed, std::string(what) + " is not valid");
  key k = own(handle);
  const pkey_ctx_ptr check(EVP_PKEY_CTX_new_from_pkey(nullptr, k.handle(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1)
    return openssl_error(errc::malformed, std::string(what) + " is not valid");
  return k;
}

/// What the one DER form of a P-256 key starts with (RFC 5480, 2): id-ecPublicKey, prime256v1, and
/// the point in uncompressed form, whose coordinates follow.
constexpr std::array<std::uint8_t, 27> p256_spki_head{
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06,
    0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
constexpr std::size_t p256_point_bytes = 65;
constexpr std::size_t p256_spki_bytes = p256_spki_head.size() - 1 + p256_point_bytes;

/// The key of a SubjectPublicKeyInfo in that form, nothing for any other form and for a point that
/// is not on the curve. OpenSSL 3.0's decoder takes twenty times as long, half the time of a whole
/// appraisal.
key p256_key_of_spki(byte_view der) {
  if (der.size() != p256_spki_bytes ||
      !std::equal(p256_spki_head.begin(), p256_spki_head.end(), der.begin()))
    return {};
  static thread_local const pkey_ptr some_key(EVP_EC_gen("P-256"));
  pkey_ptr handle(EVP_PKEY_new());
  const auto point = der.subspan(p256_spki_head.size() - 1);
  if (!some_key || !handle || EVP_PKEY_copy_parameters(handle.get(), some_key.get()) != 1 ||
      EVP_PKEY_set1_encoded_public_key(handle.get(), point.data(), point.size()) != 1) {
    ERR_clear_error();
    return {};
  }
  return own(handle.release());
}

} // namespace

key_type key::type() const {
  if (!handle_)
    return key_type::other;
  if (EVP_PKEY_is_a(handle_.get(), "RSA") == 1)
    return key_type::rsa;
  if (EVP_PKEY_is_a(handle_.get(), "EC") != 1)
    return key_type::other;
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(handle_.get(), group.data(), group.size(), nullptr) != 1)
    return key_type::other;
  const std::string_view name(group.data());
  if (name == "prime256v1" || name == "P-256")
    return key_type::p256;
  return name == "secp384r1" || name == "P-384" ? key_type::p384 : key_type::other;
}

unsigned key::bits() const {
  return handle_ ? static_cast<unsigned>(EVP_PKEY_get_bits(handle_.get())) : 0;
}

bytes key::spki_der() const {
  return handle_ ? der_of(i2d_PUBKEY, const_cast<const EVP_PKEY*>(handle_.get())) : bytes{};
}

std::string key::public_pem() const {
  const bio_ptr bio(BIO_new(BIO_s_mem()));
  if (!handle_ || !bio || PEM_write_bio_PUBKEY(bio.get(), handle_.get()) != 1)
    return {};
  return text_of(bio.get());
}

secret_bytes key::pkcs8_der() const {
  if (!handle_)
    return {};
  using p8_ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, deleter<PKCS8_PRIV_KEY_INFO_free>>;
  const p8_ptr info(EVP_PKEY2PKCS8(handle_.get()));
  if (!info)
    return {};
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr);
  if (size <= 0)
    return {};
  secret_bytes out(static_cast<std::size_t>(size));
  unsigned char* p = out.writable_secret().data();
  i2d_PKCS8_PRIV_KEY_INFO(info.get(), &p);
  return out;
}

bool key::same_public(const key& other) const {
  const bool same =
      handle_ && other.handle_ && EVP_PKEY_eq(handle_.get(), other.handle_.get()) == 1;
  ERR_clear_error();
  return same;
}

result<key> generate_p256() {
  // One context a thread, made from some key of that curve: looking up the algorithm and setting up
  // the group takes as long as making the key, and there is one in every JWE.
  static thread_local const pkey_ctx_ptr context = [] {
    const pkey_ptr some_key(EVP_EC_gen("P-256"));
    pkey_ctx_ptr made(some_key ? EVP_PKEY_CTX_new_from_pkey(nullptr, some_key.get(), nullptr)
                               : nullptr);
    return made && EVP_PKEY_keygen_init(made.get()) == 1 ? std::move(made) : nullptr;
  }();
  EVP_PKEY* handle = nullptr;
  if (!context || EVP_PKEY_keygen(context.get(), &handle) != 1)
    return openssl_error(errc::crypto_failure, "making a P-256 key failed");
  return own(handle);
}

result<key> generate_p384() {
  EVP_PKEY* handle = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384");
  if (handle == nullptr)
    return openssl_error(errc::crypto_failure, "making a P-384 key failed");
  return own(handle);
}

result<key> generate_rsa(unsigned bits) {
  EVP_PKEY* handle = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits});
  if (handle == nullptr)
    return openssl_error(errc::crypto_failure, "making an RSA key failed");
  return own(handle);
}

result<key> private_key_from_pkcs8(byte_view der) {
  const unsigned char* p = der.data();
  EVP_PKEY* handle = d2i_AutoPrivateKey(nullptr, &p, static_cast<long>(der.size()));
  if (handle != nullptr && p != der.data() + der.size()) {
    EVP_PKEY_free(handle);
    return make_error(errc::malformed, "private key (PKCS#8): bytes behind the key");
  }
  return checked(handle, "private key (PKCS#8)");
}

result<key> private_key_from_pem(byte_view pem) {
  const auto bio = bio_over(pem);
  // An empty pass phrase callback: an encrypted key must fail, not ask on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  return checked(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                     : nullptr,
                 "private key (PEM, unencrypted)");
}

result<key> public_key_from_spki(byte_view der) {
  if (auto usual = p256_key_of_spki(der))
    return usual;
  const unsigned char* p = der.data();
  EVP_PKEY* handle = d2i_PUBKEY(nullptr, &p, static_cast<long>(der.size()));
  if (handle != nullptr && p != der.data() + der.size()) {
    EVP_PKEY_free(handle);
    return make_error(errc::malformed, "public key (SubjectPublicKeyInfo): bytes behind the key");
  }
  return checked(handle, "public key (SubjectPublicKeyInfo)");
}

result<key> public_key_from_pem(byte_view pem) {
  const auto bio = bio_over(pem);
  return checked(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr,
                 "public key (PEM)");
}

result<key> rsa_public_key(byte_view modulus, std::uint32_t exponent) {
  const bn_ptr n(BN_bin2bn(modulus.data(),
                           static_cast<int>(std::min<std::size_t>(modulus.size(), 1024)), nullptr));
  const bn_ptr e(BN_new());
  if (!n || !e || BN_set_word(e.get(), exponent) != 1)
    return openssl_error(errc::crypto_failure, "RSA public key");
  const auto bits = static_cast<unsigned>(BN_num_bits(n.get()));
  if (modulus.size() > 1024 || bits < rsa_bits_min || bits > rsa_bits_max)
    return make_error(errc::unsupported, "RSA public key: expected a modulus of 2048 to 4096 bits");
  if (exponent < rsa_exponent_min || exponent % 2 == 0 || BN_is_odd(n.get()) == 0)
    return make_error(
        errc::malformed,
        "RSA public key: expected an odd exponent of at least 65537 and an odd modulus");
  const param_bld_ptr builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return openssl_error(errc::crypto_failure, "RSA public key");
  return from_params("RSA", builder.get(), "RSA public key");
}

result<key> ec_public_key(key_type curve, byte_view x, byte_view y) {
  if (curve != key_type::p256 && curve != key_type::p384)
    return make_error(errc::unsupported, "EC public key: expected P-256 or P-384");
  const auto size = field_bytes(curve);
  if (x.empty() || y.empty() || x.size() > size || y.size() > size)
    return make_error(errc::malformed,
                      "EC public key: expected coordinates of at most the field size");
  bytes point(1 + 2 * size, 0);
  point[0] = 0x04; // uncompressed (SEC 1, 2.3.3)
  std::memcpy(point.data() + 1 + (size - x.size()), x.data(), x.size());
  std::memcpy(point.data() + 1 + size + (size - y.size()), y.data(), y.size());
  const param_bld_ptr builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve_name(curve),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    return openssl_error(errc::crypto_failure, "EC public key");
  return from_params("EC", builder.get(), "EC public key");
}

result<rsa_numbers> rsa_numbers_of(const key& k) {
  if (k.type() != key_type::rsa)
    return make_error(errc::unsupported, "expected an RSA key");
  const auto number = [&](const char* name) -> result<bytes> {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(k.handle(), name, &raw) != 1)
      return openssl_error(errc::crypto_failure, "RSA numbers");
    const bn_ptr value(raw);
    bytes out(static_cast<std::size_t>(BN_num_bytes(value.get())));
    BN_bn2bin(value.get(), out.data());
    return out;
  };
  CUSTOS_TRY(auto n, number(OSSL_PKEY_PARAM_RSA_N));
  CUSTOS_TRY(auto e, number(OSSL_PKEY_PARAM_RSA_E));
  return rsa_numbers{std::move(n), std::move(e)};
}

result<ec_point> ec_point_of(const key& k) {
  const auto type = k.type();
  if (type != key_type::p256 && type != key_type::p384)
    return make_error(errc::unsupported, "expected a P-256 or P-384 key");
  const auto size = field_bytes(type);
  // One call for the point; OpenSSL computes everything anew for each coordinate asked for.
  std::array<std::uint8_t, 1 + 2 * 48> point{};
  std::size_t point_bytes = 0;
  if (EVP_PKEY_get_octet_string_param(k.handle(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                      point.size(), &point_bytes) == 1 &&
      point_bytes == 1 + 2 * size && point[0] == 0x04) {
    const byte_view coordinates = byte_view(point).subspan(1, 2 * size);
    return ec_point{to_bytes(coordinates.first(size)), to_bytes(coordinates.last(size))};
  }
  // The key came with a compressed point.
  const auto coordinate = [&](const char* name) -> result<bytes> {
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(k.handle(), name, &raw) != 1)
      return openssl_error(errc::crypto_failure, "EC coordinates");
    const bn_ptr value(raw);
    bytes out(size);
    if (BN_bn2binpad(value.get(), out.data(), static_cast<int>(out.size())) < 0)
      return openssl_error(errc::crypto_failure, "EC coordinates");
    return out;
  };
  CUSTOS_TRY(auto x, coordinate(OSSL_PKEY_PARAM_EC_PUB_X));
  CUSTOS_TRY(auto y, coordinate(OSSL_PKEY_PARAM_EC_PUB_Y));
  return ec_point{std::move(x), std::move(y)};
}

} // namespace custos::crypto
