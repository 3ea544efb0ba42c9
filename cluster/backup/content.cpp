#include "cluster/backup/content.hpp"

#include "cluster/backup/sections.hpp"
#include "cluster/octets.hpp"
#include "cluster/sealing.hpp"
#include "cluster/state_image.hpp"

namespace custos::backup {

using cluster::config_state;

namespace {

constexpr std::size_t backup_id_bytes = 16;

error damaged(const std::string& what) {
  return make_error(errc::corrupted, "content of the backup: " + what);
}

/// One behind the other, each under its head, without copying any.
class section_list {
public:
  void add(section tag, byte_view value) {
    heads_.push_back(section_head(tag, value.size()));
    values_.push_back(value);
  }
  [[nodiscard]] std::vector<byte_view> parts() const {
    std::vector<byte_view> out;
    for (std::size_t i = 0; i < heads_.size(); ++i) {
      out.emplace_back(heads_[i]);
      out.push_back(values_[i]);
    }
    return out;
  }

private:
  std::vector<std::array<std::uint8_t, section_head_bytes>> heads_;
  std::vector<byte_view> values_;
};

description begun(content_kind kind, std::string name, crypto::unix_seconds now) {
  description out;
  out.kind = kind;
  out.id = crypto::hex(crypto::random_bytes(backup_id_bytes));
  out.name = std::move(name);
  out.created = timestamp(now);
  out.program = "custos " CUSTOS_VERSION;
  return out;
}

std::map<std::string, std::uint64_t> counts_of(const config_state& state) {
  std::map<std::string, std::uint64_t> out;
  for (auto kind = object_kind::tpm_ca; kind <= last_object_kind;
       kind = static_cast<object_kind>(static_cast<unsigned>(kind) + 1))
    if (const auto count = state.count(kind); count > 0)
      out.emplace(to_string(kind), count);
  return out;
}

/// A restored cluster that could not open its own secrets would find out too late.
result<void> check_sealed_values(const cluster::sealer& seals, const config_state& state) {
  const auto opens = [&](const bytes& sealed, const std::string& use) -> result<void> {
    if (sealed.empty())
      return {};
    if (auto opened = seals.open({sealed}, use); !opened)
      return damaged(opened.failure().message);
    return {};
  };
  for (const auto& object : state.all(object_kind::key_provider)) {
    const auto& p = std::get<key_provider>(object->value);
    CUSTOS_CHECK(opens(p.client_private_key.sealed, cluster::client_private_key_use(object->name)));
    CUSTOS_CHECK(
        opens(p.next_client_private_key.sealed, cluster::client_private_key_use(object->name)));
    CUSTOS_CHECK(opens(p.password.sealed, cluster::password_use(object->name)));
    for (const auto& key : p.primary_keys)
      CUSTOS_CHECK(opens(key.key.sealed, cluster::primary_key_use(object->name, key.id)));
  }
  for (const auto& object : state.all(object_kind::token_key))
    CUSTOS_CHECK(opens(std::get<token_key>(object->value).sealed_private_key,
                       cluster::token_key_use(object->name)));
  return {};
}

} // namespace

bool holds_sealed_values(const cluster::config_object& object) {
  if (const auto* const p = std::get_if<key_provider>(&object))
    return !p->client_private_key.sealed.empty() || !p->next_client_private_key.sealed.empty() ||
           !p->password.sealed.empty() || !p->primary_keys.empty();
  return std::holds_alternative<token_key>(object);
}

// ---- a cluster ----------------------------------------------------------------------------------

result<std::string> back_up_cluster(const cluster::cluster_keys& keys,
                                    const cluster::sealer& data_keys, const config_state& state,
                                    const std::vector<addressee>& to, crypto::unix_seconds now) {
  CUSTOS_CHECK(check_sealed_values(data_keys, state));
  auto about = begun(content_kind::cluster, keys.cluster_name, now);
  about.cluster_id = keys.cluster_id;
  about.revision = state.revision();
  about.fingerprint = state.fingerprint();
  about.objects = counts_of(state);
  about.signer = keys.ca_certificate;
  const auto secrets = cluster::serialize(keys);
  const auto ring = cluster::serialize(data_keys.ring());
  const auto image = cluster::encode_state(state);
  section_list content;
  content.add(section::cluster_keys, secrets.reveal_secret());
  content.add(section::data_keys, ring.reveal_secret());
  content.add(section::state, image);
  return make_file(std::move(about), keys.ca_key, to, content.parts());
}

result<cluster_content> read_cluster_content(const description& about, byte_view content) {
  if (about.kind != content_kind::cluster)
    return field_error(errc::invalid_argument, "/about/kind",
                       "expected the backup of a trust authority cluster");
  CUSTOS_TRY(const auto sections, read_sections(content));
  CUSTOS_TRY(const auto secrets, section_of(sections, section::cluster_keys));
  CUSTOS_TRY(const auto data_keys, section_of(sections, section::data_keys));
  CUSTOS_TRY(const auto image, section_of(sections, section::state));
  if (sections.size() != 3)
    return damaged("expected nothing but keys and state");
  cluster_content out;
  auto keys = cluster::parse_cluster_keys(secrets);
  if (!keys)
    return damaged("cluster keys: " + keys.failure().message);
  out.keys = *std::move(keys);
  auto ring = cluster::parse_data_key_ring(data_keys);
  if (!ring)
    return damaged(ring.failure().message);
  out.data_keys = *std::move(ring);
  CUSTOS_TRY(out.state, cluster::decode_state(image));
  if (out.keys.cluster_id != about.cluster_id || out.keys.cluster_name != about.name)
    return damaged("the keys are of another cluster than the description says");
  if (out.keys.ca_certificate.der() != about.signer.der())
    return damaged("the signer is not the authority of the cluster");
  if (out.state.fingerprint() != about.fingerprint || out.state.revision() != about.revision ||
      counts_of(out.state) != about.objects)
    return damaged("the configuration is another one than the description says");
  CUSTOS_CHECK(check_sealed_values(cluster::sealer(out.data_keys), out.state));
  return out;
}

// ---- a coordinator ------------------------------------------------------------------------------

namespace {

bytes encode_entries(const std::vector<rocksdb::kv_entry>& entries) {
  bytes out;
  for (const auto& entry : entries) {
    cluster::put_text<std::uint16_t>(out, entry.key);
    cluster::put_text<std::uint32_t>(out, as_text(entry.value));
  }
  return out;
}

result<std::vector<rocksdb::kv_entry>> decode_entries(byte_view octets) {
  cluster::octet_reader in(octets, "entries");
  std::vector<rocksdb::kv_entry> out;
  while (in.left() > 0) {
    const auto key = in.text<std::uint16_t>(rocksdb::key_bytes_max, "key");
    if (!key)
      return damaged(key.failure().message);
    const auto value = in.text<std::uint32_t>(rocksdb::value_bytes_max, "value");
    if (!value)
      return damaged(value.failure().message);
    if (!out.empty() && *key <= out.back().key)
      return damaged("expected entries in the order of their keys");
    if (out.size() == rocksdb::scan_entries_max)
      return damaged("expected at most " + std::to_string(rocksdb::scan_entries_max) + " entries");
    out.push_back({std::string(*key), to_bytes(*value)});
  }
  return out;
}

/// By the part of the key before the slash.
std::map<std::string, std::uint64_t> counts_of(const std::vector<rocksdb::kv_entry>& entries) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& entry : entries)
    ++out[entry.key.substr(0, entry.key.find('/'))];
  return out;
}

result<void> check_identity(const coordinator_content& content, const description& about) {
  auto certificates = crypto::certificates_from_pem(as_bytes(content.certificate_pem));
  auto key = crypto::private_key_from_pkcs8(content.private_key.reveal_secret());
  if (!certificates || !key || !certificates->front().public_key().same_public(*key))
    return damaged("expected a TLS certificate and its private key");
  if (certificates->front().der() != about.signer.der())
    return damaged("the signer is not the coordinator");
  return {};
}

} // namespace

result<std::string> back_up_coordinator(const coordinator_signer& by,
                                        const coordinator_content& content,
                                        const std::vector<addressee>& to,
                                        crypto::unix_seconds now) {
  auto about = begun(content_kind::coordinator, by.name, now);
  const auto entries = encode_entries(content.entries);
  about.fingerprint = crypto::hex(crypto::sha256(entries));
  about.objects = counts_of(content.entries);
  about.signer = by.certificate;
  section_list sections;
  if (!content.certificate_pem.empty()) {
    sections.add(section::tls_certificate, as_bytes(content.certificate_pem));
    sections.add(section::tls_private_key, content.private_key.reveal_secret());
  }
  sections.add(section::entries, entries);
  return make_file(std::move(about), by.private_key, to, sections.parts());
}

result<coordinator_content> read_coordinator_content(const description& about, byte_view content) {
  if (about.kind != content_kind::coordinator)
    return field_error(errc::invalid_argument, "/about/kind",
                       "expected the backup of a coordinator");
  CUSTOS_TRY(const auto sections, read_sections(content));
  CUSTOS_TRY(const auto entries, section_of(sections, section::entries));
  coordinator_content out;
  CUSTOS_TRY(out.entries, decode_entries(entries));
  if (crypto::hex(crypto::sha256(entries)) != about.fingerprint ||
      counts_of(out.entries) != about.objects)
    return damaged("the entries are others than the description says");
  if (sections.size() == 1)
    return out;
  CUSTOS_TRY(const auto certificate, section_of(sections, section::tls_certificate));
  CUSTOS_TRY(const auto key, section_of(sections, section::tls_private_key));
  if (sections.size() != 3)
    return damaged("expected nothing but entries and a TLS identity");
  out.certificate_pem = std::string(as_text(certificate));
  out.private_key = crypto::secret_bytes(key);
  CUSTOS_CHECK(check_identity(out, about));
  return out;
}

} // namespace custos::backup
