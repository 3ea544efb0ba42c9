#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "cluster/bootstrap.hpp"
#include "cluster/fields.hpp"
#include "cluster/replica/wire.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

namespace custos::cluster {

namespace {

constexpr std::uint8_t token_version = 1;
constexpr std::uint8_t answer_version = 1;
constexpr std::size_t digest_bytes = 32;
constexpr std::size_t url_length_bytes = 2;
constexpr std::size_t token_bytes_max =
    1 + url_length_bytes + join_url_bytes_max + digest_bytes + join_secret_bytes;
constexpr std::size_t csr_bytes_max = 16U << 10U;
constexpr std::size_t names_max = 32;
constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t address_bytes_max = 300;
constexpr std::size_t replica_id_bytes = 8;
constexpr std::string_view token_prefix = "join-token/";

/// What the JWE holds. Never stored.
enum answer_tag : std::uint8_t {
  tag_keys = 1,
  tag_node_certificate,
  tag_replica,
  tag_members_digest,
  tag_data_keys
};

result<void> check_url(std::string_view url) {
  constexpr std::string_view scheme = "https://";
  const auto plain = [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (!url.starts_with(scheme) || url.size() == scheme.size() || url.size() > join_url_bytes_max ||
      !std::all_of(url.begin(), url.end(), plain))
    return field_error(errc::invalid_argument, "url",
                       "expected an https URL of at most " + std::to_string(join_url_bytes_max) +
                           " bytes");
  return {};
}

std::string token_key(byte_view secret) {
  return std::string(token_prefix) + crypto::hex(crypto::sha256(secret));
}

/// base64url of something secret into memory that is wiped.
result<crypto::secret_bytes> decoded_secret(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max / 3 * 4 + 4)
    return make_error(errc::too_large, "too long");
  CUSTOS_TRY(auto octets, crypto::from_base64url(text));
  crypto::secret_bytes out{byte_view(octets)};
  crypto::wipe(octets.data(), octets.size());
  return out;
}

error bad_token() {
  return field_error(errc::malformed, "token", "expected a join token as it was issued");
}

result<std::int64_t> expiry_of(const bytes& record) {
  CUSTOS_TRY(auto o, json::parse_object(as_text(record), 256));
  return o.integer("expires", 0, std::numeric_limits<std::int64_t>::max());
}

} // namespace

// ---- tokens -------------------------------------------------------------------------------------

result<join_token> parse_join_token(std::string_view text) {
  const auto decoded = decoded_secret(text, token_bytes_max);
  if (!decoded)
    return bad_token();
  auto rest = decoded->reveal_secret();
  if (rest.size() < 1 + url_length_bytes + digest_bytes + join_secret_bytes)
    return bad_token();
  if (rest[0] != token_version)
    return field_error(errc::unsupported, "token", "expected a join token of version 1");
  const std::size_t url_bytes = (std::size_t{rest[1]} << 8U) | rest[2];
  rest = rest.subspan(1 + url_length_bytes);
  if (rest.size() != url_bytes + digest_bytes + join_secret_bytes)
    return bad_token();
  join_token out;
  out.url = std::string(as_text(rest.first(url_bytes)));
  if (!check_url(out.url))
    return bad_token();
  const auto fingerprint = rest.subspan(url_bytes, digest_bytes);
  std::copy(fingerprint.begin(), fingerprint.end(), out.ca_fingerprint.begin());
  out.secret = crypto::secret_bytes(rest.last(join_secret_bytes));
  return out;
}

result<std::string> issue_join_token(node_store& node, const std::string& url, std::uint32_t life_s,
                                     crypto::unix_seconds now) {
  CUSTOS_CHECK(check_url(url));
  if (life_s < join_token_life_s_min || life_s > join_token_life_s_max)
    return field_error(errc::invalid_argument, "life_s", "expected one minute to seven days");
  const std::lock_guard guard(node.join_mutex());
  CUSTOS_TRY(const auto issued, node.store()->scan(token_prefix));
  rocksdb::write_batch batch;
  std::size_t alive = 0;
  for (const auto& entry : issued) {
    const auto expires = expiry_of(entry.value);
    if (expires && *expires > now)
      ++alive;
    else
      batch.erase(entry.key);
  }
  if (alive >= join_tokens_max)
    return make_error(errc::too_large, "expected at most " + std::to_string(join_tokens_max) +
                                           " join tokens at a time");
  const auto secret = crypto::random_secret(join_secret_bytes);
  batch.put(token_key(secret.reveal_secret()),
            json::canonical(boost::json::object{{"expires", now + life_s}}));
  CUSTOS_CHECK(node.store()->write(batch));
  const auto fingerprint = node.keys()->ca_certificate.fingerprint();
  crypto::secret_bytes token(1 + url_length_bytes + url.size() + digest_bytes + join_secret_bytes);
  auto* p = token.writable_secret().data();
  *p++ = token_version;
  *p++ = static_cast<std::uint8_t>(url.size() >> 8U);
  *p++ = static_cast<std::uint8_t>(url.size());
  p = std::copy(url.begin(), url.end(), p);
  p = std::copy(fingerprint.begin(), fingerprint.end(), p);
  std::copy(secret.reveal_secret().begin(), secret.reveal_secret().end(), p);
  return crypto::base64url(token.reveal_secret());
}

// ---- the new node asks --------------------------------------------------------------------------

namespace {

boost::json::array texts(const std::vector<std::string>& from) {
  boost::json::array out;
  for (const auto& text : from)
    out.emplace_back(text);
  return out;
}

} // namespace

result<join_attempt> make_join_request(const std::filesystem::path& data_dir,
                                       std::string_view token, const node_request& node,
                                       bool replaces) {
  if (is_initialized(data_dir) && !replaces)
    return make_error(errc::already_exists, data_dir.string() + " holds a node already");
  CUSTOS_CHECK(check_node_request(node));
  join_attempt out;
  out.replaces = replaces;
  CUSTOS_TRY(out.token, parse_join_token(token));
  out.node = node;
  CUSTOS_TRY(out.tls_key, crypto::generate_p256());
  CUSTOS_TRY(out.transport_key, crypto::generate_p256());
  crypto::certificate_request subject;
  subject.common_name = node_common_name(node.name);
  CUSTOS_TRY(const auto csr, crypto::make_csr_pem(subject, out.tls_key));
  out.request = json::canonical(
      boost::json::object{{"secret", crypto::base64url(out.token.secret.reveal_secret())},
                          {"node_name", node.name},
                          {"dns_names", texts(node.dns_names)},
                          {"ip_addresses", texts(node.ip_addresses)},
                          {"cluster_address", cluster_address_of(node)},
                          {"replace", replaces},
                          {"csr", csr},
                          {"transport_key", jose::jwk_of(out.transport_key, {}, "enc")}});
  return out;
}

// ---- a running node answers ---------------------------------------------------------------------

namespace {

struct join_request {
  node_request node;
  bool replaces = false;
  crypto::key tls_public;
  crypto::key transport_public;
};

struct accepted {
  std::string at;
  bytes record;
};

/// The token, if it is known and has not expired.
result<accepted> accepted_token(const node_store& node, json::object& o, crypto::unix_seconds now) {
  const auto refused = [] {
    return field_error(errc::unauthenticated, "/secret",
                       "expected the secret of a join token that is neither used nor expired");
  };
  CUSTOS_TRY(const auto text, o.secret_string("secret", 64));
  const auto secret = decoded_secret(as_text(text.reveal_secret()), join_secret_bytes);
  if (!secret || secret->size() != join_secret_bytes)
    return refused();
  auto key = token_key(secret->reveal_secret());
  CUSTOS_TRY(auto record, node.store()->get(key));
  if (!record)
    return refused();
  const auto expires = expiry_of(*record);
  if (!expires || *expires <= now)
    return refused();
  return accepted{std::move(key), *std::move(record)};
}

result<std::vector<std::string>> read_texts(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto items, o.array(name, names_max, true));
  std::vector<std::string> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto text, item.as_string(name_bytes_max));
    out.push_back(std::move(text));
  }
  return out;
}

result<crypto::key> read_transport_key(json::object& o) {
  constexpr auto expected = "expected the public JWK of a P-256 key";
  CUSTOS_TRY(auto member, o.child("transport_key"));
  boost::json::object jwk;
  for (const auto& name : member.names()) {
    CUSTOS_TRY(const auto text, member.string(name, 1024));
    jwk[name] = text;
  }
  auto key = jose::key_of_jwk(json::canonical(jwk));
  if (!key)
    return field_error(errc::invalid_argument, "/transport_key",
                       std::string(expected) + ": " + key.failure().message);
  if (key->type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "/transport_key", expected);
  return key;
}

result<join_request> read_request(json::object& o) {
  join_request out;
  CUSTOS_TRY(out.node.name, o.string("node_name", object_name_bytes_max));
  CUSTOS_TRY(out.node.dns_names, read_texts(o, "dns_names"));
  CUSTOS_TRY(out.node.ip_addresses, read_texts(o, "ip_addresses"));
  CUSTOS_TRY(out.node.cluster_address, o.string("cluster_address", address_bytes_max));
  CUSTOS_TRY(out.replaces, o.boolean("replace"));
  auto checked = check_node_request(out.node);
  if (!checked)
    return field_error(checked.failure().code, "/" + checked.failure().field,
                       checked.failure().message);
  CUSTOS_TRY(const auto csr_pem, o.string("csr", csr_bytes_max));
  const auto csr = crypto::read_csr_pem(as_bytes(csr_pem));
  if (!csr)
    return field_error(errc::invalid_argument, "/csr", csr.failure().message);
  if (csr->public_key.type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "/csr", "expected a P-256 key");
  out.tls_public = csr->public_key;
  CUSTOS_TRY(out.transport_public, read_transport_key(o));
  CUSTOS_CHECK(o.finish());
  return out;
}

bytes replica_octets(raft::replica_id id) {
  bytes out;
  for (unsigned i = replica_id_bytes; i-- > 0;)
    out.push_back(static_cast<std::uint8_t>(id >> (8 * i)));
  return out;
}

} // namespace

result<join_admission> admit_node(node_store& node, std::string_view request,
                                  crypto::unix_seconds now) {
  CUSTOS_TRY(auto o, json::parse_object(request, join_request_bytes_max));
  const std::lock_guard guard(node.join_mutex());
  CUSTOS_TRY(auto token, accepted_token(node, o, now));
  CUSTOS_TRY(const auto wanted, read_request(o));
  if (wanted.node.name == node.identity().name)
    return field_error(errc::already_exists, "/node_name",
                       "expected a name that is not that of the node which issued the token");
  join_admission out;
  out.replaces = wanted.replaces;
  CUSTOS_TRY(out.certificate,
             issue_node_certificate(*node.keys(), wanted.node, wanted.tls_public, now));
  CUSTOS_TRY(const auto address, replica::parse_link_address(wanted.node.cluster_address));
  out.info = member_info_of({wanted.node.name, wanted.tls_public, out.certificate}, address);
  out.transport_public = wanted.transport_public;
  rocksdb::write_batch batch;
  batch.erase(token.at);
  CUSTOS_CHECK(node.store()->write(batch));
  out.token_at = std::move(token.at);
  out.token_record = std::move(token.record);
  return out;
}

result<void> give_back_token(node_store& node, const join_admission& admission) {
  rocksdb::write_batch batch;
  batch.put(admission.token_at, admission.token_record);
  return node.store()->write(batch);
}

result<std::string> answer_join(const node_store& node, const join_admission& admission,
                                raft::replica_id id, byte_view members) {
  const auto keys = serialize(*node.keys());
  const auto data_keys = serialize(node.seals()->ring());
  const auto digest = crypto::sha256(members);
  const auto replica = replica_octets(id);
  const auto secrets =
      write_fields(answer_version, {{tag_keys, keys.reveal_secret()},
                                    {tag_node_certificate, admission.certificate.der()},
                                    {tag_replica, replica},
                                    {tag_members_digest, digest},
                                    {tag_data_keys, data_keys.reveal_secret()}});
  CUSTOS_TRY(const auto kid, jose::thumbprint(admission.transport_public));
  CUSTOS_TRY(const auto jwe, jose::encrypt_ecdh_es_a256kw(admission.transport_public, kid,
                                                          secrets.reveal_secret()));
  return json::canonical(
      boost::json::object{{"jwe", jwe}, {"members", crypto::base64url(members)}});
}

// ---- the new node takes the answer --------------------------------------------------------------

namespace {

error bad_answer(const std::string& what) {
  return make_error(errc::malformed, "join answer: " + what);
}

/// The certificate is for our key, our name, and of the CA that the token names.
result<node_identity> read_identity(const join_attempt& attempt, const cluster_keys& keys,
                                    byte_view der, crypto::unix_seconds now) {
  if (!crypto::equal(keys.ca_certificate.fingerprint(), attempt.token.ca_fingerprint))
    return make_error(errc::crypto_failure,
                      "join answer: its CA certificate is not the one the token names");
  node_identity out;
  out.name = attempt.node.name;
  out.tls_key = attempt.tls_key;
  CUSTOS_TRY(out.certificate, crypto::certificate_from_der(der));
  if (!out.certificate.public_key().same_public(out.tls_key) ||
      out.certificate.common_name() != node_common_name(out.name))
    return bad_answer("expected a certificate for this node's key and name");
  crypto::verify_options options;
  options.use = crypto::purpose::tls_server;
  options.now = now;
  CUSTOS_CHECK(crypto::verify_chain(out.certificate, {}, {keys.ca_certificate}, options));
  return out;
}

result<raft::replica_id> read_replica(byte_view octets) {
  raft::replica_id out = 0;
  for (const auto octet : octets)
    out = (out << 8U) | octet;
  if (octets.size() != replica_id_bytes || out == 0)
    return bad_answer("expected a replica's number");
  return out;
}

/// Whom to listen to; as whoever sealed the answer meant it.
result<raft::membership> read_members(json::object& o, byte_view digest, raft::replica_id self) {
  CUSTOS_TRY(const auto octets, o.base64url("members", join_answer_bytes_max));
  if (!crypto::equal(crypto::sha256(octets), digest))
    return make_error(errc::crypto_failure, "join answer: the members were changed on the way");
  CUSTOS_TRY(auto members, replica::decode_members(octets));
  if (raft::find_member(members, self) == nullptr)
    return bad_answer("expected a membership that this node is in");
  return members;
}

} // namespace

result<void> accept_join_answer(const std::filesystem::path& data_dir, const join_attempt& attempt,
                                std::string_view answer, crypto::unix_seconds now,
                                const node_key_request& how) {
  CUSTOS_TRY(auto o, json::parse_object(answer, join_answer_bytes_max));
  CUSTOS_TRY(const auto jwe, o.string("jwe", jose::token_bytes_max));
  CUSTOS_TRY(const auto secrets, jose::decrypt_ecdh_es_a256kw(attempt.transport_key, jwe));
  CUSTOS_TRY(const auto fields, read_fields(answer_version, secrets.reveal_secret()));
  CUSTOS_TRY(const auto key_octets, one_field(fields, tag_keys));
  CUSTOS_TRY(const auto keys, parse_cluster_keys(key_octets));
  CUSTOS_TRY(const auto der, one_field(fields, tag_node_certificate));
  CUSTOS_TRY(const auto identity, read_identity(attempt, keys, der, now));
  CUSTOS_TRY(const auto replica_field, one_field(fields, tag_replica));
  CUSTOS_TRY(const auto id, read_replica(replica_field));
  CUSTOS_TRY(const auto digest, one_field(fields, tag_members_digest));
  CUSTOS_TRY(auto members, read_members(o, digest, id));
  CUSTOS_CHECK(o.finish());
  CUSTOS_TRY(const auto ring_field, one_field(fields, tag_data_keys));
  CUSTOS_TRY(const auto data_keys, parse_data_key_ring(ring_field));
  new_node made{keys, data_keys, identity};
  made.replica = id;
  made.introduction = std::move(members);
  made.replaces = attempt.replaces;
  return create_node_store(data_dir, made, how);
}

} // namespace custos::cluster
