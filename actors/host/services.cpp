#include "actors/host/services.hpp"

#include "adapters/crypto/x509.hpp"
#include "adapters/http/http.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::host {

namespace bj = boost::json;

namespace {

constexpr std::size_t urls_max = 64;
constexpr std::size_t url_bytes_max = 512;
constexpr std::size_t pem_bytes_max = 256U << 10U;
constexpr std::size_t document_bytes_max = 512U << 10U;
constexpr std::string_view services_key = "services";
constexpr std::uint32_t back_off_s_max = 300;
/// However long a token says it lives: what a node answers is not trusted to keep a host from
/// attesting.
constexpr std::int64_t refresh_life_s_max = 30LL * 24 * 3600;

result<std::vector<std::string>> read_urls(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto items, o.array(name, urls_max));
  std::vector<std::string> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto text, item.as_string(url_bytes_max));
    const auto parsed = http::parse_url(text);
    if (!parsed || parsed->scheme != "https" || parsed->path != "/")
      return field_error(errc::invalid_argument,
                         "/" + std::string(name) + "/" + std::to_string(out.size()),
                         "expected https://host[:port]");
    out.push_back(std::move(text));
  }
  return out;
}

bj::array array_of(const std::vector<std::string>& list) {
  bj::array out;
  for (const auto& s : list)
    out.emplace_back(s);
  return out;
}

} // namespace

result<host_services> read_services(std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document, document_bytes_max));
  host_services s;
  CUSTOS_TRY(s.attestation, read_urls(o, "attestation"));
  CUSTOS_TRY(s.keys, read_urls(o, "keys"));
  CUSTOS_TRY(s.trusted_ca, o.string("trusted_ca", pem_bytes_max));
  if (auto parsed = crypto::certificates_from_pem(as_bytes(s.trusted_ca), 64); !parsed)
    return field_error(errc::invalid_argument, "/trusted_ca", parsed.failure().message);
  CUSTOS_TRY(const auto revision, o.integer("revision", 0, INT64_MAX));
  s.revision = static_cast<std::uint64_t>(revision);
  CUSTOS_CHECK(o.finish());
  return s;
}

std::string services_document(const host_services& s) {
  return json::canonical(bj::object{{"attestation", array_of(s.attestation)},
                                    {"keys", array_of(s.keys)},
                                    {"trusted_ca", s.trusted_ca},
                                    {"revision", s.revision}});
}

std::string services_fingerprint(const host_services& s) {
  return crypto::hex(crypto::sha256(as_bytes(services_document(s))));
}

result<std::optional<host_services>> load_services(const rocksdb::kv_store& store) {
  CUSTOS_TRY(const auto found, store.get(services_key));
  if (!found)
    return std::optional<host_services>{};
  auto read = read_services(as_text(*found));
  if (!read)
    return make_error(errc::corrupted,
                      "the applied configuration in the host's store: " + read.failure().message);
  return std::optional<host_services>{*std::move(read)};
}

result<void> save_services(rocksdb::kv_store& store, const host_services& s) {
  rocksdb::write_batch batch;
  batch.put(std::string(services_key), services_document(s));
  return store.write(batch);
}

result<void> erase_services(rocksdb::kv_store& store) {
  rocksdb::write_batch batch;
  batch.erase(std::string(services_key));
  return store.write(batch);
}

std::int64_t refresh_at(std::int64_t now, std::int64_t expires, std::uint8_t jitter) {
  const auto life = expires <= now ? 1 : std::min(expires - now, refresh_life_s_max);
  return now + std::max<std::int64_t>(life * 3 / 4 - life * jitter / 2560, 1);
}

std::uint32_t back_off_s(std::uint32_t failures, std::uint8_t jitter) {
  constexpr std::uint32_t doublings_max = 9; // 2^9 s are more than the longest wait
  const std::uint32_t doublings = failures == 0 ? 0 : std::min(failures - 1, doublings_max);
  const std::uint32_t full = std::min(back_off_s_max, 1U << doublings);
  return std::max(1U, full - full * jitter / 512);
}

} // namespace custos::host
