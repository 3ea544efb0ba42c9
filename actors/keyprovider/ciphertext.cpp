#include "actors/keyprovider/ciphertext.hpp"

#include <algorithm>

namespace custos::keyprovider {

namespace {

error bad_form(std::string message) {
  return field_error(errc::malformed, "ciphertext", std::move(message));
}

/// Lengths of the three parts of a wrapped key, by algorithm.
struct wrap_lengths {
  std::size_t iv_min, iv_max, ciphertext, tag;
};

std::optional<wrap_lengths> lengths_of(wrap_algorithm algorithm) {
  switch (algorithm) {
  case wrap_algorithm::local_kwp: // RFC 5649, 4.1: 8 octets more than the padded key
    return wrap_lengths{0, 0, fresh_key_bytes + 8, 0};
  case wrap_algorithm::remote_gcm:
    return wrap_lengths{gcm_iv_bytes_min, gcm_iv_bytes_max, fresh_key_bytes, tag_bytes};
  case wrap_algorithm::remote_cbc: // PKCS#5: a whole block of padding behind two whole blocks
    return wrap_lengths{cbc_iv_bytes, cbc_iv_bytes, fresh_key_bytes + 16, 0};
  }
  return std::nullopt;
}

void put_u8(bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
}
void put_u16(bytes& out, std::size_t value) {
  put_u8(out, value >> 8U);
  put_u8(out, value & 0xFFU);
}
void put(bytes& out, byte_view data) {
  out.insert(out.end(), data.begin(), data.end());
}

/// Reads in order; every read names what it wanted.
class cursor {
public:
  explicit cursor(byte_view raw) : raw_(raw) {}

  result<byte_view> take(std::size_t size, std::string_view what) {
    if (raw_.size() - at_ < size)
      return bad_form("the ciphertext ends within the " + std::string(what));
    const auto part = raw_.subspan(at_, size);
    at_ += size;
    return part;
  }
  result<std::size_t> u8(std::string_view what) {
    CUSTOS_TRY(const byte_view b, take(1, what));
    return std::size_t{b[0]};
  }
  result<std::size_t> u16(std::string_view what) {
    CUSTOS_TRY(const byte_view b, take(2, what));
    return std::size_t{b[0]} << 8U | b[1];
  }
  [[nodiscard]] std::size_t left() const { return raw_.size() - at_; }

private:
  byte_view raw_;
  std::size_t at_ = 0;
};

result<std::string> read_name(cursor& in, std::size_t size, std::size_t size_max,
                              std::string_view what) {
  if (size == 0 || size > size_max)
    return bad_form("the " + std::string(what) + " of the ciphertext must have 1 to " +
                    std::to_string(size_max) + " bytes, not " + std::to_string(size));
  CUSTOS_TRY(const byte_view text, in.take(size, what));
  return std::string(as_text(text));
}

result<void> read_version_and_algorithm(cursor& in, ciphertext_identity& identity) {
  CUSTOS_TRY(const byte_view magic, in.take(ciphertext_magic.size(), "magic"));
  if (as_text(magic) != ciphertext_magic)
    return bad_form("a key ciphertext begins with CKEK; this does not");
  CUSTOS_TRY(const std::size_t version, in.u8("version"));
  if (version != ciphertext_version)
    return field_error(errc::unsupported, "ciphertext",
                       "ciphertext version " + std::to_string(version) +
                           " is not known here; this release reads version 1");
  CUSTOS_TRY(const std::size_t algorithm, in.u8("algorithm"));
  identity.algorithm = static_cast<wrap_algorithm>(algorithm);
  if (!lengths_of(identity.algorithm))
    return field_error(errc::unsupported, "ciphertext",
                       "ciphertext algorithm " + std::to_string(algorithm) +
                           " is not known here; this release reads algorithms 1, 2 and 3");
  return {};
}

result<ciphertext_identity> read_identity(cursor& in) {
  ciphertext_identity identity;
  CUSTOS_CHECK(read_version_and_algorithm(in, identity));
  CUSTOS_TRY(const std::size_t provider_size, in.u8("provider name"));
  CUSTOS_TRY(identity.provider,
             read_name(in, provider_size, provider_name_bytes_max, "provider name"));
  CUSTOS_TRY(const std::size_t id_size, in.u16("primary key id"));
  CUSTOS_TRY(identity.primary_key_id,
             read_name(in, id_size, primary_key_id_bytes_max, "primary key id"));
  CUSTOS_TRY(const std::size_t high, in.u16("primary key version"));
  CUSTOS_TRY(const std::size_t low, in.u16("primary key version"));
  identity.primary_key_version = static_cast<std::uint32_t>(high << 16U | low);
  if (identity.primary_key_version == 0)
    return bad_form("primary key versions count from 1");
  CUSTOS_TRY(const byte_view nonce, in.take(nonce_bytes, "nonce"));
  std::copy(nonce.begin(), nonce.end(), identity.nonce.begin());
  CUSTOS_TRY(const byte_view hash, in.take(identity.context_hash.size(), "context hash"));
  std::copy(hash.begin(), hash.end(), identity.context_hash.begin());
  return identity;
}

result<bytes> read_part(cursor& in, std::size_t size, std::size_t min, std::size_t max,
                        std::string_view what) {
  if (size < min || size > max)
    return bad_form("the " + std::string(what) + " has " + std::to_string(size) +
                    " bytes, which its algorithm does not give");
  CUSTOS_TRY(const byte_view part, in.take(size, what));
  return to_bytes(part);
}

result<wrapped_key> read_wrapped(cursor& in, wrap_algorithm algorithm) {
  const auto want = *lengths_of(algorithm); // known: read_identity refused all others
  wrapped_key wrapped;
  CUSTOS_TRY(const std::size_t iv, in.u8("wrapping IV"));
  CUSTOS_TRY(wrapped.iv, read_part(in, iv, want.iv_min, want.iv_max, "wrapping IV"));
  CUSTOS_TRY(const std::size_t size, in.u8("wrapped key"));
  CUSTOS_TRY(wrapped.ciphertext,
             read_part(in, size, want.ciphertext, want.ciphertext, "wrapped key"));
  CUSTOS_TRY(const std::size_t tag, in.u8("wrapping tag"));
  CUSTOS_TRY(wrapped.tag, read_part(in, tag, want.tag, want.tag, "wrapping tag"));
  return wrapped;
}

result<void> check_wrapped(wrap_algorithm algorithm, const wrapped_key& wrapped) {
  const auto want = lengths_of(algorithm);
  if (!want)
    return field_error(errc::invalid_argument, "algorithm", "no such wrapping algorithm");
  if (wrapped.iv.size() < want->iv_min || wrapped.iv.size() > want->iv_max ||
      wrapped.ciphertext.size() != want->ciphertext || wrapped.tag.size() != want->tag)
    return make_error(errc::unsupported,
                      "the wrapped key has " + std::to_string(wrapped.iv.size()) + "/" +
                          std::to_string(wrapped.ciphertext.size()) + "/" +
                          std::to_string(wrapped.tag.size()) +
                          " bytes of IV, ciphertext and tag, which no ciphertext of ours holds");
  return {};
}

/// Everything in front of the body's octets. It delimits itself, so that (header || context) has
/// one reading only and is fit to be the additional data of the body.
result<bytes> header_bytes(const ciphertext_identity& identity, const wrapped_key& wrapped,
                           std::size_t body_size) {
  CUSTOS_CHECK(check_wrapped(identity.algorithm, wrapped));
  CUSTOS_TRY(bytes header, identity_bytes(identity));
  put_u8(header, wrapped.iv.size());
  put(header, wrapped.iv);
  put_u8(header, wrapped.ciphertext.size());
  put(header, wrapped.ciphertext);
  put_u8(header, wrapped.tag.size());
  put(header, wrapped.tag);
  put_u8(header, body_size);
  return header;
}

bytes with_context(const bytes& header, byte_view context) {
  bytes aad;
  aad.reserve(header.size() + context.size());
  put(aad, header);
  put(aad, context);
  return aad;
}

} // namespace

result<bytes> identity_bytes(const ciphertext_identity& identity) {
  if (identity.provider.empty() || identity.provider.size() > provider_name_bytes_max)
    return field_error(errc::invalid_argument, "provider",
                       "a provider's name has 1 to " + std::to_string(provider_name_bytes_max) +
                           " bytes");
  if (identity.primary_key_id.empty() || identity.primary_key_id.size() > primary_key_id_bytes_max)
    return field_error(errc::invalid_argument, "primary_key_id",
                       "a primary key's id has 1 to " + std::to_string(primary_key_id_bytes_max) +
                           " bytes");
  if (identity.primary_key_version == 0)
    return field_error(errc::invalid_argument, "primary_key_version",
                       "primary key versions count from 1");
  bytes out;
  out.reserve(256 + identity.provider.size() + identity.primary_key_id.size());
  put(out, as_bytes(ciphertext_magic));
  put_u8(out, ciphertext_version);
  put_u8(out, static_cast<std::uint8_t>(identity.algorithm));
  put_u8(out, identity.provider.size());
  put(out, as_bytes(identity.provider));
  put_u16(out, identity.primary_key_id.size());
  put(out, as_bytes(identity.primary_key_id));
  put_u16(out, identity.primary_key_version >> 16U);
  put_u16(out, identity.primary_key_version & 0xFFFFU);
  put(out, identity.nonce);
  put(out, identity.context_hash);
  return out;
}

result<bytes> seal_key(const ciphertext_identity& identity, const wrapped_key& wrapped,
                       const crypto::secret_bytes& fresh, byte_view context,
                       const crypto::secret_bytes& key) {
  if (key.size() < kek_bytes_min || key.size() > kek_bytes_max)
    return field_error(errc::invalid_argument, "key_bytes", "a key has 16 to 64 bytes");
  if (fresh.size() != fresh_key_bytes)
    return make_error(errc::invalid_argument, "the fresh key must have 32 bytes");
  CUSTOS_TRY(bytes out, header_bytes(identity, wrapped, key.size()));
  CUSTOS_TRY(const auto sealed,
             crypto::aes256_gcm_seal(fresh.reveal_secret(), identity.nonce,
                                     with_context(out, context), key.reveal_secret()));
  put(out, sealed.ciphertext);
  put(out, sealed.tag);
  return out;
}

result<kek_ciphertext> parse_ciphertext(byte_view raw) {
  if (raw.size() > kek_ciphertext_bytes_max)
    return field_error(errc::too_large, "ciphertext",
                       "a ciphertext has at most " + std::to_string(kek_ciphertext_bytes_max) +
                           " bytes");
  cursor in(raw);
  kek_ciphertext parsed;
  CUSTOS_TRY(parsed.identity, read_identity(in));
  CUSTOS_TRY(parsed.wrapped, read_wrapped(in, parsed.identity.algorithm));
  CUSTOS_TRY(const std::size_t body, in.u8("body"));
  CUSTOS_TRY(parsed.body, read_part(in, body, kek_bytes_min, kek_bytes_max, "body"));
  CUSTOS_TRY(const byte_view tag, in.take(tag_bytes, "tag"));
  std::copy(tag.begin(), tag.end(), parsed.tag.begin());
  if (in.left() != 0)
    return bad_form(std::to_string(in.left()) + " bytes follow the end of the ciphertext");
  return parsed;
}

result<void> check_context(const kek_ciphertext& parsed, byte_view context) {
  if (!crypto::equal(crypto::sha256(context), parsed.identity.context_hash))
    return field_error(errc::crypto_failure, "context",
                       "the context is not the one this key was made with");
  return {};
}

result<crypto::secret_bytes> open_key(const kek_ciphertext& parsed, byte_view context,
                                      const crypto::secret_bytes& fresh) {
  if (fresh.size() != fresh_key_bytes)
    return does_not_decrypt();
  CUSTOS_CHECK(check_context(parsed, context));
  const auto header = header_bytes(parsed.identity, parsed.wrapped, parsed.body.size());
  if (!header)
    return does_not_decrypt();
  auto key = crypto::aes256_gcm_open(fresh.reveal_secret(), parsed.identity.nonce,
                                     with_context(*header, context), parsed.body, parsed.tag);
  if (!key)
    return does_not_decrypt();
  return key;
}

std::string primary_key_name(std::string_view primary_key_id) {
  constexpr std::size_t name_bytes = 16;
  if (primary_key_id.empty())
    return {};
  const auto digest = crypto::sha256(as_bytes(primary_key_id));
  return crypto::hex(byte_view(digest).first(name_bytes));
}

error does_not_decrypt() {
  return field_error(errc::crypto_failure, "ciphertext",
                     "the ciphertext does not decrypt under its primary key");
}

} // namespace custos::keyprovider
