#include "actors/coordinator/inventory.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t list_max = 4096;
constexpr std::size_t document_bytes_max = 1U << 20U;

std::string type_text(service_type t) {
  return t == service_type::attestation ? "attestation" : "kms";
}

bj::array array_of(const std::vector<std::string>& list) {
  bj::array out;
  for (const auto& s : list)
    out.emplace_back(s);
  return out;
}

result<std::vector<std::string>> strings(json::object& o, std::string_view name,
                                         std::size_t bytes_max) {
  CUSTOS_TRY(const auto items, o.array(name, list_max));
  std::vector<std::string> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto text, item.as_string(bytes_max));
    out.push_back(std::move(text));
  }
  return out;
}

std::string document(const cluster_info& c) {
  return bj::serialize(bj::object{{"id", c.id}, {"type", static_cast<int>(c.type)}});
}
std::string document(const member& m) {
  return bj::serialize(bj::object{
      {"id", m.id}, {"cluster", m.cluster}, {"url", m.url}, {"certificate", m.certificate}});
}
std::string document(const service_info& s) {
  return bj::serialize(bj::object{{"id", s.id},
                                  {"type", static_cast<int>(s.type)},
                                  {"hostname", s.hostname},
                                  {"port", s.port},
                                  {"trusted_ca", array_of(s.trusted_ca)},
                                  {"group", s.group},
                                  {"trust_authority_cluster", s.trust_authority_cluster}});
}
std::string document(const desired_services& d) {
  return bj::serialize(bj::object{{"revision", d.revision},
                                  {"attestation", array_of(d.attestation)},
                                  {"kms", array_of(d.kms)}});
}

result<cluster_info> read_cluster(json::object o) {
  cluster_info c;
  CUSTOS_TRY(c.id, o.string("id", text_bytes_max));
  CUSTOS_TRY(const auto type, o.integer("type", 1, 2));
  c.type = static_cast<cluster_type>(type);
  return c;
}
result<member> read_member(json::object o) {
  member m;
  CUSTOS_TRY(m.id, o.string("id", text_bytes_max));
  CUSTOS_TRY(m.cluster, o.string("cluster", text_bytes_max));
  CUSTOS_TRY(m.url, o.string("url", text_bytes_max));
  CUSTOS_TRY(m.certificate, o.string("certificate", pem_bytes_max));
  return m;
}
result<service_info> read_service(json::object o) {
  service_info s;
  CUSTOS_TRY(s.id, o.string("id", text_bytes_max));
  CUSTOS_TRY(const auto type, o.integer("type", 1, 2));
  s.type = static_cast<service_type>(type);
  CUSTOS_TRY(s.hostname, o.string("hostname", text_bytes_max));
  CUSTOS_TRY(const auto port, o.integer("port", 1, 65535));
  s.port = static_cast<std::uint16_t>(port);
  CUSTOS_TRY(s.trusted_ca, strings(o, "trusted_ca", pem_bytes_max));
  CUSTOS_TRY(s.group, o.string("group", text_bytes_max));
  CUSTOS_TRY(s.trust_authority_cluster, o.string("trust_authority_cluster", text_bytes_max));
  return s;
}
result<desired_services> read_desired(json::object o) {
  desired_services d;
  CUSTOS_TRY(const auto revision, o.integer("revision", 0, INT64_MAX));
  d.revision = static_cast<std::uint64_t>(revision);
  CUSTOS_TRY(d.attestation, strings(o, "attestation", text_bytes_max));
  CUSTOS_TRY(d.kms, strings(o, "kms", text_bytes_max));
  return d;
}

error exists(const char* what) {
  return field_error(errc::already_exists, what, "there is one of that name already");
}
error missing(const char* what) {
  return field_error(errc::not_found, what, "there is none of that name");
}

std::string join(std::string_view a, std::string_view b) {
  return std::string(a) + "/" + std::string(b);
}

} // namespace

result<std::unique_ptr<inventory>> inventory::open(std::shared_ptr<rocksdb::kv_store> store) {
  std::unique_ptr<inventory> out(new inventory(std::move(store)));
  CUSTOS_CHECK(out->load());
  return out;
}

result<void> inventory::load_one(const rocksdb::kv_entry& entry) {
  CUSTOS_TRY(auto o, json::parse_object(as_text(entry.value), document_bytes_max));
  const std::string_view key(entry.key);
  const auto slash = key.find('/');
  if (slash == std::string_view::npos)
    return field_error(errc::corrupted, "key", "expected KIND/NAME");
  const auto kind = key.substr(0, slash);
  const auto name = std::string(key.substr(slash + 1));
  if (kind == "cluster") {
    CUSTOS_TRY(clusters_[name], read_cluster(std::move(o)));
  } else if (kind == "member") {
    CUSTOS_TRY(members_[name], read_member(std::move(o)));
  } else if (kind == "service") {
    CUSTOS_TRY(services_[name], read_service(std::move(o)));
  } else if (kind == "desired") {
    CUSTOS_TRY(desired_[name], read_desired(std::move(o)));
  } else {
    // Of a later version, perhaps: going on would forget it at the next change.
    return field_error(errc::corrupted, "key", "expected cluster, member, service or desired");
  }
  return {};
}

result<void> inventory::load() {
  CUSTOS_TRY(const auto entries, store_->scan(""));
  for (const auto& entry : entries)
    if (auto one = load_one(entry); !one)
      return make_error(errc::corrupted, "inventory object " + entry.key + ": " +
                                             one.failure().field + ": " + one.failure().message);
  return {};
}

result<std::vector<rocksdb::kv_entry>> inventory::entries() const {
  const std::lock_guard guard(mutex_);
  return store_->scan("");
}

result<void> inventory::save(const std::string& key, std::string_view text) {
  rocksdb::write_batch batch;
  batch.put(key, text);
  return store_->write(batch);
}

result<void> inventory::add_cluster(cluster_info c) {
  const std::lock_guard guard(mutex_);
  if (clusters_.count(c.id) != 0)
    return exists("cluster");
  CUSTOS_CHECK(save("cluster/" + c.id, document(c)));
  clusters_.emplace(c.id, std::move(c));
  return {};
}

result<void> inventory::add_member(member m) {
  const std::lock_guard guard(mutex_);
  if (clusters_.find(m.cluster) == clusters_.end())
    return missing("cluster");
  const auto key = join(m.cluster, m.id);
  if (members_.count(key) != 0)
    return exists("member");
  CUSTOS_CHECK(save("member/" + key, document(m)));
  members_.emplace(key, std::move(m));
  return {};
}

result<void> inventory::remove_member(std::string_view cluster, std::string_view id) {
  const std::lock_guard guard(mutex_);
  const auto found = members_.find(join(cluster, id));
  if (found == members_.end())
    return missing("member");
  rocksdb::write_batch batch;
  batch.erase("member/" + found->first);
  CUSTOS_CHECK(store_->write(batch));
  members_.erase(found);
  return {};
}

result<cluster_info> inventory::cluster(std::string_view id, cluster_type type) const {
  const std::lock_guard guard(mutex_);
  const auto found = clusters_.find(id);
  if (found == clusters_.end() || found->second.type != type)
    return missing("cluster");
  return found->second;
}

std::vector<cluster_info> inventory::clusters() const {
  const std::lock_guard guard(mutex_);
  std::vector<cluster_info> out;
  for (const auto& [id, c] : clusters_)
    out.push_back(c);
  return out;
}

std::vector<member> inventory::members(std::string_view cluster) const {
  const std::lock_guard guard(mutex_);
  std::vector<member> out;
  for (const auto& [key, m] : members_)
    if (m.cluster == cluster)
      out.push_back(m);
  return out;
}

result<void> inventory::add_service(service_info s) {
  const std::lock_guard guard(mutex_);
  const auto key = join(type_text(s.type), s.id);
  if (services_.count(key) != 0)
    return exists("service");
  for (const auto& [other_key, other] : services_)
    if (other.type == s.type && other.hostname == s.hostname && other.port == s.port)
      return field_error(errc::already_exists, "address",
                         "a service of that address is registered: " + other.id);
  CUSTOS_CHECK(save("service/" + key, document(s)));
  services_.emplace(key, std::move(s));
  return {};
}

result<void> inventory::remove_service(service_type type, std::string_view id) {
  const std::lock_guard guard(mutex_);
  const auto found = services_.find(join(type_text(type), id));
  if (found == services_.end())
    return missing("service");
  for (const auto& [cluster, d] : desired_) {
    const auto& used = type == service_type::attestation ? d.attestation : d.kms;
    for (const auto& one : used)
      if (one == id)
        return field_error(errc::revision_conflict, "service",
                           "the trusted cluster " + cluster + " uses it");
  }
  rocksdb::write_batch batch;
  batch.erase("service/" + found->first);
  CUSTOS_CHECK(store_->write(batch));
  services_.erase(found);
  return {};
}

result<service_info> inventory::service(service_type type, std::string_view id) const {
  const std::lock_guard guard(mutex_);
  const auto found = services_.find(join(type_text(type), id));
  if (found == services_.end())
    return missing("service");
  return found->second;
}

std::vector<service_info> inventory::services(service_type type) const {
  const std::lock_guard guard(mutex_);
  std::vector<service_info> out;
  for (const auto& [key, s] : services_)
    if (s.type == type)
      out.push_back(s);
  return out;
}

desired_services inventory::desired(std::string_view cluster) const {
  const std::lock_guard guard(mutex_);
  const auto found = desired_.find(cluster);
  return found == desired_.end() ? desired_services{} : found->second;
}

result<desired_services> inventory::set_desired(std::string_view cluster, desired_services d) {
  const std::lock_guard guard(mutex_);
  const auto found = desired_.find(cluster);
  d.revision = (found == desired_.end() ? 0 : found->second.revision) + 1;
  CUSTOS_CHECK(save("desired/" + std::string(cluster), document(d)));
  desired_[std::string(cluster)] = d;
  return d;
}

} // namespace custos::coordinator
