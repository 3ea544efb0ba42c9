// The keys of a node in its store (cluster_keys.hpp).

#include "adapters/json/json.hpp"
#include "cluster/cluster_keys.hpp"

#include <boost/json.hpp>

namespace custos::cluster {

namespace {

constexpr std::size_t identity_bytes_max = 32U << 10U;
constexpr std::size_t created_bytes = 8;

constexpr std::string_view node_key_at = "node/node-key";
constexpr std::string_view data_keys_at = "node/data-key/";
constexpr std::string_view current_at = "node/data-key-current";
constexpr std::string_view cluster_keys_at = "cluster/keys";
constexpr std::string_view identity_at = "node/identity";
constexpr std::string_view tls_key_at = "node/tls-key";

std::string data_key_at(const data_key_id& id) {
  return std::string(data_keys_at) + text_of(id);
}

error damaged(std::string_view key, const std::string& how) {
  return make_error(errc::corrupted, "stored " + std::string(key) + ": " + how);
}

result<bytes> stored(const rocksdb::kv_store& store, std::string_view key) {
  CUSTOS_TRY(auto value, store.get(key));
  if (!value)
    return make_error(errc::corrupted, "the store has no " + std::string(key));
  return *std::move(value);
}

} // namespace

// ---- writing ------------------------------------------------------------------------------------

result<void> add_identity(rocksdb::write_batch& batch, const node_identity& identity,
                          const node_key& under) {
  CUSTOS_TRY(auto tls_key, wrap_secret(*under.key, identity.tls_key.pkcs8_der()));
  batch.put(std::string(tls_key_at), std::move(tls_key));
  batch.put(std::string(identity_at),
            json::canonical(boost::json::object{{"name", identity.name},
                                                {"certificate", identity.certificate.pem()}}));
  return {};
}

result<void> add_data_key(rocksdb::write_batch& batch, const ring_key& key, const node_key& under) {
  CUSTOS_TRY(const auto wrapped, wrap_secret(*under.key, *key.key));
  bytes value(created_bytes);
  for (std::size_t i = 0; i < created_bytes; ++i)
    value[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(key.created) >>
                                         (8U * (created_bytes - 1 - i)));
  value.insert(value.end(), wrapped.begin(), wrapped.end());
  batch.put(data_key_at(key.id), std::move(value));
  return {};
}

void erase_data_key(rocksdb::write_batch& batch, const data_key_id& id) {
  batch.erase(data_key_at(id));
}

result<void> add_cluster_keys(rocksdb::write_batch& batch, const cluster_keys& keys,
                              const data_key_ring& ring) {
  CUSTOS_TRY(const auto sealed,
             sealer(ring).seal(serialize(keys).reveal_secret(), cluster_keys_at));
  batch.put(std::string(cluster_keys_at), sealed.sealed);
  batch.put(std::string(current_at), text_of(ring.current));
  return {};
}

result<void> add_rewrapped(rocksdb::write_batch& batch, const data_key_ring& ring,
                           const node_identity& identity, const node_key& under) {
  for (const auto& key : ring.keys)
    CUSTOS_CHECK(add_data_key(batch, key, under));
  CUSTOS_CHECK(add_identity(batch, identity, under));
  batch.put(std::string(node_key_at), under.id);
  return {};
}

result<void> add_keys(rocksdb::write_batch& batch, const cluster_keys& keys,
                      const data_key_ring& ring, const node_identity& identity,
                      const node_key& under) {
  CUSTOS_CHECK(add_rewrapped(batch, ring, identity, under));
  return add_cluster_keys(batch, keys, ring);
}

// ---- reading ------------------------------------------------------------------------------------

namespace {

/// After a data key opened, nothing else may fail to: then it is damage, not the wrong key.
template <class T>
result<T> or_corrupted(result<T> r, std::string_view key) {
  if (r || r.failure().code == errc::unsupported || r.failure().code == errc::storage_failure)
    return r;
  return damaged(key, r.failure().message);
}

result<void> load_data_key(data_key_ring& ring, const rocksdb::kv_entry& entry,
                           const node_key& under) {
  const auto id = data_key_id_of(std::string_view(entry.key).substr(data_keys_at.size()));
  if (!id || entry.value.size() <= created_bytes)
    return damaged(entry.key, "expected a key id, a time and a wrapped key");
  auto key = unwrap_secret(*under.key, byte_view(entry.value).subspan(created_bytes));
  if (!key)
    return wrong_node_key(under.choice);
  if (key->size() != data_key_bytes || id_of(*key) != *id)
    return damaged(entry.key, "it is another key");
  std::uint64_t created = 0;
  for (std::size_t i = 0; i < created_bytes; ++i)
    created = (created << 8U) | entry.value[i];
  return add_key(ring, std::make_shared<const crypto::secret_bytes>(*std::move(key)),
                 static_cast<std::int64_t>(created));
}

result<data_key_ring> load_data_keys(const rocksdb::kv_store& store, const node_key& under) {
  CUSTOS_TRY(const auto entries, store.scan(data_keys_at));
  data_key_ring out;
  for (const auto& entry : entries)
    CUSTOS_CHECK(load_data_key(out, entry, under));
  if (out.keys.empty())
    return make_error(errc::corrupted, "the store has no node/data-key");
  CUSTOS_TRY(const auto current, stored(store, current_at));
  const auto id = data_key_id_of(as_text(current));
  if (!id || out.find(*id) == nullptr)
    return damaged(current_at, "there is no such data key");
  out.current = *id;
  return out;
}

result<node_identity> load_identity(const rocksdb::kv_store& store, const node_key& under) {
  node_identity out;
  CUSTOS_TRY(const auto text, stored(store, identity_at));
  CUSTOS_TRY(auto o, json::parse_object(as_text(text), identity_bytes_max));
  CUSTOS_TRY(out.name, o.string("name", object_name_bytes_max));
  CUSTOS_TRY(const auto pem, o.string("certificate", identity_bytes_max));
  CUSTOS_TRY(out.certificate, crypto::certificate_from_pem(as_bytes(pem)));
  CUSTOS_TRY(const auto wrapped, stored(store, tls_key_at));
  CUSTOS_TRY(const auto tls_key, unwrap_secret(*under.key, wrapped));
  CUSTOS_TRY(out.tls_key, crypto::private_key_from_pkcs8(tls_key.reveal_secret()));
  if (!out.certificate.public_key().same_public(out.tls_key))
    return make_error(errc::corrupted, "the certificate is not that of the node's key");
  return out;
}

result<cluster_keys> load_cluster_keys(const rocksdb::kv_store& store, const sealer& seals) {
  CUSTOS_TRY(auto sealed, stored(store, cluster_keys_at));
  CUSTOS_TRY(const auto octets, seals.open({std::move(sealed)}, cluster_keys_at));
  return parse_cluster_keys(octets.reveal_secret());
}

} // namespace

result<std::string> stored_node_key_id(const rocksdb::kv_store& store) {
  CUSTOS_TRY(const auto id, store.get(node_key_at));
  return id ? std::string(as_text(*id)) : std::string();
}

result<loaded_keys> load_keys(const rocksdb::kv_store& store, const node_key& under) {
  loaded_keys out;
  CUSTOS_TRY(out.data_keys, load_data_keys(store, under));
  CUSTOS_TRY(out.keys,
             or_corrupted(load_cluster_keys(store, sealer(out.data_keys)), cluster_keys_at));
  CUSTOS_TRY(out.identity, or_corrupted(load_identity(store, under), identity_at));
  return out;
}

} // namespace custos::cluster
