#include "cluster/backup/header.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <ctime>
#include <limits>

namespace custos::backup {

namespace bj = boost::json;

namespace {

constexpr std::size_t id_digits = 32;
constexpr std::size_t digest_digits = 64;
constexpr std::size_t text_bytes_max = 128;
constexpr std::size_t pem_bytes_max = 16U << 10U;
constexpr std::size_t signature_bytes_max = 1024;
constexpr std::size_t wrapped_key_bytes = 40; // 32 octets under AES-KWP
constexpr std::int64_t number_max = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view signature_label = "custos-backup-signature-v1\n";
constexpr std::string_view mac_label = "custos-backup-header-v1\n";

constexpr std::string_view passphrase_type = "passphrase";
constexpr std::string_view public_key_type = "p256";

error expected(const std::string& field, const std::string& what) {
  return field_error(errc::malformed, field, "expected " + what);
}

// ---- writing ------------------------------------------------------------------------------------

bj::value text(std::string_view s) {
  return bj::string(s.data(), s.size());
}

bj::object json_of(const description& d) {
  bj::object objects;
  for (const auto& [kind, count] : d.objects)
    objects[kind] = count;
  bj::object out{{"kind", text(to_string(d.kind))},
                 {"id", d.id},
                 {"name", d.name},
                 {"fingerprint", d.fingerprint},
                 {"created", d.created},
                 {"program", d.program},
                 {"objects", std::move(objects)},
                 {"signer", d.signer.pem()}};
  if (d.kind == content_kind::cluster) {
    out["cluster_id"] = d.cluster_id;
    out["revision"] = d.revision;
  }
  return out;
}

bj::object json_of(const sealed_part& s) {
  return {{"bytes", s.bytes}, {"sha256", crypto::hex(s.sha256)}};
}

bj::object json_of(const recipient& r) {
  if (r.how == recipient::way::public_key)
    return {{"type", text(public_key_type)}, {"thumbprint", r.thumbprint}, {"jwe", r.jwe}};
  return {{"type", text(passphrase_type)},
          {"scrypt", bj::object{{"n", scrypt_n}, {"r", scrypt_r}, {"p", scrypt_p}}},
          {"salt", crypto::base64url(r.salt)},
          {"wrapped_key", crypto::base64url(r.wrapped_key)}};
}

bj::object signed_members(const header& h) {
  return {
      {"format", text(file_format)}, {"about", json_of(h.about)}, {"sealed", json_of(h.sealed)}};
}

bj::object members_without_mac(const header& h) {
  auto out = signed_members(h);
  bj::array recipients;
  for (const auto& r : h.recipients)
    recipients.push_back(json_of(r));
  out["recipients"] = std::move(recipients);
  out["signature"] =
      bj::object{{"algorithm", text(signature_algorithm(h.about.signer.public_key()))},
                 {"value", crypto::base64url(h.signature)}};
  return out;
}

// ---- reading ------------------------------------------------------------------------------------

bool is_hex(std::string_view s, std::size_t digits) {
  return s.size() == digits && std::all_of(s.begin(), s.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_printable(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_timestamp(std::string_view s) {
  constexpr std::string_view form = "dddd-dd-ddTdd:dd:ddZ";
  return s.size() == form.size() &&
         std::equal(s.begin(), s.end(), form.begin(), [](char c, char wanted) {
           return wanted == 'd' ? c >= '0' && c <= '9' : c == wanted;
         });
}

result<std::string> hex_member(json::object& o, std::string_view name, std::size_t digits) {
  CUSTOS_TRY(auto value, o.string(name, digits));
  if (!is_hex(value, digits))
    return expected(o.path() + "/" + std::string(name),
                    std::to_string(digits) + " hex digits in lower case");
  return value;
}

result<crypto::sha256_digest> digest_member(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto digits, hex_member(o, name, digest_digits));
  CUSTOS_TRY(const auto octets, crypto::from_hex(digits));
  crypto::sha256_digest out{};
  std::copy(octets.begin(), octets.end(), out.begin());
  return out;
}

result<std::string> text_member(json::object& o, std::string_view name) {
  CUSTOS_TRY(auto value, o.string(name, text_bytes_max));
  if (!is_printable(value))
    return expected(o.path() + "/" + std::string(name), "printable ASCII characters");
  return value;
}

result<std::map<std::string, std::uint64_t>> read_counts(json::object o) {
  std::map<std::string, std::uint64_t> out;
  const auto names = o.names();
  if (names.size() > object_kinds_max)
    return expected(o.path(), "at most " + std::to_string(object_kinds_max) + " kinds");
  for (const auto& name : names) {
    if (!is_object_name(name))
      return expected(o.path(), "names of kinds of objects");
    CUSTOS_TRY(const auto count, o.integer(name, 1, number_max));
    out.emplace(name, static_cast<std::uint64_t>(count));
  }
  return out;
}

result<description> read_description(json::object o) {
  description out;
  CUSTOS_TRY(const auto kind, o.string("kind", text_bytes_max));
  if (kind != "cluster" && kind != "coordinator")
    return expected(o.path() + "/kind", "cluster or coordinator");
  out.kind = kind == "cluster" ? content_kind::cluster : content_kind::coordinator;
  CUSTOS_TRY(out.id, hex_member(o, "id", id_digits));
  CUSTOS_TRY(out.name, text_member(o, "name"));
  CUSTOS_TRY(out.fingerprint, hex_member(o, "fingerprint", digest_digits));
  CUSTOS_TRY(out.created, o.string("created", text_bytes_max));
  if (!is_timestamp(out.created))
    return expected(o.path() + "/created", "a time as in 2026-01-02T03:04:05Z");
  CUSTOS_TRY(out.program, text_member(o, "program"));
  CUSTOS_TRY(auto objects, o.child("objects"));
  CUSTOS_TRY(out.objects, read_counts(std::move(objects)));
  CUSTOS_TRY(const auto pem, o.string("signer", pem_bytes_max));
  auto signer = crypto::certificate_from_pem(as_bytes(pem));
  if (!signer)
    return expected(o.path() + "/signer", "one certificate in PEM");
  out.signer = *std::move(signer);
  if (out.kind == content_kind::cluster) {
    CUSTOS_TRY(out.cluster_id, hex_member(o, "cluster_id", id_digits));
    CUSTOS_TRY(const auto revision, o.integer("revision", 0, number_max));
    out.revision = static_cast<std::uint64_t>(revision);
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

result<sealed_part> read_sealed(json::object o) {
  sealed_part out;
  CUSTOS_TRY(const auto size, o.integer("bytes", chunk_tag_bytes + 1, sealed_bytes_max));
  out.bytes = static_cast<std::uint64_t>(size);
  CUSTOS_TRY(out.sha256, digest_member(o, "sha256"));
  CUSTOS_CHECK(o.finish());
  return out;
}

result<void> read_scrypt(json::object o) {
  const std::pair<const char*, std::uint64_t> wanted[] = {
      {"n", scrypt_n}, {"r", scrypt_r}, {"p", scrypt_p}};
  for (const auto& [name, value] : wanted) {
    CUSTOS_TRY(const auto found, o.integer(name, 1, number_max));
    if (static_cast<std::uint64_t>(found) != value)
      return field_error(errc::unsupported, o.path() + "/" + name,
                         "expected " + std::to_string(value));
  }
  return o.finish();
}

result<recipient> read_recipient(json::object o) {
  recipient out;
  CUSTOS_TRY(const auto type, o.string("type", text_bytes_max));
  if (type == public_key_type) {
    out.how = recipient::way::public_key;
    CUSTOS_TRY(out.thumbprint, text_member(o, "thumbprint"));
    CUSTOS_TRY(out.jwe, o.string("jwe", jose::token_bytes_max));
  } else if (type == passphrase_type) {
    CUSTOS_TRY(auto cost, o.child("scrypt"));
    CUSTOS_CHECK(read_scrypt(std::move(cost)));
    CUSTOS_TRY(out.salt, o.base64url("salt", salt_bytes));
    CUSTOS_TRY(out.wrapped_key, o.base64url("wrapped_key", wrapped_key_bytes));
    if (out.salt.size() != salt_bytes || out.wrapped_key.size() != wrapped_key_bytes)
      return expected(o.path(), "a salt of " + std::to_string(salt_bytes) +
                                    " and a wrapped key of " + std::to_string(wrapped_key_bytes) +
                                    " octets");
  } else {
    return expected(o.path() + "/type", "passphrase or p256");
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

result<std::vector<recipient>> read_recipients(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("recipients", recipients_max));
  std::vector<recipient> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto one, item.as_object());
    CUSTOS_TRY(auto read, read_recipient(std::move(one)));
    out.push_back(std::move(read));
  }
  if (out.empty())
    return expected("/recipients", "at least one recipient");
  return out;
}

result<bytes> read_signature(json::object o, const crypto::certificate& signer) {
  CUSTOS_TRY(const auto algorithm, o.string("algorithm", text_bytes_max));
  const auto wanted = signature_algorithm(signer.public_key());
  if (wanted.empty() || algorithm != wanted)
    return expected(o.path() + "/algorithm", "the algorithm of the signer's key");
  CUSTOS_TRY(auto value, o.base64url("value", signature_bytes_max));
  CUSTOS_CHECK(o.finish());
  return value;
}

} // namespace

std::string_view to_string(content_kind kind) {
  return kind == content_kind::cluster ? "cluster" : "coordinator";
}

std::string timestamp(crypto::unix_seconds at) {
  const auto seconds = static_cast<std::time_t>(at);
  std::tm parts{};
  std::array<char, 32> out{};
  // Years of another width than four digits do not come from a clock.
  if (::gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(out.data(), out.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) != 20)
    return "1970-01-01T00:00:00Z";
  return out.data();
}

std::string_view signature_algorithm(const crypto::key& key) {
  switch (key.type()) {
  case crypto::key_type::p256:
    return "ES256";
  case crypto::key_type::p384:
    return "ES384";
  case crypto::key_type::rsa:
    return "PS256";
  case crypto::key_type::other:
    break;
  }
  return {};
}

result<bytes> sign_header(const header& h, const crypto::key& private_key) {
  const auto octets = signed_octets(h);
  switch (private_key.type()) {
  case crypto::key_type::p256:
    return crypto::ecdsa_sign(private_key, crypto::hash_alg::sha256, as_bytes(octets));
  case crypto::key_type::p384:
    return crypto::ecdsa_sign(private_key, crypto::hash_alg::sha384, as_bytes(octets));
  case crypto::key_type::rsa:
    return crypto::rsapss_sign(private_key, crypto::hash_alg::sha256, as_bytes(octets));
  case crypto::key_type::other:
    break;
  }
  return make_error(errc::unsupported,
                    "a backup is signed with a key on P-256 or P-384, or with an RSA key");
}

result<void> check_signature(const header& h) {
  const auto octets = signed_octets(h);
  const auto key = h.about.signer.public_key();
  bool good = false;
  if (key.type() == crypto::key_type::p256)
    good = crypto::ecdsa_verify(key, crypto::hash_alg::sha256, as_bytes(octets), h.signature);
  else if (key.type() == crypto::key_type::p384)
    good = crypto::ecdsa_verify(key, crypto::hash_alg::sha384, as_bytes(octets), h.signature);
  else if (key.type() == crypto::key_type::rsa)
    good = crypto::rsapss_verify(key, crypto::hash_alg::sha256, as_bytes(octets), h.signature,
                                 crypto::pss_salt::digest_size);
  if (!good)
    return field_error(errc::crypto_failure, "/signature",
                       "the signature is not that of the signer named in the file over this "
                       "description: it was changed");
  return {};
}

std::string signed_octets(const header& h) {
  return std::string(signature_label) + json::canonical(signed_members(h));
}

std::string mac_octets(const header& h) {
  return std::string(mac_label) + json::canonical(members_without_mac(h));
}

std::string write_header(const header& h) {
  auto members = members_without_mac(h);
  members["mac"] = crypto::hex(h.mac);
  return json::canonical(members) + "\n";
}

result<header> parse_header(std::string_view line) {
  CUSTOS_TRY(auto o, json::parse_object(line, header_bytes_max));
  CUSTOS_TRY(const auto format, o.string("format", text_bytes_max));
  if (format != file_format)
    return field_error(errc::unsupported, "/format", "expected " + std::string(file_format));
  header out;
  CUSTOS_TRY(auto about, o.child("about"));
  CUSTOS_TRY(out.about, read_description(std::move(about)));
  CUSTOS_TRY(auto sealed, o.child("sealed"));
  CUSTOS_TRY(out.sealed, read_sealed(std::move(sealed)));
  CUSTOS_TRY(out.recipients, read_recipients(o));
  CUSTOS_TRY(auto signature, o.child("signature"));
  CUSTOS_TRY(out.signature, read_signature(std::move(signature), out.about.signer));
  CUSTOS_TRY(out.mac, digest_member(o, "mac"));
  CUSTOS_CHECK(o.finish());
  // One header, one spelling: what a change could hide in is not there.
  auto again = write_header(out);
  again.pop_back();
  if (again != line)
    return expected("", "the header in canonical form");
  return out;
}

} // namespace custos::backup
